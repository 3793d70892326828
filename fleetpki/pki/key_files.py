# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Authorities' keys in files: PKCS#8 PEM, encrypted when the fleet has a passphrase."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization

from fleetpki.errors import FleetError
from fleetpki.pki.keys import PrivateKey

SCHEME = "file:"


def load(path: Path, passphrase: bytes | None) -> PrivateKey:
    """Read a key; FleetError says what is wrong with the file or the passphrase."""
    pem = path.read_bytes()
    encrypted = b"ENCRYPTED" in pem
    if encrypted and passphrase is None:
        raise FleetError(f"{path} is encrypted", "name the file of its passphrase")
    try:
        key = serialization.load_pem_private_key(pem, passphrase if encrypted else None)
    except (ValueError, TypeError) as error:
        reason = (
            "the passphrase is wrong, or the file is damaged" if encrypted else "it is damaged, or no PEM"
        )
        raise FleetError(f"the key {path} cannot be read: {reason}", "restore it from a backup") from error
    if not isinstance(key, PrivateKey):
        raise FleetError(f"the key {path} is neither EC nor RSA", "restore it from a backup")
    return key
