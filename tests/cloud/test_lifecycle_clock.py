# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The cloud's clock was wrong: what it could not do it does afterwards, and nothing waits for its future."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from fleetpki.errors import Code
from fleetpki.lifecycle import StatusState, collect_unactivated, monitor
from fleetpki.lifecycle.alerts import AlertKind, list_alerts
from fleetpki.lifecycle.batches import change_batch
from fleetpki.registry.models import CertificateState
from tests.cloud.doubles import Clock, FakeDevice, Fleet, new_key, refused
from tests.cloud.test_lifecycle_campaigns import advance, begin

YEAR = timedelta(days=365)
A_WHILE = timedelta(minutes=2)


@contextmanager
def ahead(clock: Clock, by: timedelta = YEAR) -> Iterator[None]:
    """The clock is ahead for a while."""
    clock.advance(by)
    yield
    clock.advance(A_WHILE - by)


# ---------------------------------------------------------------- behind


def test_before_its_authority_begins_nothing_is_signed_and_devices_may_come_back(
    fleet: Fleet, clock: Clock
) -> None:
    device = FakeDevice(fleet, "sensor-1")
    clock.advance(-YEAR)
    assert refused(device.enroll) == Code.BUSY
    assert "enroll.refused" in fleet.audited("sensor-1")
    assert not fleet.certificates("sensor-1")
    clock.advance(YEAR)
    device.enroll()
    assert [each.state for each in fleet.certificates("sensor-1")] == [CertificateState.ISSUED]


def test_after_its_authority_has_ended_devices_may_come_back(fleet: Fleet, clock: Clock) -> None:
    device = FakeDevice(fleet, "sensor-1")
    with ahead(clock, 6 * YEAR):
        assert refused(device.enroll) == Code.BUSY
    device.enroll()


# ---------------------------------------------------------------- ahead, and right again


def test_a_batch_does_not_count_what_is_yet_to_come(fleet: Fleet, clock: Clock) -> None:
    change_batch(fleet.ctx, "bootstrap-1", {"rate_per_minute": 1})
    with ahead(clock):
        FakeDevice(fleet, "sensor-1").enroll()
    FakeDevice(fleet, "sensor-2").enroll()


def test_a_campaign_does_not_count_what_is_yet_to_come(fleet: Fleet, clock: Clock) -> None:
    for number in range(2):
        fleet.device(f"sensor-{number}")
    begin(fleet, rate=1)
    with ahead(clock, timedelta(days=1)):
        assert len(advance(fleet, clock)) == 1
    assert len(advance(fleet, clock)) == 1


def test_what_was_never_used_is_collected(fleet: Fleet, clock: Clock) -> None:
    device = fleet.device("sensor-1")
    with ahead(clock, 2 * YEAR):  # its certificate has ended, so it enrols again
        FakeDevice(fleet, "sensor-1").enroll(request_id="again")
    assert refused(device.is_asked_to_rotate) == Code.BUSY
    collect_unactivated(fleet.ctx)
    device.is_asked_to_rotate()


def test_what_was_replaced_is_revoked(fleet: Fleet, clock: Clock) -> None:
    device = fleet.device("sensor-1")
    former = device.certificate_id
    with ahead(clock, timedelta(days=50)):
        device.rotates(device.is_asked_to_rotate(), new_key())
    collect_unactivated(fleet.ctx)
    assert fleet.state(former) == CertificateState.REVOKED


def test_a_certificate_that_had_ended_is_watched_again_when_its_device_is_heard(
    fleet: Fleet, clock: Clock
) -> None:
    device = fleet.device("sensor-1")
    with ahead(clock, 2 * YEAR):
        monitor.watch(fleet.ctx, 10)
        assert [alert.kind for alert in list_alerts(fleet.ctx)] == [AlertKind.EXPIRED]
    device.says(StatusState.CONNECTED)
    monitor.watch(fleet.ctx, 10)
    assert list_alerts(fleet.ctx) == []
    look_at = fleet.certificate(device.certificate_id).look_at
    assert look_at is not None
    assert clock.now < look_at < fleet.certificate(device.certificate_id).not_after
