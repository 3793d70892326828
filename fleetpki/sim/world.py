# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Everything a run consists of: the cloud, the devices, and the means to look at them from outside."""

import asyncio
import contextlib
import random
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from fleetpki.sim.agent import Agent
from fleetpki.sim.cloud import Cloud
from fleetpki.sim.commands import Runner, SimError
from fleetpki.sim.probe import Probe
from fleetpki.sim.transcript import Transcript
from fleetpki.sim.witness import Witness
from fleetpki.sim.workshop import Workshop

PUSH_ROTATION = Path(__file__).resolve().parents[2] / "scripts" / "push_rotation.py"
TIMEOUT_S = 30.0
POLL_S = 0.02


class World:
    """One cloud, its devices, and nothing else; an async context manager that leaves no process behind."""

    def __init__(self, directory: Path, transcript: Transcript, seed: int) -> None:
        """Put everything below ``directory``."""
        self.directory = directory
        self.transcript = transcript
        self.random = random.Random(seed)  # noqa: S311 - for moments in time
        self.runner = Runner(transcript)
        self.cloud = Cloud(directory, self.runner)
        self.witness = Witness(transcript)
        self.probe = Probe(self.runner)
        self.workshop = Workshop(directory / "workshop", self.runner)
        self.facts = 0
        self._agents: list[Agent] = []
        self._cleanup = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start with nothing running."""
        self._cleanup.push_async_callback(self.cloud.down)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop every process."""
        await asyncio.gather(*(agent.stop() for agent in self._agents))
        await self._cleanup.aclose()

    async def cloud_up(self, *, choose_ports: bool = True) -> None:
        """Start the cloud and listen to it."""
        await self.cloud.up(choose_ports=choose_ports)
        await self._cleanup.enter_async_context(self.witness.listening(self.cloud.service_bus("operator")))

    def new_agent(self, device_id: str) -> Agent:
        """A device as it comes from the factory: with a copy of the bootstrap files and nothing else."""
        factory = self.directory / "devices" / device_id / "factory"
        shutil.copytree(self.cloud.layout.bootstrap, factory)
        agent = Agent(device_id, factory.with_name("state"), factory, self.transcript)
        self._agents.append(agent)
        return agent

    def clone(self, agent: Agent, home: Path) -> Agent:
        """Another device with a copy of a device's state."""
        shutil.copytree(agent.home, home)
        clone = Agent(agent.device_id, home, agent.factory, self.transcript)
        self._agents.append(clone)
        return clone

    def active(self, device_id: str) -> str | None:
        """The id of the certificate the registry says a device works with."""
        certificate = self.cloud.active_certificate(device_id)
        return certificate.certificate_id if certificate else None

    async def switch_on(self, agent: Agent) -> None:
        """Start a new device and tell it which fleet it belongs to."""
        await agent.start()
        await agent.configure(self.cloud.device_settings(agent.device_id))

    async def rotate_message(self, device_id: str, certificate: Path, key: Path) -> Path:
        """The JSON of a pushed rotation, made by the script everybody uses."""
        output = certificate.with_suffix(".json")
        await self.runner.check(
            [
                sys.executable, PUSH_ROTATION, device_id, "--dir", self.cloud.layout.directory,
                "--certificate", certificate, "--key", key, "--output", output,
            ]
        )  # fmt: skip
        return output

    async def push(self, device_id: str, payload: Path) -> None:
        """Send a rotate message as the operator, with plain mosquitto_pub."""
        await self.probe.publish(
            self.cloud.service_bus("operator"), f"devices/{device_id}/certs/rotate", payload
        )

    def check(self, fact: str, holds: bool, seen: object = "") -> None:
        """Record a fact that was looked at from outside; SimError if it does not hold."""
        self.transcript.add("fact" if holds else "NOT A FACT", f"{fact} {seen}")
        if not holds:
            raise SimError(f"not true: {fact}" + (f"; seen: {seen}" if seen != "" else ""))
        self.facts += 1

    async def until(self, fact: str, holds: Callable[[], bool], within: float = TIMEOUT_S) -> float:
        """Wait for a fact to become true; how many seconds it took."""
        start = time.monotonic()
        while not holds():
            if time.monotonic() - start > within:
                self.check(f"{fact} within {within:.0f} s", holds=False)
            await asyncio.sleep(POLL_S)
        self.check(fact, holds=True)
        return time.monotonic() - start


async def for_each(agents: list[Agent], step: Callable[[Agent], Awaitable[None]]) -> None:
    """Do the same with all devices at once; the first failure is raised, and says whose it was."""

    async def named(agent: Agent) -> None:
        try:
            await step(agent)
        except SimError as error:
            raise SimError(f"{agent.device_id}: {error}") from error

    tasks = [asyncio.create_task(named(agent)) for agent in agents]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
