# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The audit chain: every entry carries the hash of the one before, so an edit anywhere shows.

Cutting off the newest entries does not show from the inside; keep the last hash elsewhere to notice that.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleetpki.errors import FleetError
from fleetpki.registry.models import AuditEntry

GENESIS = "0" * 64


def append(
    session: Session, *, at: datetime, actor: str, action: str, subject: str, detail: dict[str, Any]
) -> AuditEntry:
    """Add an entry to the end of the chain."""
    last = session.scalar(select(AuditEntry).order_by(AuditEntry.seq.desc()).limit(1).with_for_update())
    entry = AuditEntry(
        seq=last.seq + 1 if last else 1,
        at=at,
        actor=actor,
        action=action,
        subject=subject,
        detail=detail,
        previous=last.hash if last else GENESIS,
    )
    entry.hash = _hash(entry)
    session.add(entry)
    session.flush()
    return entry


def verify(session: Session) -> int:
    """Check the whole chain and return its length; raise ``FleetError`` naming the first broken entry."""
    previous, expected_seq = GENESIS, 1
    for entry in session.scalars(
        select(AuditEntry).order_by(AuditEntry.seq).execution_options(yield_per=1000)
    ):
        if entry.seq != expected_seq or entry.previous != previous or entry.hash != _hash(entry):
            raise FleetError(
                f"the audit chain is broken at entry {expected_seq}: something was edited, removed or added",
                "compare the registry with a backup from before that entry",
            )
        previous, expected_seq = entry.hash, expected_seq + 1
    return expected_seq - 1


def _hash(entry: AuditEntry) -> str:
    fields = [
        entry.seq,
        entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        entry.actor,
        entry.action,
        entry.subject,
        entry.detail,
        entry.previous,
    ]
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
