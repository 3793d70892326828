# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The names things go by: device ids, certificate ids, key digests."""

import hashlib
import re

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from fleetpki.pki.keys import PublicKey

_DEVICE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,63}")
_CERTIFICATE_ID = re.compile(r"[0-9a-f]{64}")


def is_device_id(text: str) -> bool:
    """Whether the text may name a device: it becomes a topic level, a client id and a common name."""
    return _DEVICE_ID.fullmatch(text) is not None


def is_certificate_id(text: str) -> bool:
    """Whether the text may be the id of a certificate."""
    return _CERTIFICATE_ID.fullmatch(text) is not None


def certificate_id(certificate: x509.Certificate) -> str:
    """Lower-case hex SHA-256 of the certificate's DER."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def key_digest(key: PublicKey) -> str:
    """Lower-case hex SHA-256 of the key's SubjectPublicKeyInfo: equal exactly when the keys are."""
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()
