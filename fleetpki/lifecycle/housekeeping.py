# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What time does: unused and superseded certificates, overdue rotations and OCSP signers come to an end."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from fleetpki.errors import Code
from fleetpki.lifecycle.context import CLOUD, Context, Transaction
from fleetpki.lifecycle.parties import free_devices
from fleetpki.lifecycle.transitions import WITHOUT_CERTIFICATE, close, close_if_overdue, revoke
from fleetpki.registry import queries
from fleetpki.registry.models import (
    PENDING_CERTIFICATE,
    Authority,
    AuthorityKind,
    Certificate,
    CertificateState,
    Rotation,
    RotationState,
)

_BATCH = 500


def collect_unactivated(ctx: Context) -> int:
    """End what is overdue and return how much that was; in batches, so that others can write in between."""
    total = 0
    while ended := _collect_some(ctx):
        total += ended
    return total


def _collect_some(ctx: Context) -> int:
    with ctx.transaction(CLOUD, "collect", "fleet") as tx:
        unused, superseded, late = _is_unused(ctx, tx.now), _is_superseded(ctx, tx.now), _is_late(tx.now)
        devices = free_devices(tx, _devices_of(tx, unused, superseded, late))
        ended = 0
        for certificate in _certificates(tx, unused, devices):
            _discard(tx, certificate)
            ended += 1
        for certificate in _certificates(tx, superseded, devices):
            revoke(tx, certificate, "superseded")
            ended += 1
        overdue = select(Rotation).where(late, Rotation.device_id.in_(devices))
        for rotation in tx.session.scalars(overdue).all():
            ended += close_if_overdue(tx, rotation)
        for signer in _expired_signers(tx):
            tx.audit("ocsp_signer.ended", signer.name, authority_id=signer.authority_id)
            tx.session.delete(signer)
            ended += 1
        return ended


def _devices_of(
    tx: Transaction, unused: ColumnElement[bool], superseded: ColumnElement[bool], late: ColumnElement[bool]
) -> set[str]:
    """Some devices with something overdue; whether it still is, is told under their locks."""
    held = Certificate.device_id.is_not(None)
    affected = (
        select(Certificate.device_id).where(unused, held),
        select(Certificate.device_id).where(superseded, held),
        select(Rotation.device_id).where(late),
    )
    return {str(name) for query in affected for name in tx.session.scalars(query.limit(_BATCH))}


def _certificates(
    tx: Transaction, condition: ColumnElement[bool], devices: Collection[str]
) -> Sequence[Certificate]:
    """Those of locked devices and, locked themselves, those that are no device's."""
    ours = or_(Certificate.device_id.in_(devices), Certificate.device_id.is_(None))
    query = select(Certificate).where(condition, ours).order_by(Certificate.id).limit(_BATCH)
    return tx.session.scalars(query.with_for_update(skip_locked=True)).all()


def _is_unused(ctx: Context, now: datetime) -> ColumnElement[bool]:
    # A candidate seen on a connection waits for the device's word, however long that takes.
    proven = select(Rotation.new_key).where(
        Rotation.state == RotationState.COMMITTING, Rotation.new_key.is_not(None)
    )
    return and_(
        Certificate.state.in_(PENDING_CERTIFICATE),
        _is_far_from(now, Certificate.recorded_at, ctx.policy.activation_window),
        Certificate.id.not_in(proven),
    )


def _is_superseded(ctx: Context, now: datetime) -> ColumnElement[bool]:
    return and_(
        Certificate.state == CertificateState.SUPERSEDED,
        _is_far_from(now, Certificate.superseded_at, ctx.policy.superseded_grace),
    )


def _is_far_from(
    now: datetime, at: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None], by: timedelta
) -> ColumnElement[bool]:
    """Whether something was that long ago, or is that far ahead: then our clock was, and is right again."""
    return ~at.between(now - by, now + by)


def _is_late(now: datetime) -> ColumnElement[bool]:
    return and_(Rotation.state.in_(WITHOUT_CERTIFICATE), Rotation.deadline < now)


def _discard(tx: Transaction, certificate: Certificate) -> None:
    rotation = queries.rotation_to(tx.session, certificate)
    if rotation is None:
        revoke(tx, certificate, "unactivated")
    else:
        message = "the device did not use its new certificate in time"
        close(tx, rotation, RotationState.ABANDONED, Code.DEADLINE_PASSED, message)


def _expired_signers(tx: Transaction) -> list[Authority]:
    """Processes make them and end; nobody else would ever forget them."""
    query = select(Authority).where(Authority.kind == AuthorityKind.OCSP, Authority.not_after <= tx.now)
    return list(tx.session.scalars(query.limit(_BATCH).with_for_update(skip_locked=True)))
