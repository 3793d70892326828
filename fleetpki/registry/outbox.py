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
    """Messages not yet sent, the oldest first, but before all others those that end a session."""
    oldest = select(OutboxMessage).order_by(OutboxMessage.id)
    urgent = session.scalars(oldest.where(OutboxMessage.kind == OutboxKind.DISCONNECT).limit(limit)).all()
    others = oldest.where(OutboxMessage.kind != OutboxKind.DISCONNECT).limit(limit - len(urgent))
    return [*urgent, *session.scalars(others)]


def delete(session: Session, message_ids: Sequence[int]) -> None:
    """Forget messages that were sent; one already forgotten is fine.

    One that a rule is at work on is left: a sender that waited for rules could wait in a circle.
    """
    free = select(OutboxMessage.id).where(OutboxMessage.id.in_(message_ids))
    session.execute(
        sql_delete(OutboxMessage).where(OutboxMessage.id.in_(free.with_for_update(skip_locked=True))),
        execution_options={"synchronize_session": False},
    )


def withdraw(session: Session, device_id: str, rotation_ids: Sequence[str]) -> None:
    """Forget what was to be said to a device about a rotation, under any of its names."""
    session.execute(
        sql_delete(OutboxMessage).where(
            OutboxMessage.device_id == device_id,
            OutboxMessage.kind != OutboxKind.DISCONNECT,
            OutboxMessage.body["rotation_id"].as_string().in_(rotation_ids),
        )
    )
