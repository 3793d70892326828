# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The monitor of a running fleet keeps real devices in certificates; no human does anything."""

from datetime import timedelta
from pathlib import Path

import pytest

from fleetpki.fleet import Fleet
from fleetpki.lifecycle import renewal, utc_now
from fleetpki.lifecycle.alerts import list_alerts
from fleetpki.registry.models import Certificate, Initiator, RotationState
from fleetpki.sim.agent import Agent
from fleetpki.sim.world import World
from tests.system.conftest import DEVICE, enrolled
from tests.system.test_expiry import enrolled_for

#: New certificates are valid from five minutes ago.
ALREADY_VALID = timedelta(minutes=5)


@pytest.fixture
async def watched(world: World) -> World:
    """A cloud whose monitor looks every second."""
    settings = world.cloud.settings.model_copy(update={"monitor_s": 1})
    world.cloud.layout.settings.write_text(settings.to_toml())
    await world.cloud_up()
    return world


def just_due() -> timedelta:
    """How long a certificate made now is to be valid to be due for the monitor, and not for the device."""
    share = (1 - renewal.spread(DEVICE) / 2) / 3
    return ALREADY_VALID * share / (1 - share)


def worry_about(world: World) -> None:
    """Let the registry believe that the device's certificate ends within the hour."""
    with Fleet.open(world.cloud.layout.directory).sessions.begin() as session:
        certificate = session.query(Certificate).filter_by(device_id=DEVICE).one()
        certificate.not_before = utc_now() - timedelta(days=364)
        certificate.not_after = utc_now() + timedelta(hours=1)
        certificate.look_at = utc_now()


def open_alerts(world: World) -> list[tuple[str, str]]:
    found = list_alerts(Fleet.open(world.cloud.layout.directory).context)
    return [(alert.kind, alert.severity) for alert in found if alert.subject == DEVICE]


async def test_a_certificate_that_nears_its_end_is_renewed(watched: World) -> None:
    device, old = enrolled_for(watched, just_due())
    await device.start()
    renewed = await device.expect("rotation: committed id=(.*) certificate=([0-9a-f]{64})")
    await watched.until("committed", lambda: not watched.cloud.rotation_is_open(DEVICE))
    (rotation,) = watched.cloud.rotations(DEVICE)
    assert (rotation.state, rotation.initiator) == (RotationState.COMMITTED, Initiator.MONITOR)
    assert watched.active(DEVICE) == renewed[2]
    assert open_alerts(watched) == []
    assert old.certificate.not_valid_after_utc > utc_now()


async def test_a_device_that_is_offline_is_told_of_and_caught_up_when_it_returns(watched: World) -> None:
    device: Agent = await enrolled(watched)
    await device.stop()
    worry_about(watched)
    await watched.until("told", lambda: open_alerts(watched) == [("expiring", "critical")])
    log = Path(watched.cloud.log)
    await watched.until("in the log", lambda: f"alert critical: {DEVICE}: expiring" in log.read_text())
    assert [rotation.state for rotation in watched.cloud.rotations(DEVICE)] == [RotationState.REQUESTED]
    await device.start()
    await device.expect("rotation: committed")
    await watched.until("all is well", lambda: open_alerts(watched) == [])
    assert [rotation.state for rotation in watched.cloud.rotations(DEVICE)] == [RotationState.COMMITTED]
