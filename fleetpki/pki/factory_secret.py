# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Proof of possession of a secret the factory gave to a device (see "Proof" in the protocol).

Every device of a batch has its own secret, derived from the batch's: the cloud keeps one secret a batch.
"""

import base64
import binascii
import hmac

SECRET_SIZE = 32


def device_secret(batch_secret: bytes, device_id: str) -> bytes:
    """The secret of a device."""
    return _mac(batch_secret, f"fleetpki-device-secret\n{device_id}")


def proof_mac(secret: bytes, device_id: str, csr_pem: str) -> str:
    """What a device with this secret sends along with a request; in base64."""
    return base64.b64encode(_mac(secret, f"fleetpki-enroll\n{device_id}\n{csr_pem}")).decode("ascii")


def is_proven(batch_secret: bytes, device_id: str, csr_pem: str, mac: str) -> bool:
    """Whether the sender of a request holds the device's secret; every wrong one takes the same time."""
    try:
        given = base64.b64decode(mac, validate=True)
    except (binascii.Error, ValueError):
        return False
    expected = _mac(device_secret(batch_secret, device_id), f"fleetpki-enroll\n{device_id}\n{csr_pem}")
    return hmac.compare_digest(given, expected)


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
