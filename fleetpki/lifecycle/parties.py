# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Who takes part in a rule, and whether they may."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleetpki.errors import Code, NotFound, Rejected
from fleetpki.lifecycle.context import Context, Transaction
from fleetpki.registry import queries
from fleetpki.registry.models import (
    LIVE_CERTIFICATE,
    Certificate,
    CertificateState,
    Device,
    DeviceState,
    Role,
)


def known_device(tx: Transaction, device_id: str) -> Device:
    """The device an operator names."""
    device = queries.device(tx.session, device_id, lock=True)
    if device is None:
        raise NotFound(f"no device {device_id}", "`fleetpki devices` lists them")
    return device


def free_devices(tx: Transaction, device_ids: Collection[str]) -> dict[str, Device]:
    """Those devices nobody else works on, locked; what is read afterwards stays true."""
    query = select(Device).where(Device.device_id.in_(device_ids)).order_by(Device.device_id)
    devices = tx.session.scalars(query.with_for_update(skip_locked=True))
    return {device.device_id: device for device in devices}


def require_in_service(device: Device) -> None:
    """Refuse a revoked or suspended device."""
    require_not_revoked(device)
    if device.state == DeviceState.SUSPENDED:
        raise Rejected(Code.SUSPENDED, f"device {device.device_id} is suspended")


def require_not_revoked(device: Device) -> None:
    """Refuse a device that was banned for good."""
    if device.state == DeviceState.REVOKED:
        raise Rejected(Code.REVOKED, f"device {device.device_id} is revoked")


def may_enroll(ctx: Context, session: Session, device_id: str) -> bool:
    """Whether a device may come with a bootstrap certificate: it has no live one, or is allowed to."""
    now = ctx.clock()
    active = queries.active_certificate(session, device_id)
    if active is None or active.not_after <= now:
        return True
    device = queries.device(session, device_id)
    return device is not None and (
        may_reenroll(device, now) or queries.has_approved_claim(session, device_id)
    )


def may_reenroll(device: Device, now: datetime) -> bool:
    """Whether an operator has allowed a device to enrol once more, with whatever key."""
    return device.reenroll_until is not None and now <= device.reenroll_until


def require_sender(tx: Transaction, device_id: str, sender: str) -> tuple[Device, Certificate]:
    """The device and the certificate of the connection a message came over; it must be the device's own."""
    device = queries.device(tx.session, device_id, lock=True)
    certificate = queries.certificate(tx.session, sender)
    if device is None or certificate is None or certificate.device_id != device_id:
        raise Rejected(Code.NOT_ALLOWED, f"the connection's certificate is none of device {device_id}")
    require_in_service(device)
    require_live(certificate, tx.now)
    return device, certificate


def require_bootstrap(certificate: Certificate | None, now: datetime) -> Certificate:
    """The bootstrap certificate a request came with; no other is good for enrolling."""
    if certificate is None or certificate.role != Role.BOOTSTRAP:
        raise Rejected(Code.NOT_ALLOWED, "the connection's certificate is no bootstrap certificate")
    require_live(certificate, now)
    return certificate


def require_live(certificate: Certificate, now: datetime) -> None:
    """Refuse a certificate that is not, or no longer, good for connecting."""
    if certificate.state == CertificateState.REVOKED:
        raise Rejected(Code.REVOKED, "the connection's certificate is revoked")
    if certificate.state not in LIVE_CERTIFICATE:
        raise Rejected(Code.STALE, f"the connection's certificate is {certificate.state}")
    if certificate.not_after <= now:
        raise Rejected(Code.EXPIRED, "the connection's certificate has expired")
