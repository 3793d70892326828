# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What is to be sent, and what was done."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from fleetpki.registry.models.base import ORDERED_ID, Base


class OutboxKind(StrEnum):
    """What the dispatcher is to do; all but the last are messages to the device of that name."""

    ROTATE = "rotate"
    ISSUED = "issued"
    COMMIT = "commit"
    TRUST = "trust"
    DISCONNECT = "disconnect"


class OutboxMessage(Base):
    """Something to be sent, written in the transaction that made it necessary. Never holds a secret."""

    __tablename__ = "outbox"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - an id never names two messages

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[OutboxKind]
    device_id: Mapped[str | None] = mapped_column(ORDERED_ID, index=True)
    certificate_id: Mapped[str | None] = mapped_column(String(64))
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class AuditEntry(Base):
    """One link of the audit chain."""

    __tablename__ = "audit"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[dict[str, Any]]
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


Index("outbox_by_kind", OutboxMessage.kind, OutboxMessage.id)
Index("audit_by_subject", AuditEntry.subject, AuditEntry.seq)
Index("audit_by_actor", AuditEntry.actor, AuditEntry.seq)
