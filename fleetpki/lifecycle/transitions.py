# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The changes of state. Every one is made here, with its audit entry and what must be sent because of it."""

from collections.abc import Iterable

from fleetpki.errors import Code
from fleetpki.lifecycle import authorities, renewal
from fleetpki.lifecycle.context import Context, Transaction
from fleetpki.registry import outbox, queries
from fleetpki.registry.models import (
    OPEN_ROTATION,
    PENDING_CERTIFICATE,
    Certificate,
    CertificateState,
    Device,
    Initiator,
    OutboxKind,
    Rotation,
    RotationMode,
    RotationState,
)
from fleetpki.times import rfc3339

REPLACED = "replaced"
ISSUER_REVOKED = "issuer_revoked"
WITHOUT_CERTIFICATE = (RotationState.REQUESTED, RotationState.ACCEPTED)
BEFORE_STAGED = (*WITHOUT_CERTIFICATE, RotationState.ISSUED)


def is_open(rotation: Rotation) -> bool:
    """Whether the rotation still has an end to come to."""
    return rotation.state in OPEN_ROTATION


def advance(tx: Transaction, rotation: Rotation, state: RotationState) -> None:
    """Move an open rotation forward; a late message never moves it back."""
    if OPEN_ROTATION.index(state) <= OPEN_ROTATION.index(rotation.state):
        return
    rotation.state = state
    rotation.updated_at = tx.now
    await_answer(tx, rotation)
    tx.audit(f"rotation.{state}", rotation.device_id, rotation_id=rotation.rotation_id)


def close(
    tx: Transaction, rotation: Rotation, state: RotationState, code: str | None, message: str | None
) -> None:
    """End a rotation without success: its new certificate, never the current one, is revoked."""
    rotation.state = state
    rotation.updated_at = tx.now
    rotation.code = code
    rotation.message = message
    rotation.repeat_at = None
    if rotation.old.state == CertificateState.ACTIVE:
        rotation.old.look_at = tx.now
    _withdraw(tx, rotation)
    tx.audit(
        f"rotation.{state}",
        rotation.device_id,
        rotation_id=rotation.rotation_id,
        code=code,
        message=message,
    )
    if rotation.new is not None and rotation.new.state in PENDING_CERTIFICATE:
        revoke(tx, rotation.new, reason=state)


def commit(tx: Transaction, device: Device, rotation: Rotation, new: Certificate) -> None:
    """End a rotation with success: the new certificate takes the old one's place."""
    rotation.state = RotationState.COMMITTED
    rotation.updated_at = tx.now
    rotation.repeat_at = None
    _withdraw(tx, rotation)
    tx.audit("rotation.committed", rotation.device_id, rotation_id=rotation.rotation_id)
    activate(tx, device, new)


def meet(tx: Transaction, rotation: Rotation, rotation_id: str) -> None:
    """The device began by itself what it was asked for: that goes on under the name the device gave it."""
    _withdraw(tx, rotation)
    rotation.asked_as, rotation.rotation_id = rotation.rotation_id, rotation_id
    tx.session.flush()
    tx.audit("rotation.met", rotation.device_id, rotation_id=rotation_id, asked_as=rotation.asked_as)


def close_if_overdue(tx: Transaction, rotation: Rotation) -> bool:
    """Abandon an open rotation that has no certificate yet when its deadline has passed."""
    waiting = rotation.state in WITHOUT_CERTIFICATE
    if not waiting or rotation.deadline is None or tx.now <= rotation.deadline:
        return False
    message = f"the deadline was {rfc3339(rotation.deadline)}"
    close(tx, rotation, RotationState.ABANDONED, Code.DEADLINE_PASSED, message)
    return True


def close_if_fallen_back(ctx: Context, tx: Transaction, rotation: Rotation) -> bool:
    """End a rotation whose device, once seen with its candidate, speaks over its former certificate again.

    Right after the candidate was seen that may be a late message, so it counts only later.
    """
    long_ago = tx.now - ctx.policy.activation_window
    if rotation.state != RotationState.COMMITTING or rotation.updated_at >= long_ago:
        return False
    message = "the device was seen with its new certificate, and again with the former one"
    close(tx, rotation, RotationState.ROLLED_BACK, None, message)
    return True


def activate(tx: Transaction, device: Device, certificate: Certificate) -> None:
    """Make a certificate the one its device works with, in place of any other."""
    former = queries.active_certificate(tx.session, device.device_id)
    if former is not None:
        supersede(tx, former)
    certificate.state = CertificateState.ACTIVE
    certificate.activated_at = tx.now
    device.not_after = certificate.not_after
    certificate.look_at = renewal.renew_at(device.device_id, certificate.not_before, certificate.not_after)
    look_again(tx, device.device_id, certificate)
    tx.audit("certificate.activated", device.device_id, certificate_id=certificate.certificate_id)
    tx.session.flush()


def activate_enrolled(tx: Transaction, device: Device, certificate: Certificate) -> None:
    """Activate an enrolled certificate: a message over its connection shows that the device holds it."""
    if certificate.state == CertificateState.ISSUED and queries.rotation_to(tx.session, certificate) is None:
        device.reenroll_until = None
        activate(tx, device, certificate)


