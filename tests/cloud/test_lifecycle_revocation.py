# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What is revoked is out at once, and nothing else is."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from fleetpki.errors import Code, FleetError
from fleetpki.lifecycle import StatusState, revoke_certificate, revoke_device
from fleetpki.lifecycle.parties import known_device
from fleetpki.lifecycle.transitions import commit
from fleetpki.registry import queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import CertificateState, DeviceState, OutboxKind, RotationState
from tests.cloud.doubles import Clock, FakeDevice, Fleet, new_key, refused

pytestmark = pytest.mark.both_databases


@pytest.fixture
def device(fleet: Fleet) -> FakeDevice:
    return fleet.device("sensor-1")


def disconnected(fleet: Fleet) -> set[str]:
    return {body["certificate_id"] for kind, body in fleet.delivered() if kind == OutboxKind.DISCONNECT}


def test_a_revoked_device_is_out(fleet: Fleet, device: FakeDevice) -> None:
    revoke_device(fleet.ctx, device.device_id, "stolen")
    registered = fleet.registered(device.device_id)
    assert registered is not None
    assert registered.state == DeviceState.REVOKED
    assert fleet.certificate(device.certificate_id).revocation_reason == "stolen"
    assert disconnected(fleet) == {device.certificate_id}
    assert not fleet.admits(device.certificate_id, device.device_id)


def test_in_the_middle_of_a_rotation_both_certificates_go(fleet: Fleet, device: FakeDevice) -> None:
    rotation_id = device.is_asked_to_rotate()
    new = device.requests(rotation_id, new_key()).certificate_id
    device.says(StatusState.STAGED, rotation_id)
    device.says(StatusState.CONNECTED, rotation_id, over=new)
    revoke_device(fleet.ctx, device.device_id, "stolen")
    rotation = fleet.rotation(device.device_id, rotation_id)
    assert (rotation.state, rotation.code, rotation.message) == (RotationState.ABANDONED, "revoked", "stolen")
    assert disconnected(fleet) == {device.certificate_id, new}
    assert not fleet.admits(new, device.device_id)


def test_only_disconnects_are_still_to_be_sent(fleet: Fleet, device: FakeDevice) -> None:
    device.is_asked_to_rotate()
    revoke_device(fleet.ctx, device.device_id, "stolen")
    assert [kind for kind, _ in fleet.delivered()] == [OutboxKind.DISCONNECT]


def test_another_device_is_not_disturbed(fleet: Fleet, device: FakeDevice) -> None:
    other = fleet.device("sensor-2")
    revoke_device(fleet.ctx, device.device_id, "stolen")
    assert fleet.admits(other.certificate_id, other.device_id)
    assert other.certificate_id not in disconnected(fleet)


def test_twice_is_once(fleet: Fleet, device: FakeDevice) -> None:
    revoke_device(fleet.ctx, device.device_id, "stolen")
    revoke_certificate(fleet.ctx, device.certificate_id, "again")
    before = fleet.audited(device.device_id)
    revoke_device(fleet.ctx, device.device_id, "again")
    assert fleet.audited(device.device_id) == before
    assert fleet.certificate(device.certificate_id).revocation_reason == "stolen"


def test_one_certificate_alone(fleet: Fleet, device: FakeDevice) -> None:
    new = device.requests(device.is_asked_to_rotate(), new_key()).certificate_id
    revoke_certificate(fleet.ctx, new, "not wanted")
    assert fleet.certificate(new).revocation_reason == "not wanted"
    assert disconnected(fleet) == {new}
    assert fleet.admits(device.certificate_id, device.device_id)
    device.rotates(device.is_asked_to_rotate(), new_key())


