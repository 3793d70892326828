# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps two transactions from deciding about the same thing at once, where there is no row yet to lock."""

import hashlib

from sqlalchemy import Connection, bindparam, func, select

_LOCK = select(func.pg_advisory_xact_lock(bindparam("key")))


def serialize(connection: Connection, *name: str) -> bool:
    """Let one transaction at a time go on from here with this name, until it ends.

    Returns whether another may have changed what was read before; SQLite has one writer at a time anyway.
    """
    if connection.dialect.name != "postgresql":
        return False
    digest = hashlib.sha256("\0".join(name).encode()).digest()
    connection.execute(_LOCK, {"key": int.from_bytes(digest[:8], signed=True)})
    return True
