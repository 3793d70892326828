# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""``kill -9`` of the cloud's processes under load: nothing that was promised is lost, nothing is made twice.

Devices enrol without pause, each repeating its request until it is answered. Every round kills one process of
``fleetpki up`` at a random moment and starts it again. ``make chaos`` plays a hundred rounds.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import ssl
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import pytest
from sqlalchemy import select

from fleetpki.config import Layout
from fleetpki.fleet import Fleet
from fleetpki.mqtt import topics
from fleetpki.registry import audit
from fleetpki.registry.database import reading
from fleetpki.registry.models import LIVE_CERTIFICATE, Certificate, Role
from tests.cloud.broker_fixtures import PATIENCE_S, make_fleet, ready_line, start_up
from tests.cloud.doubles import make_csr, new_key

ROUNDS = int(os.environ.get("FLEETPKI_KILL_ROUNDS", "5"))
DEVICES_AT_ONCE = 4
ANSWER_S = 1.0
SEED = random.SystemRandom().randrange(2**32)


@dataclass
class Customers:
    """Devices that enrol, and what they were told."""

    layout: Layout
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    answers: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    async def enrol_forever(self, line: int) -> None:
        """One device after the other, until asked to stop; the last one is served to its end."""
        number = 0
        while not self.stopping.is_set():
            number += 1
            await self._enrol(f"line-{line}-{number}")

    async def _enrol(self, device_id: str) -> None:
        request = {"request_id": f"r-{device_id}", "csr": make_csr(new_key(), device_id)}
        wanted = 2  # the answer is asked for twice: it must be the same
        while wanted:
            with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
                async with self._connection(device_id) as client:
                    await client.subscribe(f"bootstrap/{device_id}/enroll/#", qos=1)
                    while wanted:
                        self.answers[device_id].add(await self._ask(client, device_id, request))
                        wanted -= 1
            if wanted:
                await asyncio.sleep(0.05)

    async def _ask(self, client: aiomqtt.Client, device_id: str, request: dict[str, str]) -> str:
        await client.publish(f"bootstrap/{device_id}/enroll", json.dumps(request), qos=1)
        async with asyncio.timeout(ANSWER_S):
            async for message in client.messages:
                answer = json.loads(bytes(message.payload))
                if message.topic.matches(topics.enroll_accepted(device_id)):
                    return str(answer["certificate_id"])
                assert answer["code"] in ("busy", "internal"), answer
                await asyncio.sleep(0.05)
                await client.publish(f"bootstrap/{device_id}/enroll", json.dumps(request), qos=1)
        raise TimeoutError

    @contextlib.asynccontextmanager
    async def _connection(self, device_id: str) -> AsyncIterator[aiomqtt.Client]:
        folder = self.layout.bootstrap
        tls = ssl.create_default_context(cafile=str(folder / "trust_anchors.pem"))
        tls.load_cert_chain(folder / "bootstrap.crt", folder / "bootstrap.key")
        port = Fleet.open(self.layout.directory).settings.bootstrap_port
        async with aiomqtt.Client(
            "127.0.0.1", port, identifier=device_id, tls_context=tls, timeout=3
        ) as client:
            yield client


def processes_of(parent: int) -> list[int]:
    """A process and all below it."""
    found = [parent]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent:
                    found += processes_of(int(entry.name))
    return found


async def up_again(layout: Layout) -> "subprocess.Popen[str]":
    """The cloud, ready; a port may be held for a moment by what was just killed."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            process = start_up(layout)
            if (await asyncio.to_thread(ready_line, process)).startswith("fleetpki: ready"):
                return process
            await asyncio.to_thread(process.communicate)


async def end(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """Signal the cloud and wait for its end."""
    process.send_signal(number)
    await asyncio.to_thread(process.communicate)


@pytest.mark.timeout(120 + 20 * ROUNDS)
async def test_no_kill_loses_or_doubles_a_certificate(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)  # noqa: S311 - chooses victims
    layout = make_fleet(tmp_path)
    customers = Customers(layout)
    cloud = await up_again(layout)
    lines = [asyncio.create_task(customers.enrol_forever(line)) for line in range(DEVICES_AT_ONCE)]
    try:
        for _ in range(ROUNDS):
            await asyncio.sleep(chance.uniform(0.05, 1.0))
            victim = chance.choice(processes_of(cloud.pid))
            os.kill(victim, signal.SIGKILL)
            # Without one of its parts the cloud ends by itself; whoever watches over it starts it again.
            await asyncio.to_thread(cloud.communicate, timeout=PATIENCE_S)
            cloud = await up_again(layout)
        customers.stopping.set()
        await asyncio.gather(*lines)
    finally:
        for line in lines:
            line.cancel()
        await end(cloud, signal.SIGTERM)
    assert len(customers.answers) >= DEVICES_AT_ONCE
    assert all(len(told) == 1 for told in customers.answers.values()), "the same request, two certificates"
    with reading(Fleet.open(layout.directory).sessions) as session:
        audit.verify(session)
        live = defaultdict(list)
        for certificate in session.scalars(select(Certificate).where(Certificate.role == Role.DEVICE)):
            if certificate.state in LIVE_CERTIFICATE:
                live[certificate.device_id].append(certificate.certificate_id)
    for device_id, told in customers.answers.items():
        assert live[device_id] == list(told), (
            f"{device_id} was told of {told}, the registry has {live[device_id]}"
        )
