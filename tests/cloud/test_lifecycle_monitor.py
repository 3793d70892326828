# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The monitor renews what nears its end, repeats what got lost, and tells what needs a human."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from queue import SimpleQueue
from threading import Event, Lock
from typing import Any

import pytest

from fleetpki.errors import Code
from fleetpki.lifecycle import (
    KeyRequest,
    StatusState,
    abandon_rotation,
    collect_unactivated,
    monitor,
    push_rotation,
    renewal,
    revoke_device,
)
from fleetpki.lifecycle.alerts import list_alerts
from fleetpki.registry.models import Certificate, DeviceState, Initiator, OutboxKind, Rotation
from tests.cloud.doubles import Clock, FakeDevice, Fleet, new_key

LIMIT = 1000
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
PATIENCE_S = 60


@pytest.fixture
def device(fleet: Fleet) -> FakeDevice:
    return fleet.device("sensor-1")


def active(fleet: Fleet, device: FakeDevice) -> Certificate:
    return fleet.certificate(device.certificate_id)


def due(fleet: Fleet, device: FakeDevice, clock: Clock) -> None:
    """Let it be time to renew."""
    certificate = active(fleet, device)
    clock.now = renewal.renew_at(device.device_id, certificate.not_before, certificate.not_after)


def asked(fleet: Fleet) -> list[str]:
    """The ids of the rotations devices are told of."""
    return [body["rotation_id"] for kind, body in fleet.delivered() if kind == OutboxKind.ROTATE]


def alerts(fleet: Fleet) -> list[tuple[str, str, str]]:
    return [(alert.subject, alert.kind, alert.severity) for alert in list_alerts(fleet.ctx)]


def rotations(fleet: Fleet) -> list[Rotation]:
    with fleet.ctx.sessions() as session:
        return list(session.query(Rotation).order_by(Rotation.created_at))


