# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Authorities' keys in files: PKCS#8 PEM, encrypted when there is a passphrase."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization

from fleetpki import files
from fleetpki.errors import FleetError
from fleetpki.pki.keyring import KeyUnavailable
from fleetpki.pki.keys import PrivateKey, private_key_pem


def load(path: Path, passphrase: bytes | None) -> PrivateKey:
    """Read a key; FleetError says what is wrong with the file or the passphrase."""
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise KeyUnavailable(
            f"cannot read the key {path}: {error.strerror}", "restore it from a backup"
        ) from error
    encrypted = b"ENCRYPTED" in pem
    if encrypted and passphrase is None:
        raise FleetError(f"the key {path} is encrypted", "name the file that holds its passphrase")
    try:
        key = serialization.load_pem_private_key(pem, passphrase if encrypted else None)
    except (ValueError, TypeError) as error:
        reason = "wrong passphrase, or damaged" if encrypted else "damaged, or no PEM"
        raise FleetError(f"the key {path} cannot be read: {reason}", "restore it from a backup") from error
    if not isinstance(key, PrivateKey):
        raise FleetError(f"the key {path} is neither EC nor RSA", "restore it from a backup")
    return key


def save(path: Path, key: PrivateKey, passphrase: bytes | None) -> None:
    """Write a new key that only its owner can read; an existing file is never overwritten."""
    try:
        files.write(path, private_key_pem(key, passphrase), mode=0o600)
    except FileExistsError as error:
        raise FleetError(f"{path} exists already", "choose another name", exit_code=2) from error
