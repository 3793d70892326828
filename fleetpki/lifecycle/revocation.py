# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Devices and certificates are withdrawn."""

from fleetpki.errors import Code, NotFound
from fleetpki.lifecycle.context import OPERATOR, Context
from fleetpki.lifecycle.parties import known_device, require_not_revoked
from fleetpki.lifecycle.transitions import close, disconnect, is_open, revoke, revoke_all
from fleetpki.registry import queries
from fleetpki.registry.models import CertificateState, DeviceState, RotationState


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
    """Withdraw one certificate. A device left without one may enrol again."""
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
        rotation = queries.rotation_to(tx.session, certificate)
        if rotation is not None and is_open(rotation):
            close(tx, rotation, RotationState.ABANDONED, Code.REVOKED, reason)
