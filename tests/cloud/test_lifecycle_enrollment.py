# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""How a device becomes known."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from cryptography import x509

from fleetpki.errors import Code, FleetError
from fleetpki.lifecycle import (
    Application,
    StatusState,
    allow_reenrollment,
    collect_unactivated,
    revoke_certificate,
    revoke_device,
)
from fleetpki.pki.identifiers import certificate_id
from fleetpki.registry.models import CertificateState, DeviceState, OutboxKind
from tests.cloud.doubles import START, Clock, FakeDevice, Fleet, enroll_at_a_door, make_csr, new_key, refused

pytestmark = pytest.mark.both_databases


def test_a_device_gets_a_certificate_for_its_key(fleet: Fleet) -> None:
    device = FakeDevice(fleet, "sensor-1")
    enrolled = device.enroll()
    certificate = x509.load_pem_x509_certificate(enrolled.certificate_pem.encode())
    assert certificate.public_key() == device.key.public_key()
    assert certificate.subject.rfc4514_string() == "CN=sensor-1"
    assert certificate_id(certificate) == enrolled.certificate_id
    assert enrolled.chain_pem == fleet.hierarchy.issuing.certificate_pem
    assert enrolled.time == START


def test_the_first_status_activates_it(fleet: Fleet) -> None:
    device = FakeDevice(fleet, "sensor-1")
    device.enroll()
    assert fleet.state(device.certificate_id) == CertificateState.ISSUED
    device.says(StatusState.CONNECTED)
    assert fleet.state(device.certificate_id) == CertificateState.ACTIVE


@pytest.mark.parametrize("activated", [False, True])
def test_the_same_key_gets_the_same_certificate(fleet: Fleet, activated: bool) -> None:
    device = FakeDevice(fleet, "sensor-1")
    first = device.enroll()
    if activated:
        device.says(StatusState.CONNECTED)
    assert device.enroll() == first
    assert device.enroll("another-request") == first
    assert len(fleet.certificates("sensor-1")) == 1


def test_two_workers_with_the_same_request_make_one_certificate(fleet: Fleet) -> None:
    device = FakeDevice(fleet, "sensor-1")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: device.enroll(), range(8)))
    assert len({answer.certificate_pem for answer in answers}) == 1
    assert len(fleet.certificates("sensor-1")) == 1


def test_a_device_that_lost_its_key_before_activation_enrolls_again(fleet: Fleet) -> None:
    device = FakeDevice(fleet, "sensor-1")
    first = device.enroll("request-1").certificate_id
    second = device.enroll("request-2", new_key()).certificate_id
    assert fleet.state(first) == CertificateState.REVOKED
    assert fleet.state(second) == CertificateState.ISSUED


def test_a_late_copy_of_a_replaced_request_does_not_take_the_new_certificate_away(fleet: Fleet) -> None:
    device = FakeDevice(fleet, "sensor-1")
    lost_key = device.key
    device.enroll("request-1")
    current = device.enroll("request-2", new_key()).certificate_id
    assert refused(lambda: device.enroll("request-1", lost_key)) == Code.STALE
    assert fleet.state(current) == CertificateState.ISSUED


def test_a_device_in_use_cannot_be_enrolled_over(fleet: Fleet) -> None:
    device = fleet.device()
    stranger = FakeDevice(fleet, device.device_id)
    assert refused(stranger.enroll) == Code.NOT_ALLOWED
    assert fleet.state(device.certificate_id) == CertificateState.ACTIVE
    assert "enroll.refused" in fleet.audited(device.device_id)


def test_an_operator_allows_one_more_enrollment(fleet: Fleet) -> None:
    device = fleet.device()
    old = device.certificate_id
    allow_reenrollment(fleet.ctx, device.device_id, timedelta(hours=1))
    new = device.enroll("request-2", new_key()).certificate_id
    assert fleet.state(old) == CertificateState.ACTIVE  # until the device shows that it holds the new one
    device.says(StatusState.CONNECTED)
    assert fleet.state(old) == CertificateState.SUPERSEDED
    assert fleet.state(new) == CertificateState.ACTIVE
    assert fleet.delivered() == [(OutboxKind.DISCONNECT, {"certificate_id": old})]
    assert refused(lambda: device.enroll("request-3", new_key())) == Code.NOT_ALLOWED


def test_the_permission_ends(fleet: Fleet, clock: Clock) -> None:
    device = fleet.device()
    allow_reenrollment(fleet.ctx, device.device_id, timedelta(hours=1))
    clock.advance(timedelta(hours=1, seconds=1))
    assert refused(lambda: device.enroll("request-2", new_key())) == Code.NOT_ALLOWED


