# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A device becomes known: its first operational certificate, or another one after it lost the first."""

from datetime import timedelta
from typing import Any

from fleetpki.errors import Code, Rejected
from fleetpki.lifecycle import authorities, issuance
from fleetpki.lifecycle.context import OPERATOR, Context, Transaction
from fleetpki.lifecycle.parties import (
    known_device,
    may_enroll,
    require_bootstrap_sender,
    require_in_service,
)
from fleetpki.lifecycle.terms import Enrolled
from fleetpki.lifecycle.transitions import close
from fleetpki.pki.csr_policy import AcceptedCsr, check_csr
from fleetpki.pki.identifiers import is_device_id
from fleetpki.registry import queries
from fleetpki.registry.models import Certificate, Device, DeviceState, RotationState


def enroll(
    ctx: Context,
    *,
    device_id: str,
    sender: str,
    request_id: str,
    csr_pem: str | None,
    hardware: dict[str, Any] | None = None,
) -> Enrolled:
    """Certify a device's key. The same key again gets the same certificate."""
    with ctx.transaction(sender, "enroll", device_id) as tx:
        require_bootstrap_sender(tx, sender)
        if not is_device_id(device_id):
            raise Rejected(Code.BAD_MESSAGE, "not a device id: 3 to 64 of A-Z a-z 0-9 _ -")
        if csr_pem is None:
            raise Rejected(Code.NOT_ALLOWED, "this fleet makes no keys for devices: send a csr")
        csr = check_csr(csr_pem, device_id)
        device = _known_or_new(tx, device_id, hardware)
        require_in_service(device)
        certificate = _earlier_answer(tx, device, csr) or _record(ctx, tx, device, csr, request_id)
    certificate = issuance.release(ctx, sender, certificate, csr.public_key)
    return Enrolled(
        certificate_pem=certificate.signed_pem,
        chain_pem=authorities.chain(ctx, certificate),
        certificate_id=certificate.signed_id,
        time=ctx.clock(),
    )


def allow_reenrollment(ctx: Context, device_id: str, within: timedelta, *, actor: str = OPERATOR) -> None:
    """Let a device that holds a live certificate enrol once more, say after a factory reset."""
    with ctx.transaction(actor, "allow_reenrollment", device_id) as tx:
        device = known_device(tx, device_id)
        require_in_service(device)
        device.reenroll_until = tx.now + within
        tx.audit("device.reenrollment_allowed", device_id, until=device.reenroll_until.isoformat())


def _known_or_new(tx: Transaction, device_id: str, hardware: dict[str, Any] | None) -> Device:
    device = queries.device(tx.session, device_id, lock=True)
    if device is None:
        device = Device(device_id=device_id, state=DeviceState.ACTIVE, created_at=tx.now, hardware=hardware)
        tx.session.add(device)
        tx.audit("device.created", device_id)
    return device


def _earlier_answer(tx: Transaction, device: Device, csr: AcceptedCsr) -> Certificate | None:
    candidates = (
        queries.pending_certificate(tx.session, device.device_id),
        queries.active_certificate(tx.session, device.device_id),
    )
    for certificate in candidates:
        if certificate and certificate.key_digest == csr.key_digest and certificate.not_after > tx.now:
            return certificate
    return None


def _record(ctx: Context, tx: Transaction, device: Device, csr: AcceptedCsr, request_id: str) -> Certificate:
    if not may_enroll(ctx, tx.session, device.device_id):
        raise Rejected(
            Code.NOT_ALLOWED,
            f"device {device.device_id} has a live certificate; its operator must allow this",
        )
    issuance.require_own_key(tx, device.device_id, csr.key_digest)
    issuance.require_not_replaced(tx, device.device_id, csr.key_digest, request_id)
    rotation = queries.open_rotation(tx.session, device.device_id)
    if rotation is not None:
        close(tx, rotation, RotationState.ABANDONED, Code.STALE, "the device enrolled again")
    return issuance.record(ctx, tx, device, csr.public_key, request_id)
