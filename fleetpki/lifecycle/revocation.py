# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Devices and certificates are withdrawn."""

from fleetpki.errors import Code, NotFound
from fleetpki.lifecycle.context import OPERATOR, Context
from fleetpki.lifecycle.parties import known_device
from fleetpki.lifecycle.transitions import close, is_open, revoke, revoke_all
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


def revoke_certificate(ctx: Context, certificate_id: str, reason: str, *, actor: str = OPERATOR) -> None:
    """Withdraw one certificate. A device left without one may enrol again."""
    with ctx.transaction(actor, "revoke_certificate", certificate_id) as tx:
        certificate = queries.certificate(tx.session, certificate_id)
        if certificate is None:
            raise NotFound(f"no certificate {certificate_id}", "`fleetpki show` lists them")
        if certificate.state == CertificateState.REVOKED:
            return
        revoke(tx, certificate, reason)
        rotation = queries.rotation_to(tx.session, certificate)
        if rotation is not None and is_open(rotation):
            close(tx, rotation, RotationState.ABANDONED, Code.REVOKED, reason)
