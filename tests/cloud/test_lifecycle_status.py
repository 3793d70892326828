# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What a device says counts only as far as the facts agree; messages come twice, late, or not at all."""

from contextlib import suppress
from datetime import timedelta

import pytest

from fleetpki.errors import Code, Rejected
from fleetpki.lifecycle import (
    KeyRequest,
    StatusState,
    abandon_rotation,
    collect_unactivated,
    push_rotation,
    revoke_certificate,
)
from fleetpki.registry.models import CertificateState, OutboxKind, RotationState
from tests.cloud.doubles import Clock, FakeDevice, Fleet, new_key, refused


@pytest.fixture
def device(fleet: Fleet) -> FakeDevice:
    return fleet.device("sensor-1")


@pytest.fixture
def rotation_id(device: FakeDevice, fleet: Fleet) -> str:
    rotation_id = device.is_asked_to_rotate()
    fleet.delivered()
    return rotation_id


@pytest.fixture
def new(device: FakeDevice, rotation_id: str) -> str:
    """The candidate of a rotation, staged on the device."""
    new = device.requests(rotation_id, new_key()).certificate_id
    device.says(StatusState.STAGED, rotation_id)
    return new


class TestTheFactDecides:
    def test_connected_said_over_the_old_certificate_commits_nothing(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str
    ) -> None:
        device.says(StatusState.CONNECTED, rotation_id)
        assert device.rotation_state(rotation_id) == RotationState.STAGED
        assert fleet.delivered() == []
        assert "status.contradicted" in fleet.audited(device.device_id)

    def test_connected_with_a_certificate_the_connection_has_not_is_refused(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str
    ) -> None:
        claim = lambda: device.says(StatusState.CONNECTED, rotation_id, claims=new)  # noqa: E731
        assert refused(claim) == Code.NOT_ALLOWED
        assert device.rotation_state(rotation_id) == RotationState.STAGED
        assert "status.connected.refused" in fleet.audited(device.device_id)

    def test_committed_said_over_the_old_certificate_is_refused(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str
    ) -> None:
        assert refused(lambda: device.says(StatusState.COMMITTED, rotation_id)) == Code.NOT_ALLOWED
        assert fleet.state(device.certificate_id) == CertificateState.ACTIVE
        assert fleet.state(new) == CertificateState.ISSUED

    @pytest.mark.parametrize("state", [StatusState.ROLLED_BACK, StatusState.REJECTED])
    def test_no_device_talks_away_the_certificate_it_talks_over(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, state: StatusState
    ) -> None:
        new = device.requests(rotation_id, new_key()).certificate_id
        assert refused(lambda: device.says(state, rotation_id, over=new)) == Code.NOT_ALLOWED
        assert fleet.state(new) == CertificateState.ISSUED
        assert fleet.state(device.certificate_id) == CertificateState.ACTIVE

    def test_staged_before_anything_was_issued_is_refused(self, device: FakeDevice, rotation_id: str) -> None:
        assert refused(lambda: device.says(StatusState.STAGED, rotation_id)) == Code.NOT_ALLOWED
        assert device.rotation_state(rotation_id) == RotationState.REQUESTED

    @pytest.mark.parametrize("state", StatusState)
    def test_a_device_has_no_say_in_anothers_rotation(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str, state: StatusState
    ) -> None:
        other = fleet.device("sensor-2")
        for name in (rotation_id, new):
            with suppress(Rejected):
                other.says(state, name, claims=new)
            with suppress(Rejected):
                device.says(state, name, over=other.certificate_id)
        assert device.rotation_state(rotation_id) == RotationState.STAGED
        assert fleet.state(new) == CertificateState.ISSUED
        assert fleet.state(device.certificate_id) == CertificateState.ACTIVE
        assert fleet.state(other.certificate_id) == CertificateState.ACTIVE

    def test_a_bootstrap_connection_speaks_for_no_device(self, fleet: Fleet, device: FakeDevice) -> None:
        speak = lambda: device.says(StatusState.CONNECTED, over=fleet.bootstrap)  # noqa: E731
        assert refused(speak) == Code.NOT_ALLOWED


