# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What a device's status message means.

The device claims; the broker's stamp, the certificate of the connection, is the fact. A candidate is
committed only on the fact, and a device's word can end only its own rotation and revoke only its own unused
candidate.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fleetpki.errors import Code, Rejected
from fleetpki.lifecycle import transitions, trust
from fleetpki.lifecycle.context import Context, Transaction
from fleetpki.lifecycle.parties import require_sender
from fleetpki.lifecycle.terms import DeviceStatus, StatusState
from fleetpki.registry import queries
from fleetpki.registry.models import Certificate, Device, Rotation, RotationState


@dataclass(frozen=True)
class _Report:
    """A status, the device it is about and the certificate of the connection it came over."""

    ctx: Context
    tx: Transaction
    device: Device
    sender: Certificate
    status: DeviceStatus

    def rotation(self) -> Rotation | None:
        """The rotation the device speaks of; one that is not its own does not exist here."""
        if self.status.rotation_id is None:
            return None
        return queries.rotation(self.tx.session, self.device.device_id, self.status.rotation_id)

    def note(self, action: str) -> None:
        """Keep a report that changes nothing."""
        self.tx.audit(
            action,
            self.device.device_id,
            state=self.status.state,
            rotation_id=self.status.rotation_id,
            code=self.status.code,
            message=self.status.message,
        )


def record_status(ctx: Context, *, device_id: str, sender: str, status: DeviceStatus) -> None:
    """Draw the consequences of a status; a false or foreign one is refused and changes nothing."""
    with ctx.transaction(sender, f"status.{status.state}", device_id) as tx:
        device, certificate = require_sender(tx, device_id, sender)
        device.last_seen_at = tx.now
        device.generation = status.generation
        transitions.activate_enrolled(tx, device, certificate)
        transitions.look_again(tx, device_id, certificate)
        has_just_connected = status.state == StatusState.CONNECTED
        trust.note(tx, device, status.trust_version, has_just_connected=has_just_connected)
        _MEANINGS[status.state](_Report(ctx, tx, device, certificate, status))


def _accepted(report: _Report) -> None:
    rotation = report.rotation()
    if rotation is None or not transitions.is_open(rotation):
        return report.note("status.unmatched")
    return transitions.advance(report.tx, rotation, RotationState.ACCEPTED)


def _staged(report: _Report) -> None:
    rotation = report.rotation()
    if rotation is None or not transitions.is_open(rotation):
        return report.note("status.unmatched")
    if rotation.new is None:
        raise Rejected(Code.NOT_ALLOWED, "claims to have staged a certificate that was not issued")
    return transitions.advance(report.tx, rotation, RotationState.STAGED)


def _connected(report: _Report) -> None:
    if report.status.certificate_id != report.sender.certificate_id:
        raise Rejected(Code.NOT_ALLOWED, "claims to be connected with another certificate than it is")
    rotation = queries.rotation_to(report.tx.session, report.sender)
    if rotation is not None and transitions.is_open(rotation):
        transitions.advance(report.tx, rotation, RotationState.COMMITTING)
        return _send_commit(report, rotation)
    if rotation is not None and report.rotation() is rotation:
        _send_commit(report, rotation)  # it is committed here, and the device has not heard of it
    return _connected_with_current(report)


def _connected_with_current(report: _Report) -> None:
    rotation = queries.open_rotation(report.tx.session, report.device.device_id)
    if rotation is None or transitions.close_if_overdue(report.tx, rotation):
        return
    if report.rotation() is rotation:
        report.note("status.contradicted")  # it speaks of the new certificate over the current one
    if transitions.close_if_fallen_back(report.ctx, report.tx, rotation):
        return
    if rotation.state in transitions.BEFORE_STAGED:
        transitions.say_again(report.ctx, report.tx, rotation)
        transitions.await_answer(report.tx, rotation)


def _send_commit(report: _Report, rotation: Rotation) -> None:
    # A pushed certificate may have travelled without the rotation's id; answer with the id the device knows.
    known_as = report.status.rotation_id
    own_names = (rotation.rotation_id, report.sender.certificate_id)
    rotation_id = known_as if known_as is not None and known_as in own_names else rotation.rotation_id
    transitions.send_commit(report.tx, report.device.device_id, rotation_id, report.sender)


def _committed(report: _Report) -> None:
    rotation = queries.rotation_to(report.tx.session, report.sender)
    if rotation is None:
        raise Rejected(Code.NOT_ALLOWED, "claims a commit over a connection with no new certificate")
    if transitions.is_open(rotation):
        transitions.commit(report.tx, report.device, rotation, report.sender)


def _rejected(report: _Report) -> None:
    rotation = report.rotation()
    if rotation is None or rotation.state not in (*transitions.BEFORE_STAGED, RotationState.ABANDONED):
        return report.note("status.unmatched")
    return _end(report, rotation, RotationState.REJECTED)


def _rolled_back(report: _Report) -> None:
    rotation = report.rotation()
    if rotation is None or not (transitions.is_open(rotation) or rotation.state == RotationState.ABANDONED):
        return report.note("status.unmatched")
    return _end(report, rotation, RotationState.ROLLED_BACK)


def _end(report: _Report, rotation: Rotation, state: RotationState) -> None:
    if rotation.new is report.sender:
        raise Rejected(Code.NOT_ALLOWED, f"claims {state} over a connection with the new certificate")
    transitions.close(report.tx, rotation, state, report.status.code, report.status.message)


_MEANINGS: dict[StatusState, Callable[[_Report], None]] = {
    StatusState.ACCEPTED: _accepted,
    StatusState.STAGED: _staged,
    StatusState.CONNECTED: _connected,
    StatusState.COMMITTED: _committed,
    StatusState.REJECTED: _rejected,
    StatusState.ROLLED_BACK: _rolled_back,
}
