# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A cloud of its own for each test that wants one."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fleetpki import fleet
from fleetpki.config import Settings
from fleetpki.sim.agent import Agent
from fleetpki.sim.transcript import Transcript
from fleetpki.sim.world import World

DEVICE = "sensor-1"


@pytest.fixture(scope="session")
def new_fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet as ``fleetpki init`` makes it; to be copied."""
    directory = tmp_path_factory.mktemp("new")
    fleet.create(directory / "fleet", directory / "fleet-root", b"correct horse battery", Settings())
    return directory


@pytest.fixture
async def world(tmp_path: Path, new_fleet: Path) -> AsyncIterator[World]:
    """A cloud that has been made but is not up yet."""
    shutil.copytree(new_fleet, tmp_path, dirs_exist_ok=True)
    async with World(tmp_path, Transcript(tmp_path / "transcript.txt"), seed=0) as world:
        yield world


@pytest.fixture
async def up(world: World) -> World:
    """A cloud that is up."""
    await world.cloud_up()
    return world


@pytest.fixture
async def online(up: World) -> Agent:
    """A device that has enrolled with the cloud, and has been activated."""
    return await enrolled(up)


async def enrolled(world: World) -> Agent:
    """Let a new device enrol, and wait until it is activated."""
    agent = world.new_agent(DEVICE)
    await world.switch_on(agent)
    await agent.expect("connected: identity=(operational|trial)")
    await world.until("activated", lambda: world.active(DEVICE) is not None)
    return agent
