# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Who may become a device: the rules in order, each with its code.

1. the batch of the bootstrap certificate is known and enabled, and has devices left (``budget_exceeded``)
2. the device is on the allow-list, unless the batch is open
3. it holds its factory secret, where the batch asks for that
4. it is neither revoked nor suspended
5. the batch is not enrolling too fast (``busy``)

A device that holds a live certificate, or comes with the bootstrap certificate of another batch, is then
judged by a human (``quarantine``).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from fleetpki.errors import Code, Rejected
from fleetpki.lifecycle.context import Transaction
from fleetpki.lifecycle.parties import require_bootstrap, require_in_service
from fleetpki.lifecycle.terms import Application
from fleetpki.pki.factory_secret import is_proven
from fleetpki.registry import queries, tags
from fleetpki.registry.exclusion import serialize
from fleetpki.registry.models import AllowedDevice, Batch, Certificate, Device, DeviceState, Role

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Facts:
    """What is known of an applicant."""

    application: Application
    batch: Batch
    device: Device | None
    allowed: AllowedDevice | None
    batch_secret: bytes | None
    has_places: bool


def gather(
    session: Session,
    application: Application,
    now: datetime,
    batch_secret: Callable[[str], bytes | None],
    *,
    lock: bool,
) -> Facts:
    """Find out about an applicant that came with a bootstrap certificate; locked, it stays true."""
    sender = require_bootstrap(queries.certificate(session, application.sender), now)
    batch = require_batch(session.get(Batch, sender.batch) if sender.batch is not None else None)
    if lock and counts(batch):
        serialize(session.connection(), ("batch", batch.name))
    device = queries.device(session, application.device_id, lock=lock)
    if lock and device is None and serialize(session.connection(), ("device", application.device_id)):
        device = queries.device(session, application.device_id, lock=True)
    return Facts(
        application,
        batch,
        device,
        session.get(AllowedDevice, application.device_id),
        batch_secret(batch.name) if batch.proof else None,
        device is not None or places(session, batch) > 0,
    )


def require_batch(batch: Batch | None) -> Batch:
    """The batch of the bootstrap certificate a request came with."""
    if batch is None:
        raise Rejected(Code.NOT_ALLOWED, "the bootstrap certificate belongs to no batch")
    return batch


def require_admissible(facts: Facts) -> None:
    """Refuse an applicant by the first rule that is against it."""
    for rule in _RULES:
        rule(facts)


def admit(tx: Transaction, facts: Facts) -> Device:
    """Make an admissible applicant a device."""
    device = newcomer(tx, facts)
    tx.session.add(device)
    tx.session.flush()  # what belongs to a device comes after it
    tx.session.add_all(tags.rows_of(device))
    return device


def newcomer(tx: Transaction, facts: Facts) -> Device:
    """The device that an admissible applicant becomes, not yet in the registry."""
    application, allowed = facts.application, facts.allowed
    device = Device(
        device_id=application.device_id,
        state=DeviceState.ACTIVE,
        created_at=tx.now,
        hardware=application.hardware,
        batch=facts.batch.name,
        group=allowed.group if allowed else None,
        tags=allowed.tags if allowed else {},
    )
    tx.audit("device.created", device.device_id, batch=facts.batch.name)
    return device


def is_of_its_batch(facts: Facts, device: Device) -> bool:
    """Whether a known device comes with its own batch, or with the one the allow-list now has it in."""
    listed = facts.allowed.batch if facts.allowed else None
    return facts.batch.name in (device.batch, listed)


def require_pace(session: Session, batch: Batch, now: datetime) -> None:
    """Refuse another certificate to a batch that is enrolling too fast."""
    if batch.rate_per_minute is None:
        return
    full_since = session.scalar(
        select(Certificate.recorded_at)
        .where(*_given_in_the_last_minute(batch, now))
        .order_by(Certificate.recorded_at.desc())
        .offset(batch.rate_per_minute - 1)
        .limit(1)
    )
    if full_since is not None:
        wait_s = max(1, math.ceil((full_since + _MINUTE - now).total_seconds()))
        raise Rejected(Code.BUSY, f"batch {batch.name} enrols too many devices at once", wait_s)


def counts(batch: Batch) -> bool:
    """Whether a batch has to know how many it has enrolled."""
    return batch.budget is not None or batch.rate_per_minute is not None


def places(session: Session, batch: Batch) -> float:
    """How many more devices a batch's budget has room for."""
    if batch.budget is None:
        return math.inf
    enrolled = select(func.count()).select_from(Device).where(Device.batch == batch.name)
    return batch.budget - session.scalars(enrolled).one()


def pace(session: Session, batch: Batch, now: datetime) -> float:
    """How many more certificates a batch may be given at this moment."""
    if batch.rate_per_minute is None:
        return math.inf
    recent = select(func.count()).where(*_given_in_the_last_minute(batch, now))
    return batch.rate_per_minute - session.scalars(recent).one()


def _given_in_the_last_minute(batch: Batch, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Certificate.batch == batch.name,
        Certificate.role == Role.DEVICE,
        Certificate.recorded_at > now - _MINUTE,
        Certificate.recorded_at < now + _MINUTE,  # not by a clock that was ahead
    )


def _batch_is_enabled(facts: Facts) -> None:
    if not facts.batch.enabled:
        raise Rejected(Code.NOT_ALLOWED, f"batch {facts.batch.name} is disabled")


def _batch_has_places(facts: Facts) -> None:
    if not facts.has_places:
        raise Rejected(Code.BUDGET_EXCEEDED, f"batch {facts.batch.name} has enrolled all its devices")


def _device_is_listed(facts: Facts) -> None:
    allowed, batch = facts.allowed, facts.batch
    if allowed is None:
        if not batch.open:
            raise Rejected(Code.NOT_ALLOWED, "the device is not on the allow-list")
    elif allowed.batch not in (None, batch.name):
        raise Rejected(Code.NOT_ALLOWED, "the allow-list has the device in another batch")
    elif allowed.certificate_id not in (None, facts.application.sender):
        raise Rejected(Code.NOT_ALLOWED, "the allow-list has the device with another bootstrap certificate")


def _secret_is_proven(facts: Facts) -> None:
    if not facts.batch.proof:
        return
    application, secret = facts.application, facts.batch_secret
    if secret is None:
        raise Rejected(Code.NOT_ALLOWED, f"the cloud does not have the secret of batch {facts.batch.name}")
    if application.proof is None:
        raise Rejected(Code.NOT_ALLOWED, f"batch {facts.batch.name} asks for a proof")
    if not is_proven(secret, application.device_id, application.csr_pem or "", application.proof):
        raise Rejected(Code.NOT_ALLOWED, "the proof is wrong")


def _device_is_in_service(facts: Facts) -> None:
    if facts.device is not None:
        require_in_service(facts.device)


_RULES = (_batch_is_enabled, _batch_has_places, _device_is_listed, _secret_is_proven, _device_is_in_service)
