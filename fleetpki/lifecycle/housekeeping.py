# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What time does: unused and superseded certificates, overdue rotations and OCSP signers come to an end."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute

from fleetpki.errors import Code
from fleetpki.lifecycle.context import CLOUD, Context, Transaction
from fleetpki.lifecycle.transitions import close, close_if_overdue, revoke
from fleetpki.registry import queries
from fleetpki.registry.models import (
    OPEN_ROTATION,
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
        unused = _unused(ctx, tx)
        for certificate in unused:
            _discard(tx, certificate)
        superseded = _superseded(ctx, tx)
        for certificate in superseded:
            revoke(tx, certificate, "superseded")
        signers = _expired_signers(tx)
        for signer in signers:
            tx.audit("ocsp_signer.ended", signer.name, authority_id=signer.authority_id)
            tx.session.delete(signer)
        late = sum(close_if_overdue(tx, rotation) for rotation in _late(tx))
        return len(unused) + len(superseded) + len(signers) + late


def _unused(ctx: Context, tx: Transaction) -> list[Certificate]:
    # A candidate seen on a connection waits for the device's word, however long that takes.
    proven = select(Rotation.new_key).where(
        Rotation.state == RotationState.COMMITTING, Rotation.new_key.is_not(None)
    )
    query = select(Certificate).where(
        Certificate.state.in_(PENDING_CERTIFICATE),
        _is_far_from(tx.now, Certificate.recorded_at, ctx.policy.activation_window),
        Certificate.id.not_in(proven),
    )
    return list(tx.session.scalars(query.limit(_BATCH)))


def _discard(tx: Transaction, certificate: Certificate) -> None:
    rotation = queries.rotation_to(tx.session, certificate)
    if rotation is None:
        revoke(tx, certificate, "unactivated")
    else:
        message = "the device did not use its new certificate in time"
        close(tx, rotation, RotationState.ABANDONED, Code.DEADLINE_PASSED, message)


def _superseded(ctx: Context, tx: Transaction) -> list[Certificate]:
    query = select(Certificate).where(
        Certificate.state == CertificateState.SUPERSEDED,
        _is_far_from(tx.now, Certificate.superseded_at, ctx.policy.superseded_grace),
    )
    return list(tx.session.scalars(query.limit(_BATCH)))


def _is_far_from(
    now: datetime, at: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None], by: timedelta
) -> ColumnElement[bool]:
    """Whether something was that long ago, or is that far ahead: then our clock was, and is right again."""
    return ~at.between(now - by, now + by)


def _late(tx: Transaction) -> list[Rotation]:
    query = select(Rotation).where(Rotation.state.in_(OPEN_ROTATION), Rotation.deadline < tx.now)
    return list(tx.session.scalars(query.limit(_BATCH)))


def _expired_signers(tx: Transaction) -> list[Authority]:
    """Processes make them and end; nobody else would ever forget them."""
    query = select(Authority).where(Authority.kind == AuthorityKind.OCSP, Authority.not_after <= tx.now)
    return list(tx.session.scalars(query.limit(_BATCH).with_for_update(skip_locked=True)))