class TestRepeatedMessages:
    @pytest.mark.parametrize("state", [StatusState.ACCEPTED, StatusState.STAGED])
    def test_a_late_message_moves_nothing_back(
        self, device: FakeDevice, rotation_id: str, new: str, state: StatusState
    ) -> None:
        device.says(StatusState.CONNECTED, rotation_id, over=new)
        device.says(state, rotation_id)
        assert device.rotation_state(rotation_id) == RotationState.COMMITTING
        device.says(StatusState.COMMITTED, rotation_id, over=new)
        device.says(state, rotation_id, over=new)
        assert device.rotation_state(rotation_id) == RotationState.COMMITTED

    def test_connected_again_gets_the_commit_again(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str
    ) -> None:
        commit = (OutboxKind.COMMIT, {"rotation_id": rotation_id, "certificate_id": new})
        device.says(StatusState.CONNECTED, rotation_id, over=new)
        device.says(StatusState.CONNECTED, rotation_id, over=new)
        assert fleet.delivered() == [commit]  # the same message waits once
        device.says(StatusState.CONNECTED, over=new)
        assert fleet.delivered() == [commit]

    def test_a_device_that_missed_that_it_committed_gets_the_commit_again(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str
    ) -> None:
        device.says(StatusState.COMMITTED, rotation_id, over=new)
        fleet.delivered()
        device.says(StatusState.CONNECTED, rotation_id, over=new)
        commit = {"rotation_id": rotation_id, "certificate_id": new}
        assert fleet.delivered() == [(OutboxKind.COMMIT, commit)]

    def test_committed_twice_is_committed_once(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str
    ) -> None:
        device.says(StatusState.COMMITTED, rotation_id, over=new)
        before = fleet.audited(device.device_id)
        device.says(StatusState.COMMITTED, rotation_id, over=new)
        assert fleet.audited(device.device_id) == before

    def test_a_late_roll_back_does_not_undo_a_commit(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str
    ) -> None:
        device.says(StatusState.COMMITTED, rotation_id, over=new)
        assert refused(lambda: device.says(StatusState.ROLLED_BACK, rotation_id)) == Code.STALE
        assert device.rotation_state(rotation_id) == RotationState.COMMITTED
        assert fleet.state(new) == CertificateState.ACTIVE


class TestLostMessages:
    def test_without_connected_committed_over_the_new_certificate_is_enough(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str
    ) -> None:
        device.says(StatusState.COMMITTED, rotation_id, over=new)
        assert fleet.state(new) == CertificateState.ACTIVE

    @pytest.mark.parametrize("progress", [(), (StatusState.ACCEPTED,)])
    def test_a_device_that_connects_is_asked_again(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, progress: tuple[StatusState, ...]
    ) -> None:
        for state in progress:
            device.says(state, rotation_id)
        device.says(StatusState.CONNECTED)
        asked = {"rotation_id": rotation_id, "mode": "csr", "key": "ec-p256"}
        assert fleet.delivered() == [(OutboxKind.ROTATE, asked)]

    def test_a_device_that_missed_its_certificate_starts_again_with_the_same_answer(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str
    ) -> None:
        key = new_key()
        issued = device.requests(rotation_id, key)
        device.says(StatusState.CONNECTED)
        assert [kind for kind, _ in fleet.delivered()] == [OutboxKind.ROTATE]
        assert device.requests(rotation_id, key) == issued

    def test_a_pushed_key_is_not_sent_again(self, fleet: Fleet, device: FakeDevice) -> None:
        push_rotation(fleet.ctx, device.device_id, key=KeyRequest.EC_P256)
        device.says(StatusState.CONNECTED)
        assert fleet.delivered() == []

    def test_a_proven_certificate_waits_for_the_devices_word_for_ever(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str, clock: Clock
    ) -> None:
        device.says(StatusState.CONNECTED, rotation_id, over=new)
        clock.advance(timedelta(days=30))
        assert collect_unactivated(fleet.ctx) == 0
        device.says(StatusState.COMMITTED, rotation_id, over=new)
        assert fleet.state(new) == CertificateState.ACTIVE

    def test_a_staged_certificate_that_never_connects_is_given_up(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str, clock: Clock
    ) -> None:
        clock.advance(fleet.ctx.policy.activation_window + timedelta(seconds=1))
        assert collect_unactivated(fleet.ctx) == 1
        assert fleet.state(new) == CertificateState.REVOKED
        assert not fleet.admits(new, device.device_id)
        assert fleet.admits(device.certificate_id, device.device_id)

    def test_a_lost_roll_back_shows_when_the_device_keeps_coming_with_the_old_one(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str, clock: Clock
    ) -> None:
        device.says(StatusState.CONNECTED, rotation_id, over=new)
        device.says(StatusState.CONNECTED)  # may be a late message from before
        assert device.rotation_state(rotation_id) == RotationState.COMMITTING
        clock.advance(fleet.ctx.policy.activation_window + timedelta(seconds=1))
        device.says(StatusState.CONNECTED)
        assert device.rotation_state(rotation_id) == RotationState.ROLLED_BACK
        assert fleet.state(new) == CertificateState.REVOKED
        device.rotates(device.is_asked_to_rotate(), new_key())


