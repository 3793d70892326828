# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Messages to be sent once the change that caused them is durable; delivered at least once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import select
from sqlalchemy.orm import Session

from fleetpki.registry.models import OutboxKind, OutboxMessage


def enqueue(
    session: Session,
    kind: OutboxKind,
    body: dict[str, Any],
    at: datetime,
    *,
    device_id: str | None = None,
    certificate_id: str | None = None,
) -> None:
    """Add a message, in place of the same one if that still waits.

    The new message has a new id, so that a dispatcher that just sent the old one does not delete it.
    """
    waiting = select(OutboxMessage).where(
        OutboxMessage.kind == kind,
        OutboxMessage.device_id == device_id,
        OutboxMessage.certificate_id == certificate_id,
    )
    for message in session.scalars(waiting):
        if message.body == body:
            session.delete(message)
    session.add(
        OutboxMessage(kind=kind, device_id=device_id, certificate_id=certificate_id, body=body, created_at=at)
    )


def pending(session: Session, limit: int = 100) -> Sequence[OutboxMessage]:
    """The oldest messages not yet sent."""
    return session.scalars(select(OutboxMessage).order_by(OutboxMessage.id).limit(limit)).all()


def delete(session: Session, message_id: int) -> None:
    """Forget a message that was sent; one already forgotten is fine."""
    session.execute(sql_delete(OutboxMessage).where(OutboxMessage.id == message_id))


def withdraw(session: Session, device_id: str, rotation_ids: Sequence[str]) -> None:
    """Forget what was to be said to a device about a rotation, under any of its names."""
    session.execute(
        sql_delete(OutboxMessage).where(
            OutboxMessage.device_id == device_id,
            OutboxMessage.kind != OutboxKind.DISCONNECT,
            OutboxMessage.body["rotation_id"].as_string().in_(rotation_ids),
        )
    )
