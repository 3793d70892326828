# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Many requests at once, those of one device one after another, and never more than a bounded number."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from fleetpki.tasks import until_first_ends

T = TypeVar("T")


class Lanes(Generic[T]):
    """A fixed number of queues, each worked off in order; everything of one device is in one of them."""

    def __init__(self, count: int, depth: int, handle: Callable[[T], Awaitable[None]]) -> None:
        """Handle ``count`` items at once and let ``depth`` more wait in each lane."""
        self._queues: list[asyncio.Queue[T]] = [asyncio.Queue(depth) for _ in range(count)]
        self._handle = handle

    async def put(self, device_id: str, item: T) -> None:
        """Queue an item; waits while the device's lane is full."""
        await self._queues[zlib.crc32(device_id.encode()) % len(self._queues)].put(item)

    async def run(self) -> None:
        """Work until cancelled."""
        await until_first_ends(*(self._work(queue) for queue in self._queues))

    async def _work(self, queue: "asyncio.Queue[T]") -> None:
        while True:
            await self._handle(await queue.get())
