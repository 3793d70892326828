# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A device gets a new certificate: the good way through, and what refuses it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from fleetpki.errors import Code, FleetError, Rejected
from fleetpki.lifecycle import (
    KeyRequest,
    StatusState,
    abandon_rotation,
    allow_reenrollment,
    answer_csr,
    collect_unactivated,
    issue_for,
    push_rotation,
    revoke_device,
    start_rotation,
)
from fleetpki.pki.keys import KeyType
from fleetpki.registry.models import CertificateState, Initiator, OutboxKind, RotationState
from tests.cloud.doubles import Clock, FakeDevice, Fleet, make_csr, new_key, refused


@pytest.fixture
def device(fleet: Fleet) -> FakeDevice:
    return fleet.device("sensor-1")


@pytest.fixture(scope="module")
def rsa_csr() -> str:
    return make_csr(new_key(KeyType.RSA_2048), "sensor-1")


class TestByRequest:
    def test_the_device_hears_of_it(self, fleet: Fleet, device: FakeDevice, clock: Clock) -> None:
        deadline = clock() + timedelta(hours=2)
        key = KeyRequest.RSA_2048
        rotation = start_rotation(fleet.ctx, device.device_id, key=key, deadline=deadline)
        told = {
            "rotation_id": rotation.rotation_id,
            "mode": "csr",
            "key": "rsa-2048",
            "deadline": "2026-06-01T14:00:00Z",
        }
        assert fleet.delivered() == [(OutboxKind.ROTATE, told)]

    def test_it_ends_with_the_new_certificate_in_the_old_ones_place(
        self, fleet: Fleet, device: FakeDevice
    ) -> None:
        old = device.certificate_id
        rotation_id = device.is_asked_to_rotate()
        fleet.delivered()
        key = new_key()
        device.says(StatusState.ACCEPTED, rotation_id)
        assert device.rotation_state(rotation_id) == RotationState.ACCEPTED
        issued = device.requests(rotation_id, key)
        assert device.rotation_state(rotation_id) == RotationState.ISSUED
        device.says(StatusState.STAGED, rotation_id)
        assert device.rotation_state(rotation_id) == RotationState.STAGED
        assert fleet.delivered() == []
        device.says(StatusState.CONNECTED, rotation_id, over=issued.certificate_id)
        assert device.rotation_state(rotation_id) == RotationState.COMMITTING
        commit = {"rotation_id": rotation_id, "certificate_id": issued.certificate_id}
        assert fleet.delivered() == [(OutboxKind.COMMIT, commit)]
        assert fleet.admits(old, device.device_id)
        device.says(StatusState.COMMITTED, rotation_id, over=issued.certificate_id)
        assert device.rotation_state(rotation_id) == RotationState.COMMITTED
        assert fleet.state(old) == CertificateState.SUPERSEDED
        assert fleet.state(issued.certificate_id) == CertificateState.ACTIVE
        assert fleet.delivered() == [(OutboxKind.DISCONNECT, {"certificate_id": old})]
        assert not fleet.admits(old, device.device_id)
        certificate = x509.load_pem_x509_certificate(issued.certificate_pem.encode())
        assert certificate.public_key() == key.public_key()

    def test_every_step_is_audited(self, fleet: Fleet, device: FakeDevice) -> None:
        before = len(fleet.audited(device.device_id))
        device.rotates(device.is_asked_to_rotate(), new_key())
        assert fleet.audited(device.device_id)[before:] == [
            "rotation.requested",
            "rotation.accepted",
            "certificate.recorded",
            "certificate.issued",
            "rotation.issued",
            "rotation.staged",
            "rotation.committing",
            "rotation.committed",
            "certificate.superseded",
            "certificate.activated",
        ]

    def test_the_same_request_gets_the_same_answer_at_any_time(
        self, fleet: Fleet, device: FakeDevice
    ) -> None:
        rotation_id = device.is_asked_to_rotate()
        key = new_key()
        issued = device.requests(rotation_id, key)
        assert device.requests(rotation_id, key) == issued
        new = device.rotates(rotation_id, key)
        assert new == issued.certificate_id
        assert device.requests(rotation_id, key) == issued
        assert len(fleet.certificates(device.device_id)) == 2

    def test_two_workers_with_the_same_request_make_one_certificate(
        self, fleet: Fleet, device: FakeDevice
    ) -> None:
        rotation_id, key = device.is_asked_to_rotate(), new_key()
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: device.requests(rotation_id, key), range(8)))
        assert len({answer.certificate_pem for answer in answers}) == 1

    def test_two_asked_at_once_become_one(self, fleet: Fleet, device: FakeDevice) -> None:
        def ask(_: int) -> str:
            try:
                device.is_asked_to_rotate()
            except Rejected as rejected:
                return f"{rejected.code}, again after {rejected.retry_after_s} s"
            return "asked"

        with ThreadPoolExecutor(4) as pool:
            answers = sorted(pool.map(ask, range(4)))
        assert answers == ["asked", *["busy, again after 60 s"] * 3]

    def test_a_device_that_lost_its_new_key_asks_with_another(self, fleet: Fleet, device: FakeDevice) -> None:
        rotation_id, lost = device.is_asked_to_rotate(), new_key()
        first = device.requests(rotation_id, lost).certificate_id
        second = device.requests(rotation_id, new_key()).certificate_id
        assert fleet.state(first) == CertificateState.REVOKED
        assert refused(lambda: device.requests(rotation_id, lost)) == Code.STALE
        assert fleet.state(second) == CertificateState.ISSUED

    def test_once_staged_another_key_is_too_late(self, fleet: Fleet, device: FakeDevice) -> None:
        rotation_id = device.is_asked_to_rotate()
        new = device.requests(rotation_id, new_key()).certificate_id
        device.says(StatusState.STAGED, rotation_id)
        assert refused(lambda: device.requests(rotation_id, new_key())) == Code.STALE
        assert fleet.state(new) == CertificateState.ISSUED

    def test_a_request_without_a_rotation_is_refused(self, device: FakeDevice) -> None:
        assert refused(lambda: device.requests("never-heard-of", new_key())) == Code.NOT_ALLOWED
        assert refused(lambda: device.requests("x" * 65, new_key())) == Code.BAD_MESSAGE

    def test_a_request_over_another_devices_connection_is_refused(
        self, fleet: Fleet, device: FakeDevice
    ) -> None:
        other = fleet.device("sensor-2")
        rotation_id = device.is_asked_to_rotate()
        for sender in (other.certificate_id, fleet.bootstrap, "0" * 64):
            with pytest.raises(Rejected, match="not_allowed"):
                device.requests(rotation_id, new_key(), over=sender)
        assert device.rotation_state(rotation_id) == RotationState.REQUESTED

    def test_a_request_over_a_superseded_certificate_is_refused(self, device: FakeDevice) -> None:
        old = device.certificate_id
        device.rotates(device.is_asked_to_rotate(), new_key())
        rotation_id = device.is_asked_to_rotate()
        assert refused(lambda: device.requests(rotation_id, new_key(), over=old)) == Code.STALE

    def test_a_request_over_an_expired_certificate_is_refused(
        self, fleet: Fleet, device: FakeDevice, clock: Clock
    ) -> None:
        rotation_id = device.is_asked_to_rotate()
        clock.advance(fleet.ctx.policy.device_validity)
        assert refused(lambda: device.requests(rotation_id, new_key())) == Code.EXPIRED

    @pytest.mark.parametrize(("names", "code"), [(("sensor-2",), Code.WRONG_SUBJECT), (None, Code.BAD_CSR)])
    def test_a_request_that_can_only_be_refused_again_ends_the_rotation(
        self, fleet: Fleet, device: FakeDevice, names: tuple[str, ...] | None, code: Code
    ) -> None:
        rotation_id = device.is_asked_to_rotate()
        csr_pem = make_csr(new_key(), *names) if names else "gibberish"

        def ask() -> None:
            answer_csr(
                fleet.ctx,
                device_id=device.device_id,
                sender=device.certificate_id,
                rotation_id=rotation_id,
                csr_pem=csr_pem,
            )

        assert refused(ask) == code
        rotation = fleet.rotation(device.device_id, rotation_id)
        assert (rotation.state, rotation.code) == (RotationState.REJECTED, code)
        assert fleet.delivered() == []  # the request to rotate is withdrawn
        assert fleet.admits(device.certificate_id, device.device_id)


