# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What is revoked is out at once, and nothing else is."""

import pytest

from fleetpki.errors import FleetError
from fleetpki.lifecycle import StatusState, revoke_certificate, revoke_device
from fleetpki.registry.models import CertificateState, DeviceState, OutboxKind, RotationState
from tests.cloud.doubles import FakeDevice, Fleet, new_key

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


def test_a_revoked_current_certificate_does_not_end_a_trial(fleet: Fleet, device: FakeDevice) -> None:
    rotation_id = device.is_asked_to_rotate()
    new = device.requests(rotation_id, new_key()).certificate_id
    device.says(StatusState.STAGED, rotation_id)
    revoke_certificate(fleet.ctx, device.certificate_id, "key found on the internet")
    device.says(StatusState.CONNECTED, rotation_id, over=new)
    device.says(StatusState.COMMITTED, rotation_id, over=new)
    assert fleet.state(new) == CertificateState.ACTIVE
    assert fleet.state(device.certificate_id) == CertificateState.REVOKED


def test_what_does_not_exist_cannot_be_revoked(fleet: Fleet) -> None:
    for action in (revoke_device, revoke_certificate):
        with pytest.raises(FleetError) as caught:
            action(fleet.ctx, "nothing", "a test")
        assert caught.value.exit_code == 2
