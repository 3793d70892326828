# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Looks at every certificate when it is time to: asks for its renewal, repeats what got lost, raises alerts.

Nothing is searched for: each certificate carries the time of the next look (``look_at``), each open rotation
that of its next repetition. A pass takes what is due, in small transactions under the device's lock, so any
number of monitors may run at once. What a pass does not get to, the next one does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from fleetpki.errors import Code, Rejected
from fleetpki.lifecycle import renewal
from fleetpki.lifecycle.alerts import reconcile
from fleetpki.lifecycle.context import Context, Transaction
from fleetpki.lifecycle.parties import free_devices
from fleetpki.lifecycle.rotation import ask_to_rotate
from fleetpki.lifecycle.terms import KeyRequest
from fleetpki.lifecycle.transitions import say_again
from fleetpki.lifecycle.watch import Failure, Sight, judge
from fleetpki.pki import keys
from fleetpki.registry import queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import (
    OPEN_ROTATION,
    Alert,
    Certificate,
    CertificateState,
    Device,
    DeviceState,
    Initiator,
    Rotation,
    RotationState,
)

MONITOR = "monitor"

_BATCH = 100
_FAILED = (RotationState.REJECTED, RotationState.ROLLED_BACK, RotationState.ABANDONED)


@dataclass(frozen=True)
class Tally:
    """What a pass of the monitor did."""

    looked_at: int = 0
    renewals: int = 0
    repeated: int = 0
    raised: int = 0
    cleared: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(
            self.looked_at + other.looked_at,
            self.renewals + other.renewals,
            self.repeated + other.repeated,
            self.raised + other.raised,
            self.cleared + other.cleared,
        )


def watch(ctx: Context, limit: int) -> Tally:
    """One pass: at most ``limit`` looks, and as many repetitions, so that no pass makes a storm."""
    tally = Tally()
    while tally.looked_at < limit:
        batch = _look_at_some(ctx, min(_BATCH, limit - tally.looked_at))
        if batch.looked_at == 0:
            break
        tally += batch
    while tally.repeated < limit:
        batch = _repeat_some(ctx, min(_BATCH, limit - tally.repeated))
        if batch.repeated == 0:
            break
        tally += batch
    return tally


def backlog(ctx: Context) -> int:
    """How many certificates the monitor should have looked at by now."""
    with reading(ctx.sessions) as session:
        return session.scalar(select(func.count()).where(Certificate.look_at <= ctx.clock())) or 0


def _look_at_some(ctx: Context, limit: int) -> Tally:
    with reading(ctx.sessions) as session:
        due = _due(session, Certificate.device_id, Certificate.look_at, ctx, limit)
    if not due:
        return Tally()
    with ctx.transaction(MONITOR, "watch", "fleet") as tx:
        devices = free_devices(tx, due)
        certificates = tx.session.scalars(
            select(Certificate).where(Certificate.device_id.in_(devices), Certificate.look_at <= tx.now)
        ).all()
        asked = _open_rotations(tx, list(devices))
        failures = _failures(tx, certificates)
        alerts = queries.open_alerts(tx.session, list(devices))
        tally = Tally()
        for certificate in certificates:
            device = devices[str(certificate.device_id)]
            rotation = asked.get(device.device_id)
            known = [alert for alert in alerts if alert.subject == device.device_id]
            tally += _look(ctx, tx, device, certificate, rotation, failures.get(certificate.id), known)
        return tally


def _look(
    ctx: Context,
    tx: Transaction,
    device: Device,
    certificate: Certificate,
    rotation: Rotation | None,
    failure: Failure | None,
    known: Sequence[Alert],
) -> Tally:
    if certificate.state != CertificateState.ACTIVE:  # what was wrong with it is so no more
        certificate.look_at = None
        raised, cleared = reconcile(ctx, tx, device.device_id, {}, known)
        return Tally(looked_at=1, raised=raised, cleared=cleared)
    sight = Sight(
        device_id=device.device_id,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        in_service=device.state == DeviceState.ACTIVE,
        heard_at=device.last_seen_at,
        asked_at=rotation.created_at if rotation else None,
        failure=failure,
    )
    judgement = judge(sight, tx.now)
    certificate.look_at = judgement.look_at
    asked = judgement.renew and _ask(ctx, tx, certificate, failure)
    raised, cleared = reconcile(ctx, tx, device.device_id, judgement.concerns, known)
    return Tally(looked_at=1, renewals=int(asked), raised=raised, cleared=cleared)