class TestKeys:
    def test_a_renewal_keeps_the_key(self, fleet: Fleet, device: FakeDevice) -> None:
        old = device.certificate_id
        new = device.rotates(device.is_asked_to_rotate(KeyRequest.SAME), device.key)
        assert new != old
        assert fleet.certificate(new).key_digest == fleet.certificate(old).key_digest

    def test_a_renewal_with_another_key_is_refused(self, device: FakeDevice) -> None:
        rotation_id = device.is_asked_to_rotate(KeyRequest.SAME)
        assert refused(lambda: device.requests(rotation_id, new_key())) == Code.KEY_MISMATCH

    def test_a_renewal_can_be_tried_again_after_a_roll_back(self, device: FakeDevice) -> None:
        first = device.is_asked_to_rotate(KeyRequest.SAME)
        device.requests(first, device.key)
        device.says(StatusState.ROLLED_BACK, first)
        device.rotates(device.is_asked_to_rotate(KeyRequest.SAME), device.key)

    def test_a_new_key_must_be_new(self, device: FakeDevice) -> None:
        retired = device.key
        rotation_id = device.is_asked_to_rotate()
        assert refused(lambda: device.requests(rotation_id, device.key)) == Code.KEY_MISMATCH
        device.rotates(device.is_asked_to_rotate(), new_key())
        rotation_id = device.is_asked_to_rotate()
        assert refused(lambda: device.requests(rotation_id, retired)) == Code.KEY_MISMATCH

    def test_a_new_key_must_be_of_the_kind_asked_for(self, device: FakeDevice) -> None:
        rotation_id = device.is_asked_to_rotate(KeyRequest.RSA_2048)
        assert refused(lambda: device.requests(rotation_id, new_key())) == Code.KEY_MISMATCH

    def test_a_new_key_must_not_be_another_devices(self, fleet: Fleet, device: FakeDevice) -> None:
        other = fleet.device("sensor-2")
        rotation_id = device.is_asked_to_rotate()
        assert refused(lambda: device.requests(rotation_id, other.key)) == Code.WEAK_KEY


