# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""New trust anchors reach every device: those online now, those that were away when they connect."""

import pytest

from fleetpki.errors import Code
from fleetpki.lifecycle import DeviceStatus, StatusState, record_status, trust
from fleetpki.registry.models import OutboxKind
from tests.cloud.doubles import FakeDevice, Fleet, refused

LIMIT = 100


@pytest.fixture
def device(fleet: Fleet) -> FakeDevice:
    return fleet.device("sensor-1")


def publish(fleet: Fleet, version: int = 1) -> dict[str, object]:
    """Publish anchors; the message devices are to get."""
    trust.publish(fleet.ctx, version=version, anchors=["PEM\n"], signature="c2ln")
    return {"version": version, "anchors": ["PEM\n"], "signature": "c2ln"}


def connects(fleet: Fleet, device: FakeDevice, trust_version: int | None) -> None:
    status = DeviceStatus(StatusState.CONNECTED, device.certificate_id, 1, trust_version=trust_version)
    record_status(fleet.ctx, device_id=device.device_id, sender=device.certificate_id, status=status)


def test_nothing_is_sent_while_there_is_nothing_new(fleet: Fleet, device: FakeDevice) -> None:
    connects(fleet, device, 0)
    assert trust.send_to_outdated(fleet.ctx, LIMIT) == 0
    assert fleet.delivered() == []


def test_every_device_is_sent_a_new_document_once(fleet: Fleet, device: FakeDevice) -> None:
    fleet.device("sensor-2")
    body = publish(fleet)
    assert trust.send_to_outdated(fleet.ctx, LIMIT) == 2
    assert fleet.delivered() == [(OutboxKind.TRUST, body)] * 2
    assert trust.send_to_outdated(fleet.ctx, LIMIT) == 0
    publish(fleet, 2)
    assert trust.send_to_outdated(fleet.ctx, LIMIT) == 2


def test_a_device_that_was_away_gets_it_when_it_connects(fleet: Fleet, device: FakeDevice) -> None:
    body = publish(fleet)
    trust.send_to_outdated(fleet.ctx, LIMIT)
    fleet.delivered()
    connects(fleet, device, 0)
    assert fleet.delivered() == [(OutboxKind.TRUST, body)]
    connects(fleet, device, 1)
    assert fleet.delivered() == []


def test_a_device_that_has_it_is_not_sent_it(fleet: Fleet, device: FakeDevice) -> None:
    publish(fleet)
    connects(fleet, device, 1)
    assert trust.send_to_outdated(fleet.ctx, LIMIT) == 0


def test_a_round_sends_no_more_than_it_may(fleet: Fleet) -> None:
    for number in range(3):
        fleet.device(f"sensor-{number}")
    publish(fleet)
    assert [trust.send_to_outdated(fleet.ctx, 2) for _ in range(3)] == [2, 1, 0]


@pytest.mark.parametrize("version", [0, 1])
def test_a_version_only_counts_up(fleet: Fleet, version: int) -> None:
    publish(fleet)
    assert refused(lambda: publish(fleet, version)) == Code.STALE


def test_a_document_devices_cannot_take_is_refused(fleet: Fleet) -> None:
    too_large = lambda: trust.publish(fleet.ctx, version=1, anchors=["x" * 9000], signature="c2ln")  # noqa: E731
    assert refused(too_large) == Code.BAD_MESSAGE
