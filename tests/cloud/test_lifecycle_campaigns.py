# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Many devices rotate, so many a minute; a campaign in which too many fail stops by itself."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpki.errors import Code, NotFound
from fleetpki.lifecycle import KeyRequest, StatusState, campaigns, update_device
from fleetpki.lifecycle.alerts import list_alerts
from fleetpki.lifecycle.campaigns import Progress, too_many_failed
from fleetpki.lifecycle.selection import Selector
from fleetpki.registry.models import CampaignState, OutboxKind, Rotation
from tests.cloud.doubles import Clock, FakeDevice, Fleet, new_key, refused

MINUTE = timedelta(minutes=1)


@pytest.fixture
def devices(fleet: Fleet) -> list[FakeDevice]:
    return [fleet.device(f"sensor-{number}") for number in range(5)]


def begin(fleet: Fleet, rate: int = 100, limit: int = 100, **selector: Any) -> str:
    return campaigns.create(
        fleet.ctx,
        selector=Selector.model_validate(selector),
        key=KeyRequest.EC_P256,
        rate_per_minute=rate,
        failure_limit_percent=limit,
    ).campaign_id


def advance(fleet: Fleet, clock: Clock) -> list[str]:
    """A minute goes by; the devices that are asked."""
    clock.advance(MINUTE)
    campaigns.advance_all(fleet.ctx)
    asked = fleet.delivered()
    assert {kind for kind, _ in asked} <= {OutboxKind.ROTATE}
    with fleet.ctx.sessions() as session:
        ids = [body["rotation_id"] for _, body in asked]
        return sorted(
            rotation.device_id for rotation in session.query(Rotation) if rotation.rotation_id in ids
        )


def rotation_of(fleet: Fleet, device: FakeDevice) -> str:
    with fleet.ctx.sessions() as session:
        return session.query(Rotation).filter_by(device_id=device.device_id).one().rotation_id


def state(fleet: Fleet, campaign_id: str) -> CampaignState:
    return campaigns.find(fleet.ctx, campaign_id).state


def test_so_many_devices_a_minute_until_all_are_done(
    fleet: Fleet, clock: Clock, devices: list[FakeDevice]
) -> None:
    campaign = begin(fleet, rate=2)
    waves = [advance(fleet, clock) for _ in range(4)]
    assert [len(wave) for wave in waves] == [2, 2, 1, 0]
    assert campaigns.progress(fleet.ctx, campaign) == Progress(0, 5, 0, 0, 0)
    for device in devices:
        device.rotates(rotation_of(fleet, device), new_key())
    fleet.delivered()
    assert campaigns.progress(fleet.ctx, campaign) == Progress(0, 0, 5, 0, 0)
    advance(fleet, clock)
    assert state(fleet, campaign) == CampaignState.FINISHED


@pytest.mark.both_databases
def test_monitors_that_run_at_once_keep_the_rate_together(
    fleet: Fleet, clock: Clock, devices: list[FakeDevice]
) -> None:
    begin(fleet, rate=3)
    with ThreadPoolExecutor(4) as pool:
        begun = list(pool.map(lambda _: campaigns.advance_all(fleet.ctx), range(4)))
    assert sum(begun) == 3


def test_a_device_that_is_busy_has_its_turn_later(
    fleet: Fleet, clock: Clock, devices: list[FakeDevice]
) -> None:
    busy = devices[0]
    rotation_id = busy.is_asked_to_rotate()
    fleet.delivered()
    campaign = begin(fleet)
    assert busy.device_id not in advance(fleet, clock)
    assert campaigns.progress(fleet.ctx, campaign).waiting == 1
    busy.rotates(rotation_id, new_key())
    fleet.delivered()
    assert advance(fleet, clock) == [busy.device_id]


def test_a_device_that_renews_by_itself_meets_the_campaign(
    fleet: Fleet, clock: Clock, devices: list[FakeDevice]
) -> None:
    campaign = begin(fleet, device_ids=["sensor-0"])
    advance(fleet, clock)
    devices[0].requests("mine", key := new_key(), reason="expiring")
    devices[0].rotates("mine", key)
    assert campaigns.progress(fleet.ctx, campaign) == Progress(0, 0, 1, 0, 0)