class TestAsking:
    def test_an_unknown_device(self, fleet: Fleet) -> None:
        with pytest.raises(FleetError) as caught:
            start_rotation(fleet.ctx, "sensor-9", key=KeyRequest.EC_P256)
        assert caught.value.exit_code == 2

    def test_a_device_that_never_connected(self, fleet: Fleet) -> None:
        device = FakeDevice(fleet, "sensor-1")
        device.enroll()
        assert refused(device.is_asked_to_rotate) == Code.NOT_ALLOWED

    def test_a_revoked_device(self, fleet: Fleet, device: FakeDevice) -> None:
        revoke_device(fleet.ctx, device.device_id, "stolen")
        assert refused(device.is_asked_to_rotate) == Code.REVOKED

    def test_an_expired_device(self, fleet: Fleet, device: FakeDevice, clock: Clock) -> None:
        clock.advance(fleet.ctx.policy.device_validity)
        assert refused(device.is_asked_to_rotate) == Code.NOT_ALLOWED

    def test_a_device_that_is_enrolling_again(self, fleet: Fleet, device: FakeDevice) -> None:
        allow_reenrollment(fleet.ctx, device.device_id, timedelta(hours=1))
        FakeDevice(fleet, device.device_id).enroll("request-2")
        assert refused(device.is_asked_to_rotate) == Code.BUSY


