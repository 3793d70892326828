# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Devices and certificates are withdrawn."""

from sqlalchemy import select

from fleetpki.errors import Code, NotFound
from fleetpki.lifecycle.context import OPERATOR, Context, Transaction
from fleetpki.lifecycle.parties import known_device, require_not_revoked
from fleetpki.lifecycle.transitions import (
    ISSUER_REVOKED,
    close,
    disconnect,
    revoke,
    revoke_all,
)
from fleetpki.registry import queries
from fleetpki.registry.models import (
    Authority,
    AuthorityState,
    Certificate,
    CertificateState,
    Device,
    DeviceState,
    Rotation,
    RotationState,
)

_BATCH = 100
_NOT_REVOKED = tuple(state for state in CertificateState if state != CertificateState.REVOKED)


def revoke_device(ctx: Context, device_id: str, reason: str, *, actor: str = OPERATOR) -> None:
    """Ban a device: all its certificates are revoked and it may not enrol again."""
    with ctx.transaction(actor, "revoke_device", device_id) as tx:
        device = known_device(tx, device_id)
        if device.state == DeviceState.REVOKED:
            return
        device.state = DeviceState.REVOKED
        tx.audit("device.revoked", device_id, reason=reason)
        revoke_all(tx, queries.certificates(tx.session, device_id), reason)
        rotation = queries.open_rotation(tx.session, device_id)
        if rotation is not None:
            close(tx, rotation, RotationState.ABANDONED, Code.REVOKED, reason)


def suspend_device(ctx: Context, device_id: str, reason: str, *, actor: str = OPERATOR) -> None:
    """Keep a device out until it is resumed; its certificates and its rotation wait for it."""
    with ctx.transaction(actor, "suspend_device", device_id) as tx:
        device = known_device(tx, device_id)
        require_not_revoked(device)
        if device.state == DeviceState.SUSPENDED:
            return
        device.state = DeviceState.SUSPENDED
        tx.audit("device.suspended", device_id, reason=reason)
        for certificate in queries.current_certificates(tx.session, device_id):
            disconnect(tx, certificate)


def resume_device(ctx: Context, device_id: str, *, actor: str = OPERATOR) -> None:
    """Let a suspended device in again."""
    with ctx.transaction(actor, "resume_device", device_id) as tx:
        device = known_device(tx, device_id)
        require_not_revoked(device)
        if device.state == DeviceState.ACTIVE:
            return
        device.state = DeviceState.ACTIVE
        tx.audit("device.resumed", device_id)


def revoke_certificate(ctx: Context, certificate_id: str, reason: str, *, actor: str = OPERATOR) -> None:
    """Withdraw one certificate, and the one being made with it: who has a stolen key may have asked for that.

    A device left without one may enrol again.
    """
    with ctx.transaction(actor, "revoke_certificate", certificate_id) as tx:
        certificate = queries.certificate(tx.session, certificate_id)
        if certificate is None:
            raise NotFound(f"no certificate {certificate_id}", "`fleetpki show` lists them")
        if certificate.device_id is not None:  # it may be putting another in its place at this moment
            known_device(tx, certificate.device_id)
            tx.session.refresh(certificate)
        if certificate.state == CertificateState.REVOKED:
            return
        revoke(tx, certificate, reason)
        rotation = _open_rotation(tx, certificate)
        if rotation is not None and certificate in (rotation.old, rotation.new):
            close(tx, rotation, RotationState.ABANDONED, Code.REVOKED, reason)


def revoke_orphans(ctx: Context, *, actor: str = OPERATOR) -> None:
    """Withdraw what revoked authorities have signed; in batches, so that others can write in between."""
    while _revoke_some_orphans(ctx, actor):
        pass


def _revoke_some_orphans(ctx: Context, actor: str) -> int:
    revoked = select(Authority.authority_id).where(Authority.state == AuthorityState.REVOKED)
    is_left = Certificate.state.in_(_NOT_REVOKED)
    orphans = select(Certificate.id, Certificate.device_id).where(Certificate.issuer_id.in_(revoked), is_left)
    with ctx.transaction(actor, "revoke_orphans", "fleet") as tx:
        chosen = tx.session.execute(orphans.limit(_BATCH)).all()
        names = {row.device_id for row in chosen}
        devices = select(Device).where(Device.device_id.in_(names)).order_by(Device.device_id)
        tx.session.scalars(devices.with_for_update()).all()
        still_left = select(Certificate).where(Certificate.id.in_({row.id for row in chosen}), is_left)
        for certificate in tx.session.scalars(still_left).all():
            _revoke_orphan(tx, certificate)
        return len(chosen)


def _revoke_orphan(tx: Transaction, certificate: Certificate) -> None:
    revoke(tx, certificate, ISSUER_REVOKED)
    rotation = _open_rotation(tx, certificate)
    # A device that has its certificate of another authority already may finish.
    if rotation is not None and rotation.new in (None, certificate):
        close(tx, rotation, RotationState.ABANDONED, Code.REVOKED, "its issuing authority is revoked")


def _open_rotation(tx: Transaction, certificate: Certificate) -> Rotation | None:
    device_id = certificate.device_id
    return None if device_id is None else queries.open_rotation(tx.session, device_id)
