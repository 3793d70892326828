# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A device gets a new certificate while the old one keeps working.

By CSR the device makes the key; pushed, the key was made elsewhere. Either way the new certificate is a
candidate until the device has been seen connected with it (``status``).
"""

import math
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import select

from fleetpki.errors import Code, FleetError, Rejected
from fleetpki.lifecycle import authorities, issuance
from fleetpki.lifecycle.context import OPERATOR, Context, Transaction
from fleetpki.lifecycle.parties import known_device, require_in_service, require_sender
from fleetpki.lifecycle.terms import Issued, KeyRequest, PushedCredential
from fleetpki.lifecycle.transitions import (
    BEFORE_STAGED,
    activate_enrolled,
    advance,
    await_answer,
    close,
    close_if_fallen_back,
    close_if_overdue,
    is_open,
    meet,
    revoke,
    send_rotate,
)
from fleetpki.pki import keys
from fleetpki.pki.csr_policy import AcceptedCsr, check_csr
from fleetpki.pki.keys import KeyType
from fleetpki.registry import queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import (
    LIVE_CERTIFICATE,
    PENDING_CERTIFICATE,
    Certificate,
    CertificateState,
    Device,
    Initiator,
    Rotation,
    RotationMode,
    RotationState,
)

EXPIRING = "expiring"
"""The reason a device gives when it renews on its own."""

_HOUR = timedelta(hours=1)
_RENEWALS_PER_HOUR = 6
"""So many certificates a device gets in an hour that nobody has asked it to renew."""

_MAX_ID_CHARACTERS = 64
_WITHOUT_CANDIDATE = (RotationState.REQUESTED, RotationState.ACCEPTED)
_FINAL = (Code.BAD_CSR, Code.WEAK_KEY, Code.WRONG_SUBJECT, Code.KEY_MISMATCH)


class Occupied(Rejected):
    """The device is getting another certificate already."""


def start_rotation(
    ctx: Context,
    device_id: str,
    *,
    key: KeyRequest,
    deadline: datetime | None = None,
    actor: str = OPERATOR,
) -> Rotation:
    """Ask a device to make a key and send a request for it; it hears of it now or when it connects."""
    with ctx.transaction(actor, "rotate", device_id) as tx:
        if deadline is not None and deadline <= tx.now:
            raise Rejected(Code.DEADLINE_PASSED, "the deadline has passed already")
        return ask_to_rotate(ctx, tx, device_id, Initiator.OPERATOR, key, deadline=deadline)


def ask_to_rotate(
    ctx: Context,
    tx: Transaction,
    device_id: str,
    initiator: Initiator,
    key: KeyRequest,
    *,
    deadline: datetime | None = None,
    campaign_id: str | None = None,
) -> Rotation:
    """Begin a rotation by CSR, as part of a larger transaction."""
    device, active = _require_idle(ctx, tx, device_id)
    rotation = _open(tx, device, active, str(uuid.uuid4()), RotationMode.CSR, initiator, key)
    rotation.deadline = deadline
    rotation.campaign_id = campaign_id
    send_rotate(tx, rotation)
    await_answer(tx, rotation)
    return rotation


def push_rotation(
    ctx: Context, device_id: str, *, key: KeyRequest, actor: str = OPERATOR
) -> tuple[Rotation, PushedCredential]:
    """Make key and certificate here. The key is in the answer and nowhere else: send it at once."""
    if key == KeyRequest.SAME:
        raise Rejected(Code.UNSUPPORTED, "the device's own key cannot be pushed: rotate by CSR")
    private_key = keys.generate(KeyType(key))
    public_key = private_key.public_key()
    with ctx.transaction(actor, "push", device_id) as tx:
        device, active = _require_idle(ctx, tx, device_id)
        rotation = _open(tx, device, active, str(uuid.uuid4()), RotationMode.PUSH, Initiator.OPERATOR, key)
        recorded = issuance.record_device(ctx, tx, device_id, public_key, rotation.rotation_id)
        rotation.new = recorded
    certificate = issuance.release(ctx, actor, recorded, public_key)
    credential = PushedCredential(
        certificate_pem=certificate.signed_pem,
        chain_pem=authorities.chain(ctx, certificate),
        certificate_id=certificate.signed_id,
        private_key_pem=keys.private_key_pem(private_key).decode("ascii"),
    )
    with reading(ctx.sessions) as session:
        return session.get_one(Rotation, (device_id, rotation.rotation_id)), credential


def issue_for(ctx: Context, device_id: str, csr_pem: str, *, actor: str = OPERATOR) -> Certificate:
    """Certify a key the operator holds, to be pushed by hand: the rotation's id is the certificate's."""
    with ctx.transaction(actor, "issue", device_id) as tx:
        known_device(tx, device_id)
        csr = check_csr(csr_pem, device_id)
        recorded = queries.pending_certificate(tx.session, device_id)
        if recorded is None or recorded.key_digest != csr.key_digest:
            _require_idle(ctx, tx, device_id)
            _require_fresh_key(issuance.holders_of(tx, csr.key_digest), device_id)
            recorded = issuance.record_device(ctx, tx, device_id, csr.public_key, None)
    if recorded.state != CertificateState.RECORDED:
        return recorded
    with ctx.auditing_refusals(actor, "issue", device_id):
        signed = issuance.sign(ctx, recorded, csr.public_key)
    with ctx.transaction(actor, "issue", device_id) as tx:
        certificate = issuance.complete(tx, recorded, signed)
        if queries.rotation_to(tx.session, certificate) is None:
            device, active = _require_certified(tx, device_id)
            rotation_id = certificate.signed_id
            rotation = _open(
                tx, device, active, rotation_id, RotationMode.PUSH, Initiator.OPERATOR, csr.key_type
            )
            rotation.new = certificate
            advance(tx, rotation, RotationState.ISSUED)
        return certificate


def answer_csr(
    ctx: Context, *, device_id: str, sender: str, rotation_id: str, csr_pem: str, reason: str | None = None
) -> Issued:
    """Certify the key a device made for a rotation. The same key again gets the same certificate."""
    with ctx.transaction(sender, "csr", device_id) as tx:
        device, certificate = require_sender(tx, device_id, sender)
        activate_enrolled(tx, device, certificate)
        rotation = _rotation_named(tx, device, rotation_id)
        with _closing_on_refusal(tx, rotation):
            csr = check_csr(csr_pem, device_id)
        if rotation is None:
            rotation = _begin_renewal(ctx, tx, device, certificate, rotation_id, reason, csr)
        with _closing_on_refusal(tx, rotation):
            recorded = _answer_to(ctx, tx, device, rotation, csr)
    issued = issuance.release(ctx, sender, recorded, csr.public_key)
    return Issued(rotation_id, issued.signed_pem, authorities.chain(ctx, issued), issued.signed_id)


def abandon_rotation(
    ctx: Context, device_id: str, rotation_id: str, code: Code, message: str, *, actor: str = OPERATOR
) -> None:
    """Give a rotation up, say because a pushed command found nobody listening."""
    with ctx.transaction(actor, "abandon", device_id) as tx:
        known_device(tx, device_id)
        rotation = queries.rotation(tx.session, device_id, rotation_id)
        if rotation is None:
            raise FleetError(f"device {device_id} has no rotation {rotation_id}", exit_code=2)
        if rotation.state == RotationState.COMMITTING:
            raise Rejected(Code.NOT_ALLOWED, "the device works with the new certificate already")
        if is_open(rotation):
            close(tx, rotation, RotationState.ABANDONED, code, message)


def _require_idle(ctx: Context, tx: Transaction, device_id: str) -> tuple[Device, Certificate]:
    """A device that has a live certificate and is getting no other."""
    device, active = _require_certified(tx, device_id)
    rotation = queries.open_rotation(tx.session, device_id)
    if rotation is not None and not close_if_overdue(tx, rotation):
        raise _busy(ctx, f"rotation {rotation.rotation_id} is {rotation.state}")
    pending = queries.pending_certificate(tx.session, device_id)
    if pending is not None and pending.state == CertificateState.ISSUED:
        raise _busy(ctx, f"device {device_id} is enrolling again")
    if pending is not None:
        revoke(tx, pending, "interrupted")
    return device, active


def _require_certified(tx: Transaction, device_id: str) -> tuple[Device, Certificate]:
    device = known_device(tx, device_id)
    require_in_service(device)
    active = queries.active_certificate(tx.session, device_id)
    if active is None or active.not_after <= tx.now:
        raise Rejected(Code.NOT_ALLOWED, f"device {device_id} has no live certificate: it must enrol first")
    return device, active


def _busy(ctx: Context, message: str) -> Occupied:
    return Occupied(Code.BUSY, message, ctx.policy.busy_retry_after_s)


def _open(
    tx: Transaction,
    device: Device,
    active: Certificate,
    rotation_id: str,
    mode: RotationMode,
    initiator: Initiator,
    key: str,
) -> Rotation:
    rotation = Rotation(
        device_id=device.device_id,
        rotation_id=rotation_id,
        mode=mode,
        initiator=initiator,
        key=key,
        state=RotationState.REQUESTED,
        old=active,
        created_at=tx.now,
        updated_at=tx.now,
    )
    tx.session.add(rotation)
    tx.session.flush()
    tx.audit("rotation.requested", device.device_id, rotation_id=rotation_id, mode=mode, key=key)
    return rotation


def _rotation_named(tx: Transaction, device: Device, rotation_id: str) -> Rotation | None:
    """The rotation a request is for, if it exists; it must be one that takes requests."""
    if not 1 <= len(rotation_id) <= _MAX_ID_CHARACTERS:
        raise Rejected(Code.BAD_MESSAGE, f"a rotation id has 1 to {_MAX_ID_CHARACTERS} characters")
    rotation = queries.rotation(tx.session, device.device_id, rotation_id)
    if rotation is None:
        return None
    if rotation.mode == RotationMode.PUSH:
        raise Rejected(Code.NOT_ALLOWED, "the key of this rotation is pushed, not requested")
    if close_if_overdue(tx, rotation):
        raise Rejected(Code.DEADLINE_PASSED, "the rotation's deadline has passed")
    return rotation


@contextmanager
def _closing_on_refusal(tx: Transaction, rotation: Rotation | None) -> Iterator[None]:
    """End a rotation whose request can only be refused again; one that got its certificate goes on."""
    try:
        yield
    except Rejected as refusal:
        if rotation is not None and rotation.state in _WITHOUT_CANDIDATE and refusal.code in _FINAL:
            close(tx, rotation, RotationState.REJECTED, refusal.code, refusal.message)
        raise


def _begin_renewal(
    ctx: Context,
    tx: Transaction,
    device: Device,
    sender: Certificate,
    rotation_id: str,
    reason: str | None,
    csr: AcceptedCsr,
) -> Rotation:
    """What the device asked for: in place of an older renewal, or as the rotation it was asked for."""
    if reason != EXPIRING:
        raise Rejected(Code.NOT_ALLOWED, "there is no such rotation")
    current = queries.open_rotation(tx.session, device.device_id)
    if current is not None and _has_ended(ctx, tx, current, sender):
        current = None
    if current is not None:
        if _asks_the_same(current, csr):
            meet(tx, current, rotation_id)
            return current
        own = current.initiator == Initiator.DEVICE and current.state in BEFORE_STAGED
        if not own or current.new is sender:
            raise _busy(ctx, f"rotation {current.rotation_id} is {current.state}")
    _require_pace(tx, device)
    if current is not None:
        close(tx, current, RotationState.ABANDONED, Code.STALE, "the device began another rotation")
    _, active = _require_certified(tx, device.device_id)
    key = KeyRequest.SAME if csr.key_digest == active.key_digest else csr.key_type
    return _open(tx, device, active, rotation_id, RotationMode.CSR, Initiator.DEVICE, key)


def _asks_the_same(rotation: Rotation, csr: AcceptedCsr) -> bool:
    """Whether a device does on its own what it was asked for and has not answered."""
    if rotation.initiator == Initiator.DEVICE or rotation.mode == RotationMode.PUSH:
        return False
    keeps_key = csr.key_digest == rotation.old.key_digest
    wanted = keeps_key if rotation.key == KeyRequest.SAME else not keeps_key and csr.key_type == rotation.key
    return wanted and rotation.state == RotationState.REQUESTED


def _has_ended(ctx: Context, tx: Transaction, rotation: Rotation, sender: Certificate) -> bool:
    """Close a rotation that is over without anybody having said so."""
    if close_if_overdue(tx, rotation):
        return True
    return rotation.new is not sender and close_if_fallen_back(ctx, tx, rotation)


def _answer_to(
    ctx: Context, tx: Transaction, device: Device, rotation: Rotation, csr: AcceptedCsr
) -> Certificate:
    earlier = rotation.new
    if (
        earlier is not None
        and earlier.key_digest == csr.key_digest
        and earlier.state in (*PENDING_CERTIFICATE, *LIVE_CERTIFICATE)
    ):
        return earlier
    if rotation.state not in BEFORE_STAGED:
        raise Rejected(Code.STALE, f"the rotation is {rotation.state}")
    holders = issuance.holders_of(tx, csr.key_digest)
    issuance.require_not_replaced(holders, device.device_id, rotation.rotation_id)
    if earlier is not None:
        _require_pace(tx, device)
    _require_asked_key(holders, rotation, csr)
    issuance.replace_unused(tx, device)
    recorded = issuance.record_device(ctx, tx, device.device_id, csr.public_key, rotation.rotation_id)
    rotation.new = recorded
    return recorded


def _require_pace(tx: Transaction, device: Device) -> None:
    """Refuse a device that asks for too many certificates; one for a rotation we asked for does not count."""
    asked_for = select(Rotation.new_key).where(
        Rotation.device_id == device.device_id,
        Rotation.initiator != Initiator.DEVICE,
        Rotation.new_key.is_not(None),
    )
    full_since = tx.session.scalar(
        select(Certificate.recorded_at)
        .where(
            Certificate.device_id == device.device_id,
            Certificate.batch.is_(None),  # not enrolled
            Certificate.recorded_at > tx.now - _HOUR,
            Certificate.recorded_at < tx.now + _HOUR,  # not by a clock that was ahead
            Certificate.id.not_in(asked_for),
        )
        .order_by(Certificate.recorded_at.desc())
        .offset(_RENEWALS_PER_HOUR - 1)
        .limit(1)
    )
    if full_since is not None:
        wait_s = max(1, math.ceil((full_since + _HOUR - tx.now).total_seconds()))
        raise Rejected(Code.BUSY, "the device has asked for too many certificates in an hour", wait_s)


def _require_asked_key(holders: Sequence[Certificate], rotation: Rotation, csr: AcceptedCsr) -> None:
    if rotation.key == KeyRequest.SAME:
        if csr.key_digest != rotation.old.key_digest:
            raise Rejected(Code.KEY_MISMATCH, "the rotation keeps the current key; the request has another")
        return
    if csr.key_type != rotation.key:
        raise Rejected(Code.KEY_MISMATCH, f"the rotation asks for {rotation.key}, not {csr.key_type}")
    _require_fresh_key(holders, rotation.device_id)


def _require_fresh_key(holders: Sequence[Certificate], device_id: str) -> None:
    issuance.require_own_key(holders, device_id)
    if any(certificate.activated_at is not None for certificate in holders):
        raise Rejected(Code.KEY_MISMATCH, "the rotation asks for a new key; this one has been in use")