class TestEnds:
    def test_a_renewal_over_the_former_certificate_says_so_as_well(self, fleet: Fleet, clock: Clock) -> None:
        """A device that stays online says `connected` only once; without this its renewals stay busy."""
        device = fleet.device("sensor-1")
        rotation_id = device.is_asked_to_rotate()
        new = device.requests(rotation_id, new_key()).certificate_id
        device.says(StatusState.CONNECTED, rotation_id, over=new)
        assert refused(lambda: device.requests("renew-1", new_key(), reason="expiring")) == Code.BUSY
        clock.advance(timedelta(hours=2))
        device.requests("renew-1", new_key(), reason="expiring")
        assert device.rotation_state(rotation_id) == RotationState.ROLLED_BACK
        assert device.rotation_state("renew-1") == RotationState.ISSUED

    def test_a_rejection_revokes_the_unused_certificate_and_says_why(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str
    ) -> None:
        new = device.requests(rotation_id, new_key()).certificate_id
        device.says(StatusState.REJECTED, rotation_id, code=Code.STORAGE_FULL)
        rotation = fleet.rotation(device.device_id, rotation_id)
        assert (rotation.state, rotation.code) == (RotationState.REJECTED, Code.STORAGE_FULL)
        assert fleet.state(new) == CertificateState.REVOKED
        assert fleet.state(device.certificate_id) == CertificateState.ACTIVE
        assert (OutboxKind.DISCONNECT, {"certificate_id": new}) in fleet.delivered()

    def test_a_rejection_of_a_second_copy_leaves_the_staged_first_alone(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str
    ) -> None:
        device.says(StatusState.REJECTED, rotation_id, code=Code.STALE)
        assert device.rotation_state(rotation_id) == RotationState.STAGED
        assert fleet.state(new) == CertificateState.ISSUED
        assert "status.unmatched" in fleet.audited(device.device_id)

    @pytest.mark.parametrize("seen", [False, True])
    def test_a_roll_back_ends_it_also_after_the_commit_was_sent(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str, seen: bool
    ) -> None:
        if seen:
            device.says(StatusState.CONNECTED, rotation_id, over=new)
        device.says(StatusState.ROLLED_BACK, rotation_id)
        assert device.rotation_state(rotation_id) == RotationState.ROLLED_BACK
        assert fleet.state(new) == CertificateState.REVOKED
        assert fleet.state(device.certificate_id) == CertificateState.ACTIVE
        assert OutboxKind.COMMIT not in [kind for kind, _ in fleet.delivered()]
        device.rotates(device.is_asked_to_rotate(), new_key())

    def test_the_devices_last_word_replaces_the_clouds(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str
    ) -> None:
        revoke_certificate(fleet.ctx, new, "the broker is to refuse it")
        assert device.rotation_state(rotation_id) == RotationState.ABANDONED
        device.says(StatusState.ROLLED_BACK, rotation_id, code=Code.REVOKED)
        assert device.rotation_state(rotation_id) == RotationState.ROLLED_BACK

    def test_a_late_last_word_does_not_touch_the_next_rotation(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str
    ) -> None:
        revoke_certificate(fleet.ctx, new, "a test")
        fleet.delivered()
        following = device.is_asked_to_rotate()
        device.says(StatusState.ROLLED_BACK, rotation_id)
        assert device.rotation_state(following) == RotationState.REQUESTED
        assert [kind for kind, _ in fleet.delivered()] == [OutboxKind.ROTATE]

    @pytest.mark.parametrize("state", [StatusState.REJECTED, StatusState.ROLLED_BACK, StatusState.ACCEPTED])
    @pytest.mark.parametrize("name", [None, "0" * 64])
    def test_a_word_about_no_rotation_of_ours_is_kept_and_changes_nothing(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, state: StatusState, name: str | None
    ) -> None:
        device.says(state, name, code=Code.UNTRUSTED)
        assert fleet.audited(device.device_id)[-1] == "status.unmatched"
        assert device.rotation_state(rotation_id) == RotationState.REQUESTED

    def test_a_proven_certificate_cannot_be_abandoned(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str
    ) -> None:
        device.says(StatusState.CONNECTED, rotation_id, over=new)

        def abandon() -> None:
            abandon_rotation(fleet.ctx, device.device_id, rotation_id, Code.INTERNAL, "a mistake")

        assert refused(abandon) == Code.NOT_ALLOWED
        assert fleet.state(new) == CertificateState.ISSUED

    def test_after_the_grace_period_the_superseded_certificate_is_revoked(
        self, fleet: Fleet, device: FakeDevice, rotation_id: str, new: str, clock: Clock
    ) -> None:
        device.says(StatusState.COMMITTED, rotation_id, over=new)
        assert collect_unactivated(fleet.ctx) == 0
        clock.advance(fleet.ctx.policy.superseded_grace + timedelta(seconds=1))
        assert collect_unactivated(fleet.ctx) == 1
        assert fleet.state(device.certificate_id) == CertificateState.REVOKED
        assert fleet.state(new) == CertificateState.ACTIVE


def test_a_status_tells_when_a_device_was_last_seen(fleet: Fleet, device: FakeDevice, clock: Clock) -> None:
    clock.advance(timedelta(minutes=5))
    device.says(StatusState.CONNECTED)
    registered = fleet.registered(device.device_id)
    assert registered is not None
    assert registered.last_seen_at == clock()
    assert registered.generation == 1