def test_what_a_thief_made_with_a_leaked_certificate_goes_with_it(fleet: Fleet, device: FakeDevice) -> None:
    stolen = device.requests("thief's", new_key(), reason="expiring").certificate_id
    device.says(StatusState.CONNECTED, "thief's", over=stolen)
    revoke_certificate(fleet.ctx, device.certificate_id, "leaked")
    assert disconnected(fleet) == {device.certificate_id, stolen}
    assert not fleet.admits(stolen, device.device_id)
    assert refused(lambda: device.says(StatusState.COMMITTED, "thief's", over=stolen)) == Code.REVOKED
    assert device.rotation_state("thief's") == RotationState.ABANDONED


def test_nobody_answers_a_rotation_with_a_revoked_certificate(fleet: Fleet, device: FakeDevice) -> None:
    asked = device.is_asked_to_rotate()
    revoke_certificate(fleet.ctx, device.certificate_id, "leaked")
    assert device.rotation_state(asked) == RotationState.ABANDONED
    assert [kind for kind, _ in fleet.delivered()] == [OutboxKind.DISCONNECT]


def test_a_superseded_certificate_goes_without_what_its_device_is_doing_now(
    fleet: Fleet, device: FakeDevice
) -> None:
    former = device.certificate_id
    device.rotates(device.is_asked_to_rotate(), new_key())
    asked = device.is_asked_to_rotate()
    revoke_certificate(fleet.ctx, former, "leaked")
    device.rotates(asked, new_key())


def test_a_device_whose_certificate_leaked_enrols_again(fleet: Fleet, device: FakeDevice) -> None:
    device.requests("thief's", new_key(), reason="expiring")
    revoke_certificate(fleet.ctx, device.certificate_id, "leaked")
    device.enroll("request-2", new_key())
    device.says(StatusState.CONNECTED)
    assert fleet.admits(device.certificate_id, device.device_id)


def test_what_does_not_exist_cannot_be_revoked(fleet: Fleet) -> None:
    for action in (revoke_device, revoke_certificate):
        with pytest.raises(FleetError) as caught:
            action(fleet.ctx, "nothing", "a test")
        assert caught.value.exit_code == 2


def ends(fleet: Fleet, device: FakeDevice) -> datetime | None:
    registered = fleet.registered(device.device_id)
    assert registered is not None
    return registered.not_after


def test_a_device_says_when_its_certificate_ends(fleet: Fleet, device: FakeDevice, clock: Clock) -> None:
    assert ends(fleet, device) == fleet.certificate(device.certificate_id).not_after
    clock.advance(timedelta(days=1))
    new = device.rotates(device.is_asked_to_rotate(), new_key())
    assert ends(fleet, device) == fleet.certificate(new).not_after
    revoke_certificate(fleet.ctx, new, "lost")
    assert ends(fleet, device) is None
    device.enroll("again", new_key())
    assert ends(fleet, device) is None
    device.says(StatusState.CONNECTED)
    assert ends(fleet, device) == fleet.certificate(device.certificate_id).not_after
    revoke_device(fleet.ctx, device.device_id, "stolen")
    assert ends(fleet, device) is None


def test_a_certificate_is_revoked_while_it_is_replaced(fleet: Fleet, device: FakeDevice) -> None:
    rotation_id, former = device.is_asked_to_rotate(), device.certificate_id
    new = device.requests(rotation_id, new_key()).certificate_id
    waits = text("SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    with ThreadPoolExecutor(1) as pool:
        with fleet.ctx.transaction("test", "commit", device.device_id) as tx:
            registered = known_device(tx, device.device_id)
            revoking = pool.submit(revoke_certificate, replace(fleet.ctx), former, "lost")
            if tx.session.connection().dialect.name == "postgresql":
                with reading(fleet.ctx.sessions) as session:
                    while not session.scalar(waits) and not revoking.done():
                        session.execute(text("SELECT pg_stat_clear_snapshot()"))
            rotation = queries.rotation(tx.session, device.device_id, rotation_id)
            certificate = queries.certificate(tx.session, new)
            assert rotation is not None
            assert certificate is not None
            commit(tx, registered, rotation, certificate)
        revoking.result()
    assert fleet.state(former) == CertificateState.REVOKED
    assert ends(fleet, device) == fleet.certificate(new).not_after
