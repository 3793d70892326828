# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Tries the broker's borders with Mosquitto's own command line clients."""

import asyncio
import uuid
from pathlib import Path

from fleetpki.mqtt.bus import Bus
from fleetpki.sim.commands import Result, Runner, SimError

DENIED = ("All subscription requests were denied", "Not authorized")
REFUSED = "Connection error: Not authorized"
CLOSED = 7  # exit code of Mosquitto's clients: the connection was lost


class Probe:
    """Connects, subscribes and publishes as somebody, and tells what the broker thinks of it."""

    def __init__(self, runner: Runner) -> None:
        """Run the clients with ``runner``."""
        self._runner = runner

    async def accepts(self, bus: Bus, client_id: str) -> bool:
        """Whether the broker accepts the connection; a broker that refuses has to say so."""
        result = await self._client("mosquitto_sub", bus, client_id, "-E", "-t", f"devices/{client_id}/probe")
        if result.code != 0 and REFUSED not in result.stderr:
            raise SimError(str(result))
        return result.code == 0

    async def may_subscribe(self, bus: Bus, client_id: str, topic: str) -> bool:
        """Whether a subscription is granted."""
        return self._granted(await self._client("mosquitto_sub", bus, client_id, "-E", "-t", topic))

    async def may_publish(self, bus: Bus, client_id: str, topic: str) -> bool:
        """Whether a message is taken."""
        return self._granted(await self._client("mosquitto_pub", bus, client_id, "-t", topic, "-m", "{}"))

    async def publish(self, bus: Bus, topic: str, payload: Path) -> None:
        """Publish a file, as anybody would by hand."""
        client_id = f"by-hand-{uuid.uuid4().hex[:12]}"
        result = await self._client("mosquitto_pub", bus, client_id, "-t", topic, "-f", payload)
        if result.code != 0 or not self._granted(result):
            raise SimError(str(result))

    @staticmethod
    def _granted(result: Result) -> bool:
        if result.code != 0:
            raise SimError(str(result))
        return not any(text in result.stderr for text in DENIED)

    async def _client(self, program: str, bus: Bus, client_id: str, *arguments: str | Path) -> Result:
        """Run a client; again when the broker, too busy to decide, closed the connection without a word."""
        words = [
            program, "-V", "5", "-q", "1", "-i", client_id, "-h", bus.host, "-p", str(bus.port),
            "--cafile", bus.anchors, "--cert", bus.certificate, "--key", bus.key, *arguments,
        ]  # fmt: skip
        for pause in (0.5, 1.0, 2.0):
            result = await self._runner.run(words)
            if result.code != CLOSED:
                return result
            await asyncio.sleep(pause)
        return await self._runner.run(words)