class TestRenewal:
    def test_nothing_is_done_before_its_time(self, fleet: Fleet, device: FakeDevice, clock: Clock) -> None:
        due(fleet, device, clock)
        clock.advance(-MINUTE)
        assert monitor.watch(fleet.ctx, LIMIT) == monitor.Tally()

    def test_a_certificate_near_its_end_is_renewed_without_a_human(
        self, fleet: Fleet, device: FakeDevice, clock: Clock
    ) -> None:
        due(fleet, device, clock)
        assert monitor.watch(fleet.ctx, LIMIT) == monitor.Tally(looked_at=1, renewals=1)
        (rotation_id,) = asked(fleet)
        rotation = fleet.rotation(device.device_id, rotation_id)
        assert (rotation.initiator, rotation.key) == (Initiator.MONITOR, KeyRequest.EC_P256)
        assert rotation.deadline == active(fleet, device).not_after
        device.rotates(rotation_id, new_key())
        assert monitor.watch(fleet.ctx, LIMIT) == monitor.Tally()
        assert alerts(fleet) == []

    def test_it_is_asked_once(self, fleet: Fleet, device: FakeDevice, clock: Clock) -> None:
        due(fleet, device, clock)
        monitor.watch(fleet.ctx, LIMIT)
        assert monitor.watch(fleet.ctx, LIMIT) == monitor.Tally()

    def test_monitors_that_run_at_once_double_nothing(self, fleet: Fleet, clock: Clock) -> None:
        devices = [fleet.device(f"sensor-{number}") for number in range(8)]
        clock.now = active(fleet, devices[0]).not_after - timedelta(days=14)
        with ThreadPoolExecutor(4) as pool:
            tallies = list(pool.map(lambda _: monitor.watch(fleet.ctx, LIMIT), range(4)))
        assert sum(tally.renewals for tally in tallies) == len(devices)
        assert len(asked(fleet)) == len(rotations(fleet)) == len(devices)

    def test_a_pass_takes_no_more_than_it_may_and_the_next_goes_on(self, fleet: Fleet, clock: Clock) -> None:
        devices = [fleet.device(f"sensor-{number}") for number in range(5)]
        clock.now = active(fleet, devices[0]).not_after - timedelta(days=14)
        assert [monitor.watch(fleet.ctx, 2).renewals for _ in range(4)] == [2, 2, 1, 0]

    def test_a_rotation_under_way_is_enough(self, fleet: Fleet, device: FakeDevice, clock: Clock) -> None:
        due(fleet, device, clock)
        device.requests("mine", new_key(), reason="expiring")
        assert monitor.watch(fleet.ctx, LIMIT).renewals == 0

    def test_a_device_that_enrols_again_is_left_alone(
        self, fleet: Fleet, device: FakeDevice, clock: Clock
    ) -> None:
        clock.now = active(fleet, device).not_after - MINUTE
        with fleet.ctx.sessions.begin() as session:
            registered = fleet.registered(device.device_id)
            assert registered is not None
            session.add(registered)
            registered.reenroll_until = clock() + HOUR
        device.enroll("again", new_key())
        assert monitor.watch(fleet.ctx, LIMIT).renewals == 0

    def test_a_suspended_device_is_left_alone_until_it_is_back(
        self, fleet: Fleet, device: FakeDevice, clock: Clock
    ) -> None:
        due(fleet, device, clock)
        self._set_state(fleet, device, DeviceState.SUSPENDED)
        assert monitor.watch(fleet.ctx, LIMIT) == monitor.Tally(looked_at=1)
        self._set_state(fleet, device, DeviceState.ACTIVE)
        clock.advance(timedelta(days=8))
        assert monitor.watch(fleet.ctx, LIMIT).renewals == 1

    def test_the_audit_chain_says_who_asked(self, fleet: Fleet, device: FakeDevice, clock: Clock) -> None:
        due(fleet, device, clock)
        monitor.watch(fleet.ctx, LIMIT)
        assert fleet.audited(device.device_id)[-1] == "rotation.requested"

    @staticmethod
    def _set_state(fleet: Fleet, device: FakeDevice, state: DeviceState) -> None:
        registered = fleet.registered(device.device_id)
        assert registered is not None
        with fleet.ctx.sessions.begin() as session:
            session.add(registered)
            registered.state = state