def _ask(ctx: Context, tx: Transaction, certificate: Certificate, failure: Failure | None) -> bool:
    try:
        ask_to_rotate(
            ctx,
            tx,
            str(certificate.device_id),
            Initiator.MONITOR,
            _key_for(certificate, failure),
            deadline=certificate.not_after,
        )
    except Rejected:  # it is getting another certificate some other way; that or this look will see
        pause = timedelta(seconds=ctx.policy.busy_retry_after_s)
        certificate.look_at = min(certificate.not_after, tx.now + pause)
        return False
    return True


def _key_for(certificate: Certificate, failure: Failure | None) -> KeyRequest:
    """A key like the one it has; a device that can make none renews on it."""
    if failure is not None and failure.last_code == Code.UNSUPPORTED:
        return KeyRequest.SAME
    public_key = x509.load_pem_x509_certificate(certificate.signed_pem.encode()).public_key()
    _, key_type = keys.accept(public_key)
    return next((request for request in KeyRequest if request == str(key_type)), KeyRequest.EC_P256)


def _repeat_some(ctx: Context, limit: int) -> Tally:
    with reading(ctx.sessions) as session:
        due = _due(session, Rotation.device_id, Rotation.repeat_at, ctx, limit)
    if not due:
        return Tally()
    with ctx.transaction(MONITOR, "repeat", "fleet") as tx:
        devices = free_devices(tx, due)
        rotations = tx.session.scalars(
            select(Rotation).where(Rotation.device_id.in_(devices), Rotation.repeat_at <= tx.now)
        ).all()
        for rotation in rotations:
            if say_again(ctx, tx, rotation):
                rotation.repeats += 1
                rotation.repeat_at = renewal.repeat_at(tx.now, rotation.repeats, rotation.rotation_id)
            else:
                rotation.repeat_at = None
        return Tally(repeated=len(rotations))


def _due(
    session: Session,
    device_id: InstrumentedAttribute[str | None] | InstrumentedAttribute[str],
    at: InstrumentedAttribute[object],
    ctx: Context,
    limit: int,
) -> list[str]:
    """The devices whose time has come first."""
    query = select(device_id).where(at <= ctx.clock()).order_by(at).limit(limit)
    return [str(name) for name in session.scalars(query)]


def _open_rotations(tx: Transaction, device_ids: Sequence[str]) -> dict[str, Rotation]:
    query = select(Rotation).where(Rotation.device_id.in_(device_ids), Rotation.state.in_(OPEN_ROTATION))
    return {rotation.device_id: rotation for rotation in tx.session.scalars(query)}


def _failures(tx: Transaction, certificates: Sequence[Certificate]) -> dict[int, Failure]:
    """How often, and how the last time, each certificate failed to be replaced."""
    certificate_ids = [certificate.id for certificate in certificates]
    device_ids = [certificate.device_id for certificate in certificates]
    of_these: ColumnElement[bool] = Rotation.device_id.in_(device_ids) & Rotation.old_key.in_(certificate_ids)
    failed = select(Rotation).where(of_these, Rotation.state.in_(_FAILED)).order_by(Rotation.updated_at)
    failures: dict[int, Failure] = {}
    for rotation in tx.session.scalars(failed):
        before = failures.get(rotation.old_key)
        failures[rotation.old_key] = Failure(
            before.count + 1 if before else 1,
            rotation.updated_at,
            rotation.state,
            rotation.code,
            rotation.message,
        )
    return failures
