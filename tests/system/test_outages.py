# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What is not the identity's fault costs no identity."""

from pathlib import Path

from fleetpki.registry.models import RotationState
from fleetpki.sim.agent import Agent
from fleetpki.sim.workshop import Forger
from fleetpki.sim.world import World
from tests.system.conftest import DEVICE, enrolled

OFFLINE = "disconnected: identity={} why={}"


async def test_a_device_waits_for_a_broker_that_is_not_there_yet(world: World) -> None:
    world.cloud.choose_ports()
    agent = world.new_agent(DEVICE)
    await world.switch_on(agent)
    for _ in range(3):
        await agent.expect(OFFLINE.format("bootstrap", "network"))
    await world.cloud_up(choose_ports=False)
    await agent.expect("enroll: accepted")
    await agent.expect("connected: ")


async def test_after_an_outage_of_the_cloud_the_device_is_back_as_the_same(up: World, online: Agent) -> None:
    identity = up.active(DEVICE)
    await up.cloud.down()
    await online.expect(OFFLINE.format("operational", "network"))
    await up.cloud.up(choose_ports=False)
    await online.expect(f"connected: identity=operational certificate={identity}")
    await online.write("status")
    await online.expect("status: .* refusals=0 ")
    assert len(up.cloud.certificates(DEVICE)) == 1


async def test_a_server_that_is_not_ours_is_left_and_costs_no_identity(up: World, online: Agent) -> None:
    identity = up.active(DEVICE)
    anchors = online.factory / "trust_anchors.pem"
    ours = anchors.read_bytes()
    anchors.write_text(Forger.with_own_authority("fleetpki root CA").chain)
    await online.write("restart")
    for _ in range(6):  # more often than refusals would be forgiven
        await online.expect(OFFLINE.format("operational", "server_untrusted"))
    anchors.write_bytes(ours)
    await online.write("restart")
    await online.expect(f"connected: identity=operational certificate={identity}")


async def test_a_device_that_is_offline_rotates_when_it_is_back(up: World, online: Agent) -> None:
    await online.stop()
    asked = await up.cloud.run("rotate", DEVICE, "--timeout", "0")
    assert asked.code == 3, asked
    await online.start()
    await online.expect("rotation: committed")
    await up.until("committed", lambda: not up.cloud.rotation_is_open(DEVICE))
    assert [rotation.state for rotation in up.cloud.rotations(DEVICE)] == [RotationState.COMMITTED]


async def test_a_key_is_not_pushed_to_a_device_that_is_offline(world: World) -> None:
    await world.cloud.up()  # without the witness: it would be somebody who takes the message
    agent = await enrolled(world)
    identity = world.active(DEVICE)
    await agent.stop()
    pushed = await world.cloud.run("rotate", DEVICE, "--push")
    assert pushed.code == 1
    assert "offline" in pushed.stderr
    await agent.start()
    await agent.expect(f"connected: identity=operational certificate={identity}")


async def test_a_device_killed_while_it_enrols_ends_up_with_one_identity(up: World) -> None:
    agent = up.new_agent(DEVICE)
    await up.switch_on(agent)
    await agent.expect("enroll: requested")
    await agent.kill()
    await agent.start()
    await agent.expect("connected: identity=(operational|trial)")
    await up.until("activated", lambda: up.active(DEVICE) is not None)
    assert len(up.cloud.certificates(DEVICE)) == 1


async def test_a_copied_device_is_shut_out_by_the_next_rotation(
    up: World, online: Agent, tmp_path: Path
) -> None:
    clone = up.clone(online, tmp_path / "clone")
    await up.cloud.json("rotate", DEVICE)
    await clone.start()
    for _ in range(5):
        await clone.expect(OFFLINE.format("operational", "refused"))
    await clone.expect(OFFLINE.format("bootstrap", "refused"))
    await online.write("status")
    await online.expect("status: .* phase=online identity=operational ")
