# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A second MQTT client that sees every message, with the sender's certificate id as the broker stamped it."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiomqtt

from fleetpki.mqtt.bus import Bus
from fleetpki.sim.commands import SimError
from fleetpki.sim.transcript import Transcript

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Message:
    """A message that passed the broker."""

    topic: str
    payload: bytes = field(repr=False)
    certificate_id: str | None  # of the sender's connection, stamped by the broker
    at: float

    @property
    def fields(self) -> dict[str, Any]:
        """The payload as JSON object; empty if it is none."""
        try:
            value = json.loads(self.payload)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


class Witness:
    """Everything that was said, in order."""

    def __init__(self, transcript: Transcript) -> None:
        """Record in ``transcript`` as well."""
        self.messages: list[Message] = []
        self._transcript = transcript
        self._news = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def listening(self, bus: Bus) -> AsyncIterator[None]:
        """Listen while the block runs."""
        async with bus.client("witness") as client:
            await client.subscribe([("devices/#", 1), ("bootstrap/#", 1)])
            reader = asyncio.create_task(self._read(client))
            try:
                yield
            finally:
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)

    def mark(self) -> int:
        """A place in the record; hand it to the functions below to look only behind it."""
        return len(self.messages)

    def since(self, mark: int, topic: str) -> list[Message]:
        """What was said on a topic behind the mark."""
        return [message for message in self.messages[mark:] if message.topic == topic]

    def statuses(self, mark: int, device_id: str) -> list[Message]:
        """What a device reported behind the mark."""
        return self.since(mark, f"devices/{device_id}/certs/status")

    async def status(self, mark: int, device_id: str, **expected: str | None) -> Message:
        """Wait for a device to report these fields; ``sender`` is the certificate id the broker stamped."""
        sender = expected.pop("sender", None)

        def matches(message: Message) -> bool:
            return (sender is None or message.certificate_id == sender) and all(
                message.fields.get(name) == value for name, value in expected.items()
            )

        return await self.message(mark, f"devices/{device_id}/certs/status", matches, f"status {expected}")

    async def message(self, mark: int, topic: str, matches: Callable[[Message], bool], what: str) -> Message:
        """Wait for a message."""
        try:
            async with asyncio.timeout(TIMEOUT_S), self._news:
                while True:
                    for message in self.since(mark, topic):
                        if matches(message):
                            return message
                    await self._news.wait()
        except TimeoutError:
            seen = [f"{message.fields or message.payload[:80]!r}" for message in self.since(mark, topic)]
            raise SimError(
                "\n  ".join([f"no {what} on {topic} within {TIMEOUT_S:.0f} s; seen:", *seen[-5:]])
            ) from None

    async def _read(self, client: aiomqtt.Client) -> None:
        async for received in client.messages:
            payload = received.payload if isinstance(received.payload, bytes) else b""
            stamp = dict(getattr(received.properties, "UserProperty", [])).get("certificate-id")
            message = Message(str(received.topic), payload, stamp, time.monotonic())
            self._transcript.add("mqtt", f"{message.topic} from {stamp or '-'}: {_short(payload)}")
            async with self._news:
                self.messages.append(message)
                self._news.notify_all()


def _short(payload: bytes) -> str:
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return f"({len(payload)} bytes that are no text)"
    return text if len(text) <= 8192 else f"{text[:80]}… ({len(payload)} bytes)"
