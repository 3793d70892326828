# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps two transactions from deciding about the same thing at once, where there is no row yet to lock."""

import hashlib

from sqlalchemy import Connection, text

_LOCK = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")


def serialize(connection: Connection, *names: tuple[str, str]) -> bool:
    """Let one transaction at a time go on from here with each of these names, until it ends.

    Returns whether another may have changed what was read before; SQLite has one writer at a time anyway.
    """
    if connection.dialect.name != "postgresql":
        return False
    keys = sorted({_key(name) for name in names})  # in one order: none waits for another in a circle
    if keys:
        connection.execute(_LOCK, {"keys": keys})
    return True


def _key(name: tuple[str, str]) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(name).encode()).digest()[:8], signed=True)