@pytest.mark.parametrize("registry", ["postgresql"], indirect=True, scope="session")
class TestTwoMonitors:
    """Of two processes on one server; a file has one writer at a time."""

    @pytest.fixture
    def devices(self, fleet: Fleet, clock: Clock) -> list[FakeDevice]:
        devices = [fleet.device(f"sensor-{number}") for number in range(8)]
        clock.now = active(fleet, devices[0]).not_after - timedelta(days=14)
        return devices

    def test_what_one_is_at_the_other_passes_over(
        self, fleet: Fleet, devices: list[FakeDevice], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks, may_go_on = self._first_stops(monkeypatch)
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(monitor.watch, replace(fleet.ctx), 3)
            try:
                looks.get(timeout=PATIENCE_S)
                second = pool.submit(monitor.watch, replace(fleet.ctx), LIMIT)
                assert second.result(timeout=PATIENCE_S) == monitor.Tally(looked_at=5, renewals=5)
                assert not first.done()
            finally:
                may_go_on.set()
            assert first.result(timeout=PATIENCE_S) == monitor.Tally(looked_at=3, renewals=3)
        self._each_was_asked_once(fleet, devices)

    def test_what_one_gave_up_the_next_pass_does(
        self, fleet: Fleet, devices: list[FakeDevice], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks, may_go_on = self._first_stops(monkeypatch, RuntimeError("killed"))
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(monitor.watch, replace(fleet.ctx), 3)
            try:
                looks.get(timeout=PATIENCE_S)
                second = pool.submit(monitor.watch, replace(fleet.ctx), LIMIT)
                assert second.result(timeout=PATIENCE_S).looked_at == 5
            finally:
                may_go_on.set()
            with pytest.raises(RuntimeError, match="killed"):
                first.result(timeout=PATIENCE_S)
        assert monitor.watch(fleet.ctx, LIMIT) == monitor.Tally(looked_at=3, renewals=3)
        self._each_was_asked_once(fleet, devices)

    def test_repetitions_are_not_doubled_either(
        self, fleet: Fleet, devices: list[FakeDevice], clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monitor.watch(fleet.ctx, LIMIT)
        fleet.delivered()
        clock.advance(2 * MINUTE)
        repeated, may_go_on = self._first_stops(monkeypatch, rule="say_again")
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(monitor.watch, replace(fleet.ctx), 3)
            try:
                repeated.get(timeout=PATIENCE_S)
                second = pool.submit(monitor.watch, replace(fleet.ctx), LIMIT)
                assert second.result(timeout=PATIENCE_S).repeated == 5
            finally:
                may_go_on.set()
            assert first.result(timeout=PATIENCE_S).repeated == 3
        assert len(asked(fleet)) == len(devices)
        assert monitor.watch(fleet.ctx, LIMIT) == monitor.Tally()

    @staticmethod
    def _first_stops(
        monkeypatch: pytest.MonkeyPatch, error: Exception | None = None, rule: str = "judge"
    ) -> tuple[SimpleQueue[None], Event]:
        """Who works on a device first says so, and waits until it may go on."""
        reached, may_go_on, is_first = SimpleQueue[None](), Event(), Lock()
        original = getattr(monitor, rule)

        def stopping(*arguments: Any) -> Any:
            if is_first.acquire(blocking=False):
                reached.put(None)
                assert may_go_on.wait(PATIENCE_S)
                if error is not None:
                    raise error
            return original(*arguments)

        monkeypatch.setattr(monitor, rule, stopping)
        return reached, may_go_on

    @staticmethod
    def _each_was_asked_once(fleet: Fleet, devices: list[FakeDevice]) -> None:
        assert len(asked(fleet)) == len(devices)
        assert sorted(rotation.device_id for rotation in rotations(fleet)) == [
            device.device_id for device in devices
        ]
        assert monitor.watch(fleet.ctx, LIMIT) == monitor.Tally()


class TestFailure:
    @pytest.fixture
    def rotation_id(self, fleet: Fleet, device: FakeDevice, clock: Clock) -> str:
        due(fleet, device, clock)
        monitor.watch(fleet.ctx, LIMIT)
        (rotation_id,) = asked(fleet)
        return rotation_id

    def test_a_rejected_rotation_is_told_and_tried_again_later(
        self, fleet: Fleet, device: FakeDevice, clock: Clock, rotation_id: str
    ) -> None:
        device.says(StatusState.REJECTED, rotation_id, code="storage_full")
        assert monitor.watch(fleet.ctx, LIMIT) == monitor.Tally(looked_at=1, raised=1)
        assert alerts(fleet) == [("sensor-1", "rotation_failed", "warning")]
        clock.advance(HOUR)
        assert monitor.watch(fleet.ctx, LIMIT).renewals == 1
        (second,) = asked(fleet)
        device.rotates(second, new_key())
        assert monitor.watch(fleet.ctx, LIMIT) == monitor.Tally(looked_at=1, cleared=1)
        assert alerts(fleet) == []

    def test_a_roll_back_is_told(self, fleet: Fleet, device: FakeDevice, rotation_id: str) -> None:
        device.requests(rotation_id, new_key())
        device.says(StatusState.STAGED, rotation_id)
        device.says(StatusState.ROLLED_BACK, rotation_id, code="untrusted")
        monitor.watch(fleet.ctx, LIMIT)
        (alert,) = list_alerts(fleet.ctx)
        assert alert.kind == "rolled_back"
        assert "untrusted" in alert.message

    def test_a_lost_report_of_a_roll_back_ends_the_rotation_all_the_same(
        self, fleet: Fleet, device: FakeDevice, clock: Clock, rotation_id: str
    ) -> None:
        device.requests(rotation_id, new_key())
        device.says(StatusState.STAGED, rotation_id)
        clock.advance(fleet.ctx.policy.activation_window + MINUTE)
        collect_unactivated(fleet.ctx)
        monitor.watch(fleet.ctx, LIMIT)
        assert alerts(fleet) == [("sensor-1", "rotation_failed", "warning")]
        device.says(StatusState.ROLLED_BACK, rotation_id)
        clock.advance(HOUR)
        monitor.watch(fleet.ctx, LIMIT)
        assert ("sensor-1", "rolled_back", "warning") in alerts(fleet)

    def test_a_device_that_cannot_make_keys_keeps_its_own(
        self, fleet: Fleet, device: FakeDevice, clock: Clock, rotation_id: str
    ) -> None:
        device.says(StatusState.REJECTED, rotation_id, code="unsupported")
        monitor.watch(fleet.ctx, LIMIT)
        clock.advance(HOUR)
        monitor.watch(fleet.ctx, LIMIT)
        (second,) = asked(fleet)
        assert fleet.rotation(device.device_id, second).key == KeyRequest.SAME

    def test_what_an_operator_gave_up_is_no_news(
        self, fleet: Fleet, device: FakeDevice, clock: Clock
    ) -> None:
        rotation, _ = push_rotation(fleet.ctx, device.device_id, key=KeyRequest.EC_P256)
        abandon_rotation(fleet.ctx, device.device_id, rotation.rotation_id, Code.BUSY, "offline")
        monitor.watch(fleet.ctx, LIMIT)
        assert alerts(fleet) == []


class TestOffline:
    @pytest.fixture
    def rotation_id(self, fleet: Fleet, device: FakeDevice, clock: Clock) -> str:
        due(fleet, device, clock)
        monitor.watch(fleet.ctx, LIMIT)
        (rotation_id,) = asked(fleet)
        return rotation_id

    def test_it_is_told_as_silent_then_as_expiring_then_as_expired(
        self, fleet: Fleet, device: FakeDevice, clock: Clock, rotation_id: str
    ) -> None:
        certificate = active(fleet, device)
        life = certificate.not_before, certificate.not_after
        seen = []
        for at in (
            renewal.silent_at(clock(), *life),
            renewal.warn_at(*life),
            renewal.critical_at(*life),
            certificate.not_after,
        ):
            clock.now = at
            collect_unactivated(fleet.ctx)
            monitor.watch(fleet.ctx, LIMIT)
            seen.append({(kind, severity) for _, kind, severity in alerts(fleet)})
        silent = ("silent", "warning")
        assert seen == [
            {silent},
            {silent, ("expiring", "warning")},
            {silent, ("expiring", "critical")},
            {("expired", "critical")},
        ]

    def test_it_is_caught_up_when_it_returns(
        self, fleet: Fleet, device: FakeDevice, clock: Clock, rotation_id: str
    ) -> None:
        clock.advance(timedelta(days=20))
        monitor.watch(fleet.ctx, LIMIT)
        assert ("sensor-1", "silent", "warning") in alerts(fleet)
        fleet.delivered()
        device.says(StatusState.CONNECTED)
        assert asked(fleet) == [rotation_id]
        monitor.watch(fleet.ctx, LIMIT)
        assert "silent" not in [kind for _, kind, _ in alerts(fleet)]
        device.rotates(rotation_id, new_key())
        monitor.watch(fleet.ctx, LIMIT)
        assert alerts(fleet) == []

    def test_one_that_expired_and_enrolled_again_is_well(
        self, fleet: Fleet, device: FakeDevice, clock: Clock, rotation_id: str
    ) -> None:
        clock.now = active(fleet, device).not_after
        monitor.watch(fleet.ctx, LIMIT)
        assert alerts(fleet) == [("sensor-1", "expired", "critical")]
        assert monitor.watch(fleet.ctx, LIMIT) == monitor.Tally()
        device.enroll("again", new_key())
        device.says(StatusState.CONNECTED)
        monitor.watch(fleet.ctx, LIMIT)
        assert alerts(fleet) == []

    def test_nobody_worries_about_a_revoked_device(
        self, fleet: Fleet, device: FakeDevice, clock: Clock, rotation_id: str
    ) -> None:
        clock.advance(timedelta(days=20))
        monitor.watch(fleet.ctx, LIMIT)
        revoke_device(fleet.ctx, device.device_id, "lost")
        monitor.watch(fleet.ctx, LIMIT)
        assert alerts(fleet) == []
        assert monitor.watch(fleet.ctx, LIMIT) == monitor.Tally()


class TestLostMessages:
    """Between online devices and the cloud a message may get lost; nobody reconnects because of that."""

    @pytest.fixture
    def rotation_id(self, fleet: Fleet, device: FakeDevice) -> str:
        rotation_id = device.is_asked_to_rotate()
        fleet.delivered()
        return rotation_id

    def later(self, fleet: Fleet, clock: Clock) -> list[OutboxKind]:
        clock.advance(2 * MINUTE)
        monitor.watch(fleet.ctx, LIMIT)
        return [kind for kind, _ in fleet.delivered()]

    def test_rotate_is_repeated(
        self, fleet: Fleet, device: FakeDevice, clock: Clock, rotation_id: str
    ) -> None:
        assert self.later(fleet, clock) == [OutboxKind.ROTATE]

    def test_what_was_lost_after_it_was_accepted_is_asked_for_again(
        self, fleet: Fleet, device: FakeDevice, clock: Clock, rotation_id: str
    ) -> None:
        device.says(StatusState.ACCEPTED, rotation_id)
        assert self.later(fleet, clock) == [OutboxKind.ROTATE]
        key = new_key()
        first = device.requests(rotation_id, key)
        assert self.later(fleet, clock) == [OutboxKind.ROTATE]
        assert device.requests(rotation_id, key) == first

    def test_the_answer_to_a_devices_own_request_is_repeated(
        self, fleet: Fleet, device: FakeDevice, clock: Clock
    ) -> None:
        device.requests("mine", new_key(), reason="expiring")
        assert self.later(fleet, clock) == [OutboxKind.ISSUED]

    def test_commit_is_repeated(
        self, fleet: Fleet, device: FakeDevice, clock: Clock, rotation_id: str
    ) -> None:
        new = device.requests(rotation_id, new_key()).certificate_id
        device.says(StatusState.STAGED, rotation_id)
        assert self.later(fleet, clock) == []
        device.says(StatusState.CONNECTED, rotation_id, over=new)
        fleet.delivered()
        assert self.later(fleet, clock) == [OutboxKind.COMMIT]

    def test_a_pushed_key_is_never_repeated(self, fleet: Fleet, device: FakeDevice, clock: Clock) -> None:
        push_rotation(fleet.ctx, device.device_id, key=KeyRequest.EC_P256)
        assert self.later(fleet, clock) == []

    def test_repetitions_come_to_an_end(
        self, fleet: Fleet, device: FakeDevice, clock: Clock, rotation_id: str
    ) -> None:
        said = 0
        for _ in range(24 * 60):
            clock.advance(MINUTE)
            monitor.watch(fleet.ctx, LIMIT)
            said += len(asked(fleet))
        assert said == renewal.MAX_REPEATS

    def test_a_finished_rotation_is_not_repeated(
        self, fleet: Fleet, device: FakeDevice, clock: Clock, rotation_id: str
    ) -> None:
        device.rotates(rotation_id, new_key())
        fleet.delivered()
        assert self.later(fleet, clock) == []
