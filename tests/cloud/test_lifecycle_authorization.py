# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Who may connect, as what."""

from datetime import timedelta

import pytest

from fleetpki.lifecycle import Verdict, allow_reenrollment, revoke_certificate, revoke_device, verdict
from fleetpki.pki import profiles
from fleetpki.pki.identifiers import certificate_id
from tests.cloud.doubles import Clock, FakeDevice, Fleet, new_key


def judged(fleet: Fleet, certificate_id: str, client_id: str) -> Verdict:
    return verdict(fleet.ctx, certificate_id=certificate_id, client_id=client_id)


def test_a_device_under_its_own_name_only(fleet: Fleet) -> None:
    device = fleet.device("sensor-1")
    assert judged(fleet, device.certificate_id, "sensor-1") == Verdict(True, "device", "")
    for name in ("sensor-2", "sensor-1 ", "", "SENSOR-1"):
        assert not judged(fleet, device.certificate_id, name).allow


def test_a_device_that_has_just_enrolled(fleet: Fleet) -> None:
    device = FakeDevice(fleet, "sensor-1")
    device.enroll()
    assert fleet.admits(device.certificate_id, "sensor-1")


def test_both_certificates_of_a_rotation_until_it_is_over(fleet: Fleet) -> None:
    device = fleet.device("sensor-1")
    old, rotation_id, key = device.certificate_id, device.is_asked_to_rotate(), new_key()
    new = device.requests(rotation_id, key).certificate_id
    assert fleet.admits(old, "sensor-1")
    assert fleet.admits(new, "sensor-1")
    device.rotates(rotation_id, key)
    assert judged(fleet, old, "sensor-1") == Verdict(False, "device", "certificate superseded")
    assert fleet.admits(new, "sensor-1")


def test_a_bootstrap_holder_under_any_device_id(fleet: Fleet) -> None:
    assert judged(fleet, fleet.bootstrap, "sensor-9") == Verdict(True, "bootstrap", "")
    assert not judged(fleet, fleet.bootstrap, "a/b").allow


def test_a_bootstrap_holder_not_under_the_name_of_a_device_at_work(fleet: Fleet, clock: Clock) -> None:
    """A new connection ends the session that has its client id: this would throw the device off."""
    fleet.device("sensor-1")
    assert judged(fleet, fleet.bootstrap, "sensor-1") == Verdict(
        False, "bootstrap", "the device has a live certificate", is_claim=True
    )
    allow_reenrollment(fleet.ctx, "sensor-1", timedelta(hours=1))
    assert fleet.admits(fleet.bootstrap, "sensor-1")
    clock.advance(timedelta(hours=2))
    assert not fleet.admits(fleet.bootstrap, "sensor-1")
    revoke_device(fleet.ctx, "sensor-1", "stolen")
    assert fleet.admits(fleet.bootstrap, "sensor-1"), "it may come and hear that it is revoked"


def test_a_service_not_under_the_name_of_a_device(fleet: Fleet) -> None:
    fleet.device("sensor-1")
    service = certificate_id(fleet.hierarchy.service.certificate)
    assert judged(fleet, service, "sensor-1") == Verdict(False, "service", "client id is a device's")


@pytest.mark.parametrize("name", ["service", "operator"])
def test_a_service_under_any_other_name(fleet: Fleet, name: str) -> None:
    certificate = getattr(fleet.hierarchy, name).certificate
    assert judged(fleet, certificate_id(certificate), "worker-1") == Verdict(True, "service", "")


def test_the_broker_is_no_client(fleet: Fleet) -> None:
    assert not judged(fleet, certificate_id(fleet.hierarchy.broker.certificate), "broker").allow


@pytest.mark.parametrize("unknown", ["0" * 64, "", "'; DROP TABLE devices; --"])
def test_nobody_with_an_unknown_certificate(fleet: Fleet, unknown: str) -> None:
    assert judged(fleet, unknown, "sensor-1") == Verdict(False, "", "unknown certificate")


def test_nobody_with_an_expired_certificate(fleet: Fleet, clock: Clock) -> None:
    device = fleet.device("sensor-1")
    clock.advance(profiles.DEVICE.validity - timedelta(seconds=1))
    assert fleet.admits(device.certificate_id, "sensor-1")
    clock.advance(timedelta(seconds=1))
    assert judged(fleet, device.certificate_id, "sensor-1").reason == "certificate expired"


def test_nobody_with_a_revoked_certificate(fleet: Fleet) -> None:
    revoke_certificate(fleet.ctx, fleet.bootstrap, "leaked")
    assert judged(fleet, fleet.bootstrap, "sensor-1") == Verdict(False, "bootstrap", "certificate revoked")
