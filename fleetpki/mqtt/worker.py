# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A worker: brings requests to the services, answers back, and may send what waits in the outbox.

It keeps no state: any number may run, and one that dies leaves nothing behind but what others then do. What
waits in the outbox is sent by each that looks there: one is enough, and more only repeat it.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import Sequence

import aiomqtt
from aiomqtt import Message

from fleetpki.desk import Desk
from fleetpki.errors import RegistryUnavailable
from fleetpki.lifecycle import Context
from fleetpki.mqtt import topics
from fleetpki.mqtt.bus import Bus
from fleetpki.mqtt.lanes import Lanes
from fleetpki.mqtt.services import SERVICES, Answer, Request, Service, serve
from fleetpki.registry import outbox
from fleetpki.registry.database import reading
from fleetpki.registry.models import OutboxKind, OutboxMessage
from fleetpki.tasks import until_first_ends

log = logging.getLogger(__name__)

Work = tuple[Service, Request]

#: Name of the MQTT 5 user property in which the broker certifies the sender's certificate id.
STAMP = "certificate-id"

#: Requests handled at once, and how many of a device and of all may be here; more are dropped. A device that
#: keeps to the protocol has fewer, and repeats what is not answered.
_AT_ONCE = 128
_OF_A_DEVICE = 8
_OF_ALL = 10_000
_SAY_DROPPED_S = 10.0

_MIN_BACKOFF_S = 0.1
_MAX_BACKOFF_S = 10.0


class Worker:
    """Serves one fleet over one connection to its broker."""

    def __init__(self, ctx: Context, bus: Bus, poll_s: float | None = None) -> None:
        """Serve the fleet of ``ctx``, and look into the outbox every ``poll_s`` seconds, or never."""
        self._ctx = ctx
        self._desk = Desk(ctx)
        self._bus = bus
        self._poll_s = poll_s
        self.ready = asyncio.Event()
        """Set while the services are subscribed."""
        self._dropped = 0
        self._say_dropped_at = 0.0

    async def run(self) -> None:
        """Work until cancelled; a lost connection is made again."""
        backoff_s = _MIN_BACKOFF_S
        while True:
            try:
                await self._work()
            except aiomqtt.MqttError as error:
                # A broker that is just starting refuses the first attempts; that is nothing to worry about.
                level = logging.WARNING if self.ready.is_set() or backoff_s > 1 else logging.DEBUG
                log.log(level, "no connection to the broker: %s", error)
            backoff_s = _MIN_BACKOFF_S if self.ready.is_set() else min(2 * backoff_s, _MAX_BACKOFF_S)
            self.ready.clear()
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, hides nothing

    async def _work(self) -> None:
        async with self._bus.client("worker") as client:
            for service in SERVICES:
                await client.subscribe(topics.shared(service.requests), qos=1)
            self.ready.set()
            lanes = Lanes[Work](_AT_ONCE, _OF_A_DEVICE, _OF_ALL, lambda work: self._answer(client, *work))
            work = [self._listen(client, lanes), lanes.run()]
            if self._poll_s is not None:
                work.append(self._dispatch(client, self._poll_s))
            await until_first_ends(*work)

    async def _listen(self, client: aiomqtt.Client, lanes: Lanes[Work]) -> None:
        async for message in client.messages:
            service = _service_of(message)
            request = request_in(message)
            if service is None or request is None:
                continue
            if not lanes.put(request.device_id, (service, request)):
                self._drop(request)

    def _drop(self, request: Request) -> None:
        """Leave a message that there is no room for, and say so once in a while."""
        self._dropped += 1
        if time.monotonic() < self._say_dropped_at:
            return
        log.warning("too many wait: dropped %d messages, the last of %s", self._dropped, request.device_id)
        self._dropped = 0
        self._say_dropped_at = time.monotonic() + _SAY_DROPPED_S

    async def _answer(self, client: aiomqtt.Client, service: Service, request: Request) -> None:
        answer = await serve(service, self._desk, request)
        if answer is not None:
            await send(client, answer)

    async def _dispatch(self, client: aiomqtt.Client, poll_s: float) -> None:
        sent: list[int] = []
        while True:
            try:
                sent = await self._send_next(client, sent)
                if sent:
                    continue
            except RegistryUnavailable as error:
                log.warning("the outbox has to wait: %s", error.message)
            await asyncio.sleep(poll_s)

    async def _send_next(self, client: aiomqtt.Client, sent: Sequence[int]) -> list[int]:
        """Cross out what was sent, lest it is sent again; then send what waits."""
        if sent:
            await asyncio.to_thread(self._cross_out, sent)
        messages = await asyncio.to_thread(self._pending)
        await asyncio.gather(*(_publish(client, message) for message in messages))
        return [message.id for message in messages]

    def _pending(self) -> list[OutboxMessage]:
        with reading(self._ctx.sessions) as session:
            return list(outbox.pending(session))

    def _cross_out(self, message_ids: Sequence[int]) -> None:
        with self._ctx.writing() as session:
            outbox.delete(session, message_ids)


async def _publish(client: aiomqtt.Client, message: OutboxMessage) -> None:
    await client.publish(topic_of(message), json.dumps(message.body), qos=1)


async def send(client: aiomqtt.Client, answer: Answer) -> None:
    """Send an answer; one that cannot be written costs its asker the answer, and nobody else anything."""
    try:
        payload = answer.message.to_payload()
    except ValueError:
        log.exception("an answer on %s cannot be written", answer.topic)
        return
    await client.publish(answer.topic, payload, qos=1)


def _service_of(message: Message) -> Service | None:
    return next((service for service in SERVICES if message.topic.matches(service.requests)), None)


def request_in(message: Message) -> Request | None:
    """The request, unless nobody certifies who sent it: then it did not come through our broker plugin."""
    topic = str(message.topic)
    stamps = [value for name, value in getattr(message.properties, "UserProperty", []) if name == STAMP]
    if len(stamps) != 1 or not isinstance(message.payload, bytes):
        log.warning("dropped a message on %s: it has no certified sender", topic)
        return None
    return Request(topics.device_of(topic), stamps[0], message.payload)


def topic_of(message: OutboxMessage) -> str:
    """Where a message from the outbox goes."""
    if message.kind == OutboxKind.DISCONNECT:
        return topics.DISCONNECT
    if message.device_id is None:
        raise ValueError(f"outbox message {message.id} ({message.kind}) names no device")
    return topics.certs(message.device_id, message.kind)