def test_an_expired_device_comes_back(fleet: Fleet, clock: Clock) -> None:
    device = fleet.device()
    old = device.certificate_id
    clock.advance(fleet.ctx.policy.device_validity + timedelta(days=1))
    device.enroll("request-2")
    assert device.certificate_id != old
    device.says(StatusState.CONNECTED)
    assert fleet.state(old) == CertificateState.SUPERSEDED


def test_a_device_whose_only_certificate_was_revoked_comes_back(fleet: Fleet) -> None:
    device = fleet.device()
    revoke_certificate(fleet.ctx, device.certificate_id, "key found on the internet")
    device.enroll("request-2", new_key())
    assert fleet.state(device.certificate_id) == CertificateState.ISSUED


def test_a_revoked_device_does_not_come_back(fleet: Fleet) -> None:
    device = fleet.device()
    revoke_device(fleet.ctx, device.device_id, "stolen")
    assert refused(lambda: device.enroll("request-2", new_key())) == Code.REVOKED


def test_a_suspended_device_is_told_so(fleet: Fleet) -> None:
    device = fleet.device()
    with fleet.ctx.sessions.begin() as session:
        registered = fleet.registered(device.device_id)
        assert registered is not None
        session.merge(registered).state = DeviceState.SUSPENDED
    assert refused(device.enroll) == Code.SUSPENDED
    assert refused(lambda: device.says(StatusState.CONNECTED)) == Code.SUSPENDED
    assert not fleet.admits(device.certificate_id, device.device_id)


def test_a_certificate_never_activated_is_revoked_and_the_device_may_ask_again(
    fleet: Fleet, clock: Clock
) -> None:
    device = FakeDevice(fleet, "sensor-1")
    first = device.enroll().certificate_id
    assert collect_unactivated(fleet.ctx) == 0
    clock.advance(fleet.ctx.policy.activation_window + timedelta(seconds=1))
    assert collect_unactivated(fleet.ctx) == 1
    assert fleet.state(first) == CertificateState.REVOKED
    assert refused(lambda: device.says(StatusState.CONNECTED)) == Code.REVOKED
    second = device.enroll().certificate_id
    assert second != first
    assert fleet.state(second) == CertificateState.ISSUED


@pytest.mark.parametrize("kind", ["device", "service", "broker", "unknown", "none"])
def test_only_a_bootstrap_certificate_enrolls(fleet: Fleet, kind: str) -> None:
    senders = {
        "device": fleet.device("sensor-2").certificate_id,
        "service": certificate_id(fleet.hierarchy.service.certificate),
        "broker": certificate_id(fleet.hierarchy.broker.certificate),
        "unknown": "0" * 64,
        "none": "",
    }

    def ask() -> None:
        csr_pem = make_csr(new_key(), "sensor-1")
        enroll_at_a_door(fleet.ctx, Application("sensor-1", senders[kind], "r", csr_pem))

    assert refused(ask) == Code.NOT_ALLOWED
    assert fleet.registered("sensor-1") is None


def test_a_revoked_bootstrap_certificate_enrolls_nobody(fleet: Fleet) -> None:
    revoke_certificate(fleet.ctx, fleet.bootstrap, "leaked")
    assert refused(FakeDevice(fleet, "sensor-1").enroll) == Code.REVOKED


def test_one_key_belongs_to_one_device(fleet: Fleet) -> None:
    device = fleet.device("sensor-1")
    clone = FakeDevice(fleet, "sensor-2", key=device.key)
    assert refused(clone.enroll) == Code.WEAK_KEY


def test_the_bootstrap_key_is_nobodys_own(fleet: Fleet) -> None:
    shared = FakeDevice(fleet, "sensor-1", key=fleet.hierarchy.bootstrap.key)
    assert refused(shared.enroll) == Code.WEAK_KEY


def test_without_a_request_no_certificate(fleet: Fleet) -> None:
    def ask() -> None:
        enroll_at_a_door(fleet.ctx, Application("sensor-1", fleet.bootstrap, "r", None))

    assert refused(ask) == Code.NOT_ALLOWED


def test_a_refused_stranger_leaves_no_device_behind(fleet: Fleet) -> None:
    bad_name = FakeDevice(fleet, "a/b")
    assert refused(bad_name.enroll) == Code.BAD_MESSAGE
    misnamed = FakeDevice(fleet, "sensor-1")
    misnamed.csr = lambda key=None: make_csr(misnamed.key, "sensor-2")  # type: ignore[method-assign]
    assert refused(misnamed.enroll) == Code.WRONG_SUBJECT
    assert fleet.registered("a/b") is None
    assert fleet.registered("sensor-1") is None


def test_an_unknown_device_cannot_be_allowed(fleet: Fleet) -> None:
    with pytest.raises(FleetError) as caught:
        allow_reenrollment(fleet.ctx, "sensor-9", timedelta(hours=1))
    assert caught.value.exit_code == 2