class TestDeadline:
    def test_a_deadline_in_the_past_is_refused(self, fleet: Fleet, device: FakeDevice, clock: Clock) -> None:
        def ask() -> None:
            start_rotation(fleet.ctx, device.device_id, key=KeyRequest.EC_P256, deadline=clock())

        assert refused(ask) == Code.DEADLINE_PASSED

    @pytest.fixture
    def overdue(self, fleet: Fleet, device: FakeDevice, clock: Clock) -> str:
        deadline = clock() + timedelta(hours=1)
        rotation = start_rotation(fleet.ctx, device.device_id, key=KeyRequest.EC_P256, deadline=deadline)
        clock.advance(timedelta(hours=1, seconds=1))
        return rotation.rotation_id

    def test_a_late_request_is_refused(self, device: FakeDevice, overdue: str) -> None:
        assert refused(lambda: device.requests(overdue, new_key())) == Code.DEADLINE_PASSED
        assert device.rotation_state(overdue) == RotationState.ABANDONED

    def test_a_late_device_is_not_asked(self, fleet: Fleet, device: FakeDevice, overdue: str) -> None:
        device.says(StatusState.CONNECTED)
        assert fleet.delivered() == []
        assert device.rotation_state(overdue) == RotationState.ABANDONED

    def test_a_new_rotation_takes_its_place(self, device: FakeDevice, overdue: str) -> None:
        device.rotates(device.is_asked_to_rotate(), new_key())
        assert device.rotation_state(overdue) == RotationState.ABANDONED

    def test_it_is_collected(self, fleet: Fleet, device: FakeDevice, overdue: str) -> None:
        assert collect_unactivated(fleet.ctx) == 1
        assert fleet.rotation(device.device_id, overdue).code == Code.DEADLINE_PASSED

    def test_what_was_issued_in_time_may_be_finished(
        self, fleet: Fleet, device: FakeDevice, clock: Clock
    ) -> None:
        deadline = clock() + timedelta(minutes=10)
        rotation = start_rotation(fleet.ctx, device.device_id, key=KeyRequest.EC_P256, deadline=deadline)
        key = new_key()
        device.requests(rotation.rotation_id, key)
        clock.advance(timedelta(minutes=20))
        device.rotates(rotation.rotation_id, key)
        assert device.rotation_state(rotation.rotation_id) == RotationState.COMMITTED


class TestByTheDevice:
    """A device renews on its own when its certificate nears its end."""

    @pytest.mark.parametrize("same_key", [False, True])
    def test_it_goes_like_any_rotation(self, fleet: Fleet, device: FakeDevice, same_key: bool) -> None:
        key = device.key if same_key else new_key()
        device.requests("made-here", key, reason="expiring")
        device.rotates("made-here", key)
        assert device.rotation_state("made-here") == RotationState.COMMITTED

    def test_two_devices_may_make_the_same_id(self, fleet: Fleet, device: FakeDevice) -> None:
        other = fleet.device("sensor-2")
        mine = device.requests("1", new_key(), reason="expiring").certificate_id
        others = other.requests("1", new_key(), reason="expiring").certificate_id
        device.says(StatusState.ROLLED_BACK, "1")
        assert fleet.state(mine) == CertificateState.REVOKED
        assert fleet.state(others) == CertificateState.ISSUED

    def test_a_restarted_device_begins_anew(self, fleet: Fleet, device: FakeDevice) -> None:
        first = device.requests("first", new_key(), reason="expiring").certificate_id
        device.requests("second", new_key(), reason="expiring")
        assert fleet.state(first) == CertificateState.REVOKED
        assert device.rotation_state("first") == RotationState.ABANDONED
        assert refused(lambda: device.requests("first", new_key(), reason="expiring")) == Code.STALE

    def test_it_meets_the_rotation_the_device_has_not_heard_of(
        self, fleet: Fleet, device: FakeDevice
    ) -> None:
        asked_as = device.is_asked_to_rotate()
        device.requests("mine", key := new_key(), reason="expiring")
        assert fleet.delivered() == []
        device.rotates("mine", key)
        assert device.rotation_state("mine") == RotationState.COMMITTED
        assert device.rotation_state(asked_as) == RotationState.COMMITTED
        assert fleet.rotation(device.device_id, asked_as).initiator == Initiator.OPERATOR

    @pytest.mark.parametrize("key", [KeyRequest.SAME, KeyRequest.RSA_2048])
    def test_a_rotation_that_asks_for_another_key_goes_first(
        self, device: FakeDevice, key: KeyRequest
    ) -> None:
        device.is_asked_to_rotate(key)
        assert refused(lambda: device.requests("mine", new_key(), reason="expiring")) == Code.BUSY

    def test_a_rotation_the_device_works_on_goes_first(self, device: FakeDevice) -> None:
        rotation_id = device.is_asked_to_rotate()
        device.says(StatusState.ACCEPTED, rotation_id)
        assert refused(lambda: device.requests("mine", new_key(), reason="expiring")) == Code.BUSY
        device.rotates(rotation_id, new_key())

    def test_a_trial_is_not_thrown_away_for_another(self, device: FakeDevice) -> None:
        new = device.requests("first", new_key(), reason="expiring").certificate_id
        again = lambda: device.requests("second", new_key(), over=new, reason="expiring")  # noqa: E731
        assert refused(again) == Code.BUSY

    def test_a_lost_answer_is_repeated_when_it_connects(self, fleet: Fleet, device: FakeDevice) -> None:
        issued = device.requests("mine", new_key(), reason="expiring")
        device.says(StatusState.CONNECTED)
        body = {
            "rotation_id": "mine",
            "certificate": issued.certificate_pem,
            "chain": issued.chain_pem,
            "certificate_id": issued.certificate_id,
        }
        assert fleet.delivered() == [(OutboxKind.ISSUED, body)]


