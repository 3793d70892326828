# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The audit chain: every entry carries the hash of the one before, so an edit anywhere shows.

Cutting off the newest entries does not show from the inside: keep the head elsewhere to notice that.

The hash of an entry is the SHA-256 of the JSON array [at, seq, actor, action, subject, detail, previous],
written with sorted keys, ", " and ": " as separators and everything beyond ASCII escaped.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.orm import Session

from fleetpki.errors import FleetError
from fleetpki.registry.exclusion import serialize
from fleetpki.registry.models import AuditEntry, Base

GENESIS = "0" * 64

_TABLE = Base.metadata.tables[AuditEntry.__tablename__]
_INSERT = insert(_TABLE)
_ENCODER = json.JSONEncoder(sort_keys=True)
_END_OF_CHAIN = select(_TABLE.c.seq, _TABLE.c.hash).order_by(_TABLE.c.seq.desc()).limit(1)


@dataclass(frozen=True)
class Entry:
    """Who did what to whom, when and why; not yet in the chain."""

    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class Head:
    """The newest entry of a chain: with it, all before it are fixed."""

    seq: int = 0
    hash: str = GENESIS

    def __str__(self) -> str:
        """As an operator writes it down."""
        return f"{self.seq}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Read what an operator wrote down."""
        seq, _, digest = text.partition(":")
        if not seq.isdecimal() or len(digest) != len(GENESIS):
            raise FleetError(
                f"{text!r} is no head of an audit chain", "give SEQ:HASH as 'audit verify' prints it", 2
            )
        return cls(int(seq), digest)


def append(connection: Connection, entries: Sequence[Entry]) -> None:
    """Add entries to the end of the chain, which is locked until the transaction ends."""
    if not entries:
        return
    serialize(connection, ("audit", "chain"))
    found = connection.execute(_END_OF_CHAIN).first()
    head = Head(found.seq, found.hash) if found else Head()
    rows = []
    for entry in entries:
        row: dict[str, Any] = {
            "seq": head.seq + 1,
            "at": entry.at.astimezone(UTC),
            "actor": _storable(entry.actor),
            "action": entry.action,
            "subject": _storable(entry.subject),
            "detail": entry.detail,
            "previous": head.hash,
        }
        row["hash"] = hash_of(row)
        rows.append(row)
        head = Head(row["seq"], row["hash"])
    connection.execute(_INSERT, rows)


def verify(session: Session, expected: Head | None = None) -> Head:
    """Check the whole chain and return its head; raise ``FleetError`` naming the first broken entry.

    With an ``expected`` head the chain must contain that, or its end was cut off or made anew.
    """
    chain = select(_TABLE).order_by(_TABLE.c.seq).execution_options(yield_per=1000)
    return verify_entries(session.execute(chain).mappings(), expected)


def verify_entries(
    entries: Iterable[Mapping[Any, Any]], expected: Head | None = None, head: Head | None = None
) -> Head:
    """Check a chain from wherever it was kept; ``head`` is what it goes on from."""
    head = head or Head()
    for entry in entries:
        if (
            entry["seq"] != head.seq + 1
            or entry["previous"] != head.hash
            or entry["hash"] != hash_of(entry)
            or (expected is not None and entry["seq"] == expected.seq and entry["hash"] != expected.hash)
        ):
            raise _broken(head.seq + 1, "something was edited, removed or added")
        head = Head(entry["seq"], entry["hash"])
    if expected is not None and head.seq < expected.seq:
        raise _broken(head.seq + 1, f"it ends here, and reached to entry {expected.seq}")
    return head


def entries(
    session: Session, *, since: datetime | None = None, after: int = 0, limit: int | None = None
) -> Iterable[Mapping[Any, Any]]:
    """The entries behind one, from the first that is not older than a time."""
    query = select(_TABLE).where(_TABLE.c.seq > after).order_by(_TABLE.c.seq).limit(limit)
    if since is not None:
        first = select(func.min(_TABLE.c.seq)).where(_TABLE.c.at >= since.astimezone(UTC))
        query = query.where(_TABLE.c.seq >= first.scalar_subquery())
    return session.execute(query.execution_options(yield_per=1000)).mappings()


def newest(session: Session, count: int) -> Sequence[Mapping[Any, Any]]:
    """The newest entries, the newest last."""
    query = select(_TABLE).order_by(_TABLE.c.seq.desc()).limit(count)
    return session.execute(query).mappings().all()[::-1]


def hash_of(entry: Mapping[Any, Any]) -> str:
    """The hash of everything in an entry but the hash itself."""
    fields = [entry[name] for name in ("seq", "actor", "action", "subject", "detail", "previous")]
    at = entry["at"].isoformat(timespec="microseconds")
    return hashlib.sha256(_ENCODER.encode([at, *fields]).encode()).hexdigest()


def _broken(seq: int, how: str) -> FleetError:
    return FleetError(
        f"the audit chain is broken at entry {seq}: {how}",
        "compare the registry with a backup from before that entry",
    )


def _storable(text: str) -> str:
    """Text of any origin as every database can keep it: without lone surrogates and NUL."""
    return text.encode(errors="replace").decode().replace("\0", "?")
