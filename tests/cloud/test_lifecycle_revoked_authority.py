# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A revoked issuing authority takes its certificates along, and the fleet goes on with another one."""

import pytest

from fleetpki.errors import FleetError, RegistryUnavailable
from fleetpki.lifecycle import StatusState, ceremony, revocation
from fleetpki.lifecycle.revocation_lists import install_list
from fleetpki.registry.models import AuthorityState, CertificateState, OutboxKind, RotationState
from tests.cloud.doubles import FakeDevice, Fleet, add_issuing, new_key
from tests.cloud.published import root_list

pytestmark = pytest.mark.both_databases


def issuing_is_revoked(fleet: Fleet) -> None:
    install_list(fleet.ctx, root_list(fleet.hierarchy, fleet.hierarchy.issuing.certificate))


def test_its_devices_are_out_at_once(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "_BATCH", 2)
    devices = [fleet.device(f"sensor-{number}") for number in range(5)]
    issuing_is_revoked(fleet)
    ended = {body["certificate_id"] for kind, body in fleet.delivered() if kind == OutboxKind.DISCONNECT}
    for device in devices:
        assert not fleet.admits(device.certificate_id, device.device_id)
        assert fleet.certificate(device.certificate_id).revocation_reason == "issuer_revoked"
        assert device.certificate_id in ended
        assert fleet.audited(device.device_id)[-1] == "certificate.revoked"
        registered = fleet.registered(device.device_id)
        assert registered is not None
        assert registered.not_after is None


def test_devices_of_another_authority_stay(fleet: Fleet) -> None:
    add_issuing(fleet, "issuing-2")
    device = fleet.device("sensor-1")
    issuing_is_revoked(fleet)
    assert fleet.admits(device.certificate_id, device.device_id)


def test_a_device_enrols_again_without_anybody_s_help(fleet: Fleet) -> None:
    device = fleet.device("sensor-1")
    authority = add_issuing(fleet, "issuing-2")
    issuing_is_revoked(fleet)
    assert fleet.admits(fleet.bootstrap, "sensor-1")
    device.enroll("request-2")
    device.says(StatusState.CONNECTED)
    assert fleet.certificate(device.certificate_id).issuer_id == authority.authority_id
    assert fleet.admits(device.certificate_id, "sensor-1")


def test_while_no_authority_is_active_nobody_is_certified(fleet: Fleet) -> None:
    issuing_is_revoked(fleet)
    newcomer = FakeDevice(fleet, "sensor-1")
    with pytest.raises(FleetError, match="no issuing authority is active"):  # a door says: come again
        newcomer.enroll()
    add_issuing(fleet, "issuing-2")
    newcomer.enroll()


def test_a_rotation_to_its_certificate_ends(fleet: Fleet) -> None:
    device = fleet.device("sensor-1")
    asked = device.is_asked_to_rotate()
    new = device.requests(asked, new_key()).certificate_id
    issuing_is_revoked(fleet)
    assert fleet.state(new) == CertificateState.REVOKED
    assert device.rotation_state(asked) == RotationState.ABANDONED


def test_a_rotation_nobody_can_answer_any_more_ends(fleet: Fleet) -> None:
    device = fleet.device("sensor-1")
    asked = device.is_asked_to_rotate()
    issuing_is_revoked(fleet)
    assert device.rotation_state(asked) == RotationState.ABANDONED


def test_a_device_that_has_its_certificate_of_another_authority_may_still_finish(fleet: Fleet) -> None:
    device = fleet.device("sensor-1")
    add_issuing(fleet, "issuing-2")
    asked = device.is_asked_to_rotate()
    new = device.requests(asked, new_key()).certificate_id
    issuing_is_revoked(fleet)
    device.says(StatusState.CONNECTED, asked, over=new)
    device.says(StatusState.COMMITTED, asked, over=new)
    assert fleet.state(new) == CertificateState.ACTIVE


def test_the_same_list_again_goes_on_where_it_was_interrupted(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = fleet.device("sensor-1")
    der = root_list(fleet.hierarchy, fleet.hierarchy.issuing.certificate)

    def fails(*_: object) -> int:
        raise RegistryUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(revocation, "_revoke_some_orphans", fails)
        with pytest.raises(RegistryUnavailable):
            install_list(fleet.ctx, der)
    assert fleet.admits(device.certificate_id, "sensor-1")
    install_list(fleet.ctx, der)
    assert not fleet.admits(device.certificate_id, "sensor-1")


def test_it_can_be_retired_then(fleet: Fleet) -> None:
    fleet.device("sensor-1")
    issuing_is_revoked(fleet)
    assert ceremony.retire(fleet.ctx, "issuing").state == AuthorityState.RETIRED