class TestPushed:
    def test_the_key_fits_the_certificate_and_is_kept_nowhere(self, fleet: Fleet, device: FakeDevice) -> None:
        rotation, pushed = push_rotation(fleet.ctx, device.device_id, key=KeyRequest.EC_P256)
        certificate = x509.load_pem_x509_certificate(pushed.certificate_pem.encode())
        key = serialization.load_pem_private_key(pushed.private_key_pem.encode(), password=None)
        assert certificate.public_key() == key.public_key()
        assert rotation.state == RotationState.ISSUED
        assert rotation.new is not None
        assert rotation.new.pem == pushed.certificate_pem
        assert fleet.delivered() == []
        assert "PRIVATE" not in repr(pushed)
        with fleet.ctx.sessions() as session:
            dump = "\n".join(session.connection().connection.driver_connection.iterdump())  # type: ignore[union-attr]
        assert "PRIVATE KEY" not in dump
        assert pushed.certificate_id in dump

    @pytest.mark.parametrize("named_by", ["rotation", "certificate"])
    def test_it_ends_like_any_rotation(self, fleet: Fleet, device: FakeDevice, named_by: str) -> None:
        rotation, pushed = push_rotation(fleet.ctx, device.device_id, key=KeyRequest.EC_P256)
        new = pushed.certificate_id
        name = {"rotation": rotation.rotation_id, "certificate": new}[named_by]
        for state in (StatusState.ACCEPTED, StatusState.STAGED):
            device.says(state, name)
        device.says(StatusState.CONNECTED, name, over=new)
        assert fleet.delivered() == [(OutboxKind.COMMIT, {"rotation_id": name, "certificate_id": new})]
        device.says(StatusState.COMMITTED, name, over=new)
        assert device.rotation_state(name) == RotationState.COMMITTED

    def test_the_devices_own_key_cannot_be_pushed(self, fleet: Fleet, device: FakeDevice) -> None:
        push = lambda: push_rotation(fleet.ctx, device.device_id, key=KeyRequest.SAME)  # noqa: E731
        assert refused(push) == Code.UNSUPPORTED

    def test_when_nobody_listens_it_is_abandoned(self, fleet: Fleet, device: FakeDevice) -> None:
        rotation, pushed = push_rotation(fleet.ctx, device.device_id, key=KeyRequest.EC_P256)
        for _ in range(2):
            abandon_rotation(
                fleet.ctx, device.device_id, rotation.rotation_id, Code.NOT_ALLOWED, "the device is offline"
            )
        assert device.rotation_state(rotation.rotation_id) == RotationState.ABANDONED
        assert fleet.state(pushed.certificate_id) == CertificateState.REVOKED
        device.rotates(device.is_asked_to_rotate(), new_key())

    def test_a_device_cannot_ask_for_a_certificate_in_it(self, fleet: Fleet, device: FakeDevice) -> None:
        rotation, _ = push_rotation(fleet.ctx, device.device_id, key=KeyRequest.EC_P256)
        assert refused(lambda: device.requests(rotation.rotation_id, new_key())) == Code.NOT_ALLOWED

    def test_a_key_nobody_used_in_time_is_withdrawn(
        self, fleet: Fleet, device: FakeDevice, clock: Clock
    ) -> None:
        rotation, pushed = push_rotation(fleet.ctx, device.device_id, key=KeyRequest.EC_P256)
        clock.advance(fleet.ctx.policy.activation_window + timedelta(seconds=1))
        assert collect_unactivated(fleet.ctx) == 1
        assert fleet.state(pushed.certificate_id) == CertificateState.REVOKED
        assert device.rotation_state(rotation.rotation_id) == RotationState.ABANDONED
        assert fleet.admits(device.certificate_id, device.device_id)


