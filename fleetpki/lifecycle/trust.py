# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The trust anchors devices are to use: a signed document in force, and who does not have it yet.

A device says with every status which version it uses. The monitor sends a new document once to each, a
bounded number in a round; a device that was away gets it when it connects.
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleetpki.errors import Code, Rejected
from fleetpki.lifecycle.context import OPERATOR, Context, Transaction
from fleetpki.registry import outbox
from fleetpki.registry.database import reading
from fleetpki.registry.models import Device, DeviceState, OutboxKind, TrustDocument

MAX_MESSAGE = 8192

_MONITOR = "monitor"
_BATCH = 100


def publish(
    ctx: Context, *, version: int, anchors: Sequence[str], signature: str, actor: str = OPERATOR
) -> TrustDocument:
    """Put a signed list of anchors in force; its version is higher than any before."""
    with ctx.transaction(actor, "publish_trust", "fleet") as tx:
        current = newest(tx.session)
        if version <= (current.version if current else 0):
            raise Rejected(Code.STALE, f"version {version} is not above {current.version if current else 0}")
        document = TrustDocument(
            version=version, anchors=list(anchors), signature=signature, created_at=tx.now
        )
        size = len(json.dumps(_body(document)))
        if size > MAX_MESSAGE:
            raise Rejected(Code.BAD_MESSAGE, f"{size} bytes are more than the {MAX_MESSAGE} devices take")
        tx.session.add(document)
        tx.audit("trust.published", "fleet", version=version, anchors=len(anchors))
        return document


def newest(session: Session) -> TrustDocument | None:
    """The document in force; none: devices use what the factory gave them."""
    return session.scalar(select(TrustDocument).order_by(TrustDocument.version.desc()).limit(1))


def note(tx: Transaction, device: Device, version: int | None, *, has_just_connected: bool) -> None:
    """Keep which anchors a device says it uses, and send it newer ones when it connects."""
    if version is None:
        return
    device.trust_version = version
    device.trust_sent = max(device.trust_sent, version)
    document = newest(tx.session) if has_just_connected else None
    if document is not None and version < document.version:
        _send(tx, device, document)


def send_to_outdated(ctx: Context, limit: int) -> int:
    """Send the document in force to devices it was not sent to yet; how many there were."""
    sent = 0
    while sent < limit and (batch := _send_to_some(ctx, min(_BATCH, limit - sent))):
        sent += batch
    return sent


def _send_to_some(ctx: Context, limit: int) -> int:
    with reading(ctx.sessions) as session:
        document = newest(session)
        if document is None:
            return 0
        behind = select(Device.device_id).where(Device.trust_sent < document.version).limit(limit)
        device_ids = session.scalars(behind).all()
    if not device_ids:
        return 0
    with ctx.transaction(_MONITOR, "send_trust", "fleet") as tx:
        query = select(Device).where(Device.device_id.in_(device_ids), Device.trust_sent < document.version)
        devices = tx.session.scalars(query.with_for_update(skip_locked=True)).all()
        for device in devices:
            _send(tx, device, document)
        return len(devices)


def _send(tx: Transaction, device: Device, document: TrustDocument) -> None:
    device.trust_sent = document.version
    if device.state == DeviceState.ACTIVE:
        outbox.enqueue(tx.session, OutboxKind.TRUST, _body(document), tx.now, device_id=device.device_id)


def _body(document: TrustDocument) -> dict[str, Any]:
    return {"version": document.version, "anchors": document.anchors, "signature": document.signature}
