# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A batch that asks for proof takes only devices its factory made, whoever has the bootstrap certificate."""

import os
from pathlib import Path

from fleetpki.pki.factory_secret import SECRET_SIZE, device_secret
from fleetpki.sim.agent import Agent
from fleetpki.sim.world import World
from tests.system.conftest import DEVICE

BATCH = "bootstrap-1"


def stored_secret(agent: Agent) -> Path:
    """Where a device keeps it."""
    return agent.home / "store" / "factory_secret"


async def _ask_for_proof(world: World) -> bytes:
    secret = os.urandom(SECRET_SIZE)
    path = world.cloud.layout.bootstrap / f"{BATCH}.secret"
    path.write_text(secret.hex())
    path.chmod(0o600)
    await world.cloud_up()
    await world.cloud.json("batch", "change", BATCH, "--proof")
    return secret


def _new_agent(world: World, secret: bytes | None) -> Agent:
    """A device as the factory flashes it: with its secret in its store, and never with the batch's."""
    agent = world.new_agent(DEVICE)
    (agent.factory / f"{BATCH}.secret").unlink()
    if secret is not None:
        path = stored_secret(agent)
        path.parent.mkdir(parents=True)
        path.write_bytes(secret)
        path.chmod(0o600)
    return agent


async def test_a_device_with_its_factory_secret_is_enrolled(world: World) -> None:
    batch_secret = await _ask_for_proof(world)
    agent = _new_agent(world, device_secret(batch_secret, DEVICE))
    await world.switch_on(agent)
    await agent.expect("enroll: accepted")
    await world.until("activated", lambda: world.active(DEVICE) is not None)


async def test_without_it_or_with_anothers_a_device_is_not(world: World) -> None:
    batch_secret = await _ask_for_proof(world)
    agent = _new_agent(world, device_secret(batch_secret, "sensor-2"))
    await world.switch_on(agent)
    await agent.expect('enroll: rejected code=not_allowed .* message="the proof is wrong"')
    stored_secret(agent).unlink()
    await agent.write("restart")
    await agent.expect(f'enroll: rejected code=not_allowed .* message="batch {BATCH} asks for a proof"')
    assert world.active(DEVICE) is None