class TestIssuedByHand:
    def test_the_rotation_is_named_after_the_certificate(
        self, fleet: Fleet, device: FakeDevice, rsa_csr: str
    ) -> None:
        certificate = issue_for(fleet.ctx, device.device_id, rsa_csr)
        rotation = fleet.rotation(device.device_id, certificate.signed_id)
        assert rotation.rotation_id == certificate.certificate_id
        assert rotation.state == RotationState.ISSUED
        assert fleet.delivered() == []

    def test_the_same_request_gets_the_same_certificate(
        self, fleet: Fleet, device: FakeDevice, rsa_csr: str
    ) -> None:
        first = issue_for(fleet.ctx, device.device_id, rsa_csr)
        assert issue_for(fleet.ctx, device.device_id, rsa_csr).pem == first.pem

    def test_another_request_waits(self, fleet: Fleet, device: FakeDevice) -> None:
        issue_for(fleet.ctx, device.device_id, device.csr(new_key()))
        assert refused(lambda: issue_for(fleet.ctx, device.device_id, device.csr(new_key()))) == Code.BUSY

    def test_a_key_in_use_is_refused(self, fleet: Fleet, device: FakeDevice) -> None:
        assert refused(lambda: issue_for(fleet.ctx, device.device_id, device.csr())) == Code.KEY_MISMATCH

    def test_an_unknown_device_is_refused(self, fleet: Fleet) -> None:
        with pytest.raises(FleetError):
            issue_for(fleet.ctx, "sensor-9", make_csr(new_key(), "sensor-9"))

    def test_it_gets_six_certificates_an_hour(self, fleet: Fleet, device: FakeDevice, clock: Clock) -> None:
        for number in range(6):
            device.requests(f"renewal-{number}", key := new_key(), reason="expiring")
            clock.advance(timedelta(minutes=5))
        with pytest.raises(Rejected) as caught:
            device.requests("renewal-6", new_key(), reason="expiring")
        assert (caught.value.code, caught.value.retry_after_s) == (Code.BUSY, 30 * 60)
        assert device.rotation_state("renewal-5") == RotationState.ISSUED
        device.requests("renewal-5", key, reason="expiring")  # the same again gets the same answer
        clock.advance(timedelta(minutes=30))
        device.requests("renewal-6", key := new_key(), reason="expiring")
        device.rotates("renewal-6", key)

    @pytest.mark.parametrize("asked", [False, True])
    def test_another_key_for_the_same_rotation_is_another_certificate(
        self, fleet: Fleet, device: FakeDevice, asked: bool
    ) -> None:
        rotation_id = device.is_asked_to_rotate() if asked else "renewal-1"
        for _ in range(6 + asked):
            device.requests(rotation_id, key := new_key(), reason="expiring")
        assert refused(lambda: device.requests(rotation_id, new_key(), reason="expiring")) == Code.BUSY
        device.rotates(rotation_id, key)

    def test_what_it_was_asked_for_does_not_count(self, fleet: Fleet, device: FakeDevice) -> None:
        for _ in range(7):
            device.rotates(device.is_asked_to_rotate(), new_key())
        for number in range(6):
            device.requests(f"renewal-{number}", new_key(), reason="expiring")
        device.says(StatusState.REJECTED, "renewal-5")
        device.rotates(device.is_asked_to_rotate(), new_key())
