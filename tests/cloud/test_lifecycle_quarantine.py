# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Somebody claims to be a device at work: a human decides, about one key."""

from datetime import timedelta

import pytest

from fleetpki.errors import Code, NotFound, Rejected
from fleetpki.lifecycle import (
    StatusState,
    approve_claim,
    deny_claim,
    record_claim,
    resume_device,
    suspend_device,
    verdict,
)
from fleetpki.registry import pages
from fleetpki.registry.database import reading
from fleetpki.registry.models import CertificateState, Claim, ClaimState, OutboxKind, RotationState
from tests.cloud.doubles import Clock, FakeDevice, Fleet, new_key, refused

pytestmark = pytest.mark.both_databases


def claims(fleet: Fleet, state: ClaimState | None = None) -> list[Claim]:
    with reading(fleet.ctx.sessions) as session:
        return list(pages.claims(session, after=None, limit=10, state=state).rows)


def claim_states(fleet: Fleet) -> list[ClaimState]:
    return [claim.state for claim in claims(fleet)]


@pytest.fixture
def claimant(fleet: Fleet) -> FakeDevice:
    """Holds the bootstrap certificate, and says it is sensor-1, which is at work."""
    fleet.device("sensor-1")
    return FakeDevice(fleet, "sensor-1")


def claim(claimant: FakeDevice) -> Claim:
    with pytest.raises(Rejected) as caught:
        claimant.enroll()
    assert (caught.value.code, caught.value.retry_after_s) == (Code.NOT_ALLOWED, 300)
    [waiting] = claims(claimant.fleet, ClaimState.WAITING)
    return waiting


def test_a_claim_is_filed_once(fleet: Fleet, claimant: FakeDevice) -> None:
    assert claim(claimant).id == claim(claimant).id
    assert "claim.recorded" in fleet.audited("sensor-1")


def test_an_approved_claimant_becomes_the_device(fleet: Fleet, claimant: FakeDevice) -> None:
    old = fleet.certificates("sensor-1")[0].signed_id
    approve_claim(fleet.ctx, claim(claimant).id, actor="token:ann")
    assert fleet.admits(fleet.bootstrap, "sensor-1")
    claimant.enroll()
    assert fleet.admits(old, "sensor-1"), "until the new certificate is used"
    claimant.says(StatusState.CONNECTED)
    assert fleet.state(old) == CertificateState.SUPERSEDED
    [used] = claims(fleet)
    assert (used.state, used.decided_by) == (ClaimState.USED, "token:ann")


def test_an_approval_is_of_no_use_with_another_key(fleet: Fleet, claimant: FakeDevice) -> None:
    approve_claim(fleet.ctx, claim(claimant).id)
    thief = FakeDevice(fleet, "sensor-1")
    assert refused(thief.enroll) == Code.NOT_ALLOWED
    claimant.enroll()


def test_an_approval_is_good_once(fleet: Fleet, claimant: FakeDevice) -> None:
    approve_claim(fleet.ctx, claim(claimant).id)
    claimant.enroll()
    claimant.says(StatusState.CONNECTED)
    rotation_id = claimant.is_asked_to_rotate()
    first_key = claimant.key
    claimant.rotates(rotation_id, new_key())
    assert refused(lambda: claimant.enroll("again", key=first_key)) == Code.NOT_ALLOWED


def test_an_approval_is_not_used_up_while_nothing_can_be_signed(fleet: Fleet, claimant: FakeDevice) -> None:
    approve_claim(fleet.ctx, claim(claimant).id)
    rotation_id = FakeDevice(fleet, "sensor-1").is_asked_to_rotate()
    with fleet.signing_key_away():
        assert refused(claimant.enroll) == Code.BUSY
    assert fleet.rotation("sensor-1", rotation_id).state == RotationState.REQUESTED
    assert fleet.audited("sensor-1")[-1] == "enroll.refused"
    claimant.enroll()


def test_an_approval_is_not_used_up_by_a_refusal(fleet: Fleet, claimant: FakeDevice) -> None:
    approve_claim(fleet.ctx, claim(claimant).id)
    FakeDevice(fleet, "sensor-2").enroll(key=claimant.key)
    assert refused(claimant.enroll) == Code.WEAK_KEY
    assert claim_states(fleet) == [ClaimState.APPROVED]


def test_a_denied_claimant_is_turned_away_for_good(fleet: Fleet, claimant: FakeDevice) -> None:
    denied = deny_claim(fleet.ctx, claim(claimant).id)
    with pytest.raises(Rejected) as caught:
        claimant.enroll()
    assert (caught.value.code, caught.value.retry_after_s) == (Code.NOT_ALLOWED, None)
    assert claims(fleet, ClaimState.WAITING) == []
    assert refused(lambda: approve_claim(fleet.ctx, denied.id)) == Code.STALE
    deny_claim(fleet.ctx, denied.id)
    claim(FakeDevice(fleet, "sensor-1"))  # another key is another claim


def test_a_refused_connection_is_a_claim_too(fleet: Fleet, claimant: FakeDevice, clock: Clock) -> None:
    asked = verdict(fleet.ctx, certificate_id=fleet.bootstrap, client_id="sensor-1")
    assert (asked.allow, asked.is_claim) == (False, True)
    for _ in range(2):
        record_claim(fleet.ctx, "sensor-1", fleet.bootstrap)
    [waiting] = claims(fleet)
    approve_claim(fleet.ctx, waiting.id)
    assert fleet.admits(fleet.bootstrap, "sensor-1")
    clock.advance(timedelta(hours=23))
    claimant.enroll()