def test_too_many_failures_pause_it_and_somebody_is_told(
    fleet: Fleet, clock: Clock, devices: list[FakeDevice]
) -> None:
    campaign = begin(fleet, rate=2, limit=5)
    advance(fleet, clock)
    for device in devices[:2]:
        device.says(StatusState.REJECTED, rotation_of(fleet, device), code="storage_full")
    assert advance(fleet, clock) == []
    assert state(fleet, campaign) == CampaignState.PAUSED
    (alert,) = list_alerts(fleet.ctx)
    assert (alert.kind, alert.subject) == ("campaign_paused", f"campaign:{campaign}")
    campaigns.resume(fleet.ctx, campaign)
    assert list_alerts(fleet.ctx) == []
    assert len(advance(fleet, clock)) == 2
    assert state(fleet, campaign) == CampaignState.RUNNING


def test_one_that_is_cancelled_while_it_is_looked_at_holds_up_no_other(
    fleet: Fleet, clock: Clock, devices: list[FakeDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = begin(fleet, limit=1, device_ids=["sensor-0"])
    begin(fleet, limit=99, device_ids=["sensor-1"])

    def cancel_meanwhile(_failed: int, _ended: int, limit_percent: int) -> bool:
        if limit_percent == 1:
            campaigns.cancel(fleet.ctx, cancelled)
        return limit_percent == 1

    monkeypatch.setattr(campaigns, "too_many_failed", cancel_meanwhile)
    assert advance(fleet, clock) == ["sensor-1"]
    assert state(fleet, cancelled) == CampaignState.CANCELLED


def test_paused_nothing_begins_and_resumed_it_goes_on(
    fleet: Fleet, clock: Clock, devices: list[FakeDevice]
) -> None:
    campaign = begin(fleet, rate=2)
    campaigns.pause(fleet.ctx, campaign)
    assert advance(fleet, clock) == []
    campaigns.resume(fleet.ctx, campaign)
    assert len(advance(fleet, clock)) == 2


def test_cancelled_the_unanswered_are_given_up_and_the_others_go_on(
    fleet: Fleet, clock: Clock, devices: list[FakeDevice]
) -> None:
    campaign = begin(fleet, rate=3)
    advance(fleet, clock)
    working = rotation_of(fleet, devices[0])
    devices[0].says(StatusState.ACCEPTED, working)
    campaigns.cancel(fleet.ctx, campaign)
    assert campaigns.progress(fleet.ctx, campaign) == Progress(0, 1, 0, 0, 2)
    devices[0].rotates(working, new_key())
    fleet.delivered()
    assert advance(fleet, clock) == []
    assert refused(lambda: campaigns.resume(fleet.ctx, campaign)) == Code.NOT_ALLOWED


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({"group": "north"}, ["sensor-1", "sensor-2"]),
        ({"tags": {"rack": "7"}}, ["sensor-2", "sensor-3"]),
        ({"group": "north", "tags": {"rack": "7"}}, ["sensor-2"]),
        ({"tags": {"rack": "7", "line.of/cars": "3"}}, ["sensor-3"]),
        ({"tags": {"line.of/cars": "3"}}, ["sensor-3"]),
        ({"device_ids": ["sensor-4", "sensor-4", "nobody"]}, ["sensor-4"]),
        ({"expires_before": "2099-01-01T00:00:00Z", "group": "north"}, ["sensor-1", "sensor-2"]),
    ],
)
def test_the_selector_chooses(
    fleet: Fleet,
    clock: Clock,
    devices: list[FakeDevice],
    selector: dict[str, Any],
    selected: list[str],
) -> None:
    placed = {
        "sensor-1": ("north", {"rack": "8"}),
        "sensor-2": ("north", {"rack": "7"}),
        "sensor-3": (None, {"rack": "7", "line.of/cars": "3"}),
    }
    for device_id, (group, tags) in placed.items():
        update_device(fleet.ctx, device_id, group=group, tags=tags)
    begin(fleet, **selector)
    assert advance(fleet, clock) == selected


@pytest.mark.parametrize(
    "selector",
    [{"group": "south"}, {"batch": "b-9"}, {"issuer_id": "0"}, {"expires_before": "2000-01-01T00:00Z"}],
)
def test_a_campaign_for_nobody_is_refused(
    fleet: Fleet, devices: list[FakeDevice], selector: dict[str, Any]
) -> None:
    with pytest.raises(NotFound, match="no device"):
        begin(fleet, **selector)


def test_an_unknown_campaign_is_named(fleet: Fleet) -> None:
    with pytest.raises(NotFound, match="campaign-9"):
        campaigns.pause(fleet.ctx, "campaign-9")


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 100))
def test_the_limit_is_a_share_of_those_that_ended(failed: int, committed: int, limit: int) -> None:
    ended = failed + committed
    if too_many_failed(failed, ended, limit):
        assert failed / ended > limit / 100
    if ended >= 20:
        assert too_many_failed(failed, ended, limit) == (failed > ended * limit / 100)
