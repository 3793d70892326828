# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The audit chain: every entry carries the hash of the one before, so an edit anywhere shows.

Cutting off the newest entries does not show from the inside; keep the last hash elsewhere to notice that.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from fleetpki.errors import FleetError
from fleetpki.registry.models import AuditEntry, Base

GENESIS = "0" * 64

_TABLE = Base.metadata.tables[AuditEntry.__tablename__]


def append(
    session: Session, *, at: datetime, actor: str, action: str, subject: str, detail: dict[str, Any]
) -> None:
    """Add an entry to the end of the chain."""
    end_of_chain = select(_TABLE.c.seq, _TABLE.c.hash).order_by(_TABLE.c.seq.desc()).limit(1)
    last_seq, previous = session.execute(end_of_chain.with_for_update()).first() or (0, GENESIS)
    entry = {
        "seq": last_seq + 1,
        "at": at.astimezone(UTC),
        "actor": actor,
        "action": action,
        "subject": subject,
        "detail": detail,
        "previous": previous,
    }
    session.execute(insert(_TABLE), {**entry, "hash": _hash(entry)})


def verify(session: Session) -> int:
    """Check the whole chain and return its length; raise ``FleetError`` naming the first broken entry."""
    previous, length = GENESIS, 0
    chain = select(_TABLE).order_by(_TABLE.c.seq)
    for row in session.execute(chain.execution_options(yield_per=1000)).mappings():
        if row["seq"] != length + 1 or row["previous"] != previous or row["hash"] != _hash(row):
            raise FleetError(
                f"the audit chain is broken at entry {length + 1}: something was edited, removed or added",
                "compare the registry with a backup from before that entry",
            )
        previous, length = row["hash"], length + 1
    return length


def _hash(entry: Mapping[Any, Any]) -> str:
    """The hash of everything in an entry but the hash itself."""
    fields = [entry[name] for name in ("seq", "actor", "action", "subject", "detail", "previous")]
    at = entry["at"].isoformat(timespec="microseconds")
    return hashlib.sha256(json.dumps([at, *fields], sort_keys=True).encode()).hexdigest()