def supersede(tx: Transaction, certificate: Certificate) -> None:
    """Retire a certificate that its device has replaced, and end its session."""
    _leave_without_certificate(tx, certificate)
    certificate.state = CertificateState.SUPERSEDED
    certificate.superseded_at = tx.now
    certificate.look_at = None
    tx.audit("certificate.superseded", _subject(certificate), certificate_id=certificate.certificate_id)
    disconnect(tx, certificate)
    tx.session.flush()


def revoke(tx: Transaction, certificate: Certificate, reason: str) -> None:
    """Withdraw a certificate for good, and end its session; a device's that is active under its lock."""
    _leave_without_certificate(tx, certificate)
    certificate.look_at = None
    if certificate.device_id is not None:
        look_again(tx, certificate.device_id, certificate)
    certificate.state = CertificateState.REVOKED
    certificate.revoked_at = tx.now
    certificate.revocation_reason = reason
    tx.audit(
        "certificate.revoked",
        _subject(certificate),
        certificate_id=certificate.certificate_id,
        serial=certificate.serial,
        reason=reason,
    )
    disconnect(tx, certificate)
    tx.session.flush()


def revoke_all(tx: Transaction, certificates: Iterable[Certificate], reason: str) -> None:
    """Withdraw every certificate that is not withdrawn already."""
    for certificate in certificates:
        if certificate.state != CertificateState.REVOKED:
            revoke(tx, certificate, reason)


def _leave_without_certificate(tx: Transaction, certificate: Certificate) -> None:
    """Nothing is left that the device works with when this was it."""
    if certificate.state == CertificateState.ACTIVE and certificate.device_id is not None:
        tx.session.get_one(Device, certificate.device_id).not_after = None


def look_again(tx: Transaction, device_id: str, certificate: Certificate) -> None:
    """Let the monitor see at once what it said of a device and may not be true any more."""
    if certificate.state == CertificateState.ACTIVE and queries.open_alerts(tx.session, [device_id]):
        certificate.look_at = tx.now


def await_answer(tx: Transaction, rotation: Rotation) -> None:
    """The device is to answer now; should it not, it is told again."""
    rotation.repeats = 0
    rotation.repeat_at = renewal.repeat_at(tx.now, 0, rotation.rotation_id)


def say_again(ctx: Context, tx: Transaction, rotation: Rotation) -> bool:
    """Repeat what the device has not answered; whether there was anything: a pushed key is said once only."""
    new = rotation.new
    if rotation.state == RotationState.COMMITTING and new is not None:
        send_commit(tx, rotation.device_id, rotation.rotation_id, new)
    elif rotation.mode == RotationMode.PUSH or rotation.state not in BEFORE_STAGED:
        return False
    elif rotation.initiator != Initiator.DEVICE:  # it may have lost its key too: start from the beginning
        send_rotate(tx, rotation)
    elif new is not None and new.pem is not None:
        send_issued(tx, rotation, new, authorities.chain(ctx, new))
    else:
        return False
    return True


def send_rotate(tx: Transaction, rotation: Rotation) -> None:
    """Ask the device for a certification request."""
    body = {"rotation_id": rotation.rotation_id, "mode": rotation.mode, "key": rotation.key}
    if rotation.deadline is not None:
        body["deadline"] = rfc3339(rotation.deadline)
    _send(tx, OutboxKind.ROTATE, rotation.device_id, body)


def send_issued(tx: Transaction, rotation: Rotation, new: Certificate, chain_pem: str) -> None:
    """Give the device its new certificate once more."""
    body = {
        "rotation_id": rotation.rotation_id,
        "certificate": new.signed_pem,
        "chain": chain_pem,
        "certificate_id": new.signed_id,
    }
    _send(tx, OutboxKind.ISSUED, rotation.device_id, body)


def send_commit(tx: Transaction, device_id: str, rotation_id: str, new: Certificate) -> None:
    """Tell the device that its new certificate was seen on its connection."""
    body = {"rotation_id": rotation_id, "certificate_id": new.signed_id}
    _send(tx, OutboxKind.COMMIT, device_id, body)


def _send(tx: Transaction, kind: OutboxKind, device_id: str, body: dict[str, str]) -> None:
    outbox.enqueue(tx.session, kind, body, tx.now, device_id=device_id)


def _withdraw(tx: Transaction, rotation: Rotation) -> None:
    names = [rotation.rotation_id]
    if rotation.new is not None and rotation.new.certificate_id is not None:
        names.append(rotation.new.certificate_id)
    outbox.withdraw(tx.session, rotation.device_id, names)


def disconnect(tx: Transaction, certificate: Certificate) -> None:
    """End the sessions of a certificate, and let the broker forget that it was good."""
    if certificate.certificate_id is not None:
        outbox.enqueue(
            tx.session,
            OutboxKind.DISCONNECT,
            {"certificate_id": certificate.certificate_id},
            tx.now,
            device_id=certificate.device_id,
            certificate_id=certificate.certificate_id,
        )


def _subject(certificate: Certificate) -> str:
    return certificate.device_id or certificate.common_name