def test_the_door_an_approval_opens_for_any_key_closes_again(
    fleet: Fleet, claimant: FakeDevice, clock: Clock
) -> None:
    record_claim(fleet.ctx, "sensor-1", fleet.bootstrap)
    approve_claim(fleet.ctx, claims(fleet)[0].id)
    assert fleet.admits(fleet.bootstrap, "sensor-1")
    clock.advance(timedelta(hours=25))
    assert not fleet.admits(fleet.bootstrap, "sensor-1")


def test_after_a_day_a_denied_connection_is_a_claim_again(
    fleet: Fleet, claimant: FakeDevice, clock: Clock
) -> None:
    record_claim(fleet.ctx, "sensor-1", fleet.bootstrap)
    deny_claim(fleet.ctx, claims(fleet)[0].id)
    clock.advance(timedelta(hours=23))
    record_claim(fleet.ctx, "sensor-1", fleet.bootstrap)
    assert claim_states(fleet) == [ClaimState.DENIED]
    clock.advance(timedelta(hours=2))
    for _ in range(2):
        record_claim(fleet.ctx, "sensor-1", fleet.bootstrap)
    assert claim_states(fleet) == [ClaimState.WAITING, ClaimState.DENIED]


def test_a_key_takes_no_claim_over_that_somebody_is_looking_at(fleet: Fleet, claimant: FakeDevice) -> None:
    record_claim(fleet.ctx, "sensor-1", fleet.bootstrap)
    [seen] = claims(fleet)
    of_a_key = claim(claimant)
    assert of_a_key.id != seen.id
    assert fleet.audited("sensor-1")[-3:] == ["claim.replaced", "claim.recorded", "enroll.refused"]
    for decide in (approve_claim, deny_claim):
        with pytest.raises(Rejected, match=f"claim {seen.id} was replaced by a later one"):
            decide(fleet.ctx, seen.id)
    assert refused(claimant.enroll) == Code.NOT_ALLOWED
    approve_claim(fleet.ctx, of_a_key.id)
    claimant.enroll()


def test_who_comes_with_another_key_is_not_told_that_the_claim_is_theirs(
    fleet: Fleet, claimant: FakeDevice
) -> None:
    first = claim(claimant)
    with pytest.raises(Rejected, match=f"claim {first.id}, which is for another key, waits"):
        FakeDevice(fleet, "sensor-1").enroll()


def test_a_claim_is_not_approved_while_the_device_is_suspended(fleet: Fleet, claimant: FakeDevice) -> None:
    waiting = claim(claimant)
    suspend_device(fleet.ctx, "sensor-1", "odd")
    assert refused(lambda: approve_claim(fleet.ctx, waiting.id)) == Code.SUSPENDED
    assert claim_states(fleet) == [ClaimState.WAITING]


def test_the_same_approval_again_lets_nobody_in_for_longer(
    fleet: Fleet, claimant: FakeDevice, clock: Clock
) -> None:
    record_claim(fleet.ctx, "sensor-1", fleet.bootstrap)
    [waiting] = claims(fleet)
    approve_claim(fleet.ctx, waiting.id)
    clock.advance(timedelta(hours=25))
    approve_claim(fleet.ctx, waiting.id)
    assert refused(claimant.enroll) == Code.NOT_ALLOWED


def test_a_connection_of_nobody_at_work_is_no_claim(fleet: Fleet) -> None:
    record_claim(fleet.ctx, "sensor-9", fleet.bootstrap)
    assert claims(fleet) == []
    assert not verdict(fleet.ctx, certificate_id=fleet.bootstrap, client_id="sensor-9").is_claim


def test_a_claim_nobody_made(fleet: Fleet) -> None:
    for decide in (approve_claim, deny_claim):
        with pytest.raises(NotFound):
            decide(fleet.ctx, 7)


def test_a_suspended_device_is_out_at_once_and_back_when_resumed(fleet: Fleet) -> None:
    device, other = fleet.device("sensor-1"), fleet.device("sensor-2")
    for _ in range(2):
        suspend_device(fleet.ctx, "sensor-1", "odd traffic", actor="token:ann")
    assert not fleet.admits(device.certificate_id, "sensor-1")
    assert fleet.delivered() == [(OutboxKind.DISCONNECT, {"certificate_id": device.certificate_id})]
    assert refused(lambda: device.says(StatusState.CONNECTED)) == Code.SUSPENDED
    assert fleet.admits(other.certificate_id, "sensor-2")
    resume_device(fleet.ctx, "sensor-1")
    assert fleet.admits(device.certificate_id, "sensor-1")
    assert fleet.audited("sensor-1")[-3:] == [
        "device.suspended",
        "status.connected.refused",
        "device.resumed",
    ]


def test_a_rotation_waits_for_a_suspended_device(fleet: Fleet) -> None:
    device = fleet.device("sensor-1")
    rotation_id = device.is_asked_to_rotate()
    suspend_device(fleet.ctx, "sensor-1", "odd")
    resume_device(fleet.ctx, "sensor-1")
    device.rotates(rotation_id, new_key())
