# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""New roots: a directory that appears complete, or not at all."""

from datetime import datetime
from pathlib import Path

from fleetpki import files
from fleetpki.errors import FleetError
from fleetpki.pki import key_files, keys, profiles
from fleetpki.pki.hierarchy import self_signed
from fleetpki.pki.key_store import KeyStore
from fleetpki.pki.keys import KeyType
from fleetpki.pki.root import RootSettings, write_root

MIN_PASSPHRASE = 12


def check_passphrase(passphrase: bytes) -> None:
    """Refuse a passphrase that is guessed at once."""
    if len(passphrase) < MIN_PASSPHRASE or len(set(passphrase)) < 5:
        raise FleetError(
            "the passphrase for the root key is too weak",
            f"use at least {MIN_PASSPHRASE} characters, not all alike",
            exit_code=2,
        )


def create(
    directory: Path,
    settings: RootSettings,
    common_name: str,
    store: KeyStore,
    passphrase: bytes | None,
    now: datetime,
) -> None:
    """Make a root: without a passphrase its key is made on the token that the settings name."""
    files.check_absent(directory)
    if passphrase is not None:
        check_passphrase(passphrase)
    with files.staging(directory) as stage:
        if passphrase is not None:
            key = keys.generate(KeyType.EC_P384)
            key_files.save(stage / "root.key", key, passphrase)
        else:
            key = store.create(settings.key_uri, KeyType.EC_P384)
        certificate = self_signed(profiles.ROOT, common_name, key, now)
        write_root(stage, settings, certificate, now)
        stage.rename(directory)
    files.sync_directory(directory.parent)
