# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Requests of many devices at once, those of one device one after another, and never more than so many."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from fleetpki.tasks import until_first_ends

T = TypeVar("T")


class Lanes(Generic[T]):
    """A lane for each device with something waiting; they take turns: none waits for another's queue."""

    def __init__(self, at_once: int, depth: int, total: int, handle: Callable[[T], Awaitable[None]]) -> None:
        """Handle so many items at once; let so many of a device, and so many in all, be here."""
        self._at_once = at_once
        self._depth = depth
        self._room = total
        self._lanes: dict[str, deque[T]] = {}
        self._turns: asyncio.Queue[str] = asyncio.Queue()
        """Devices with something waiting and nothing at work."""
        self._handle = handle

    def put(self, device_id: str, item: T) -> bool:
        """Queue an item; False when there is no room for it."""
        lane = self._lanes.get(device_id)
        if self._room == 0 or (lane is not None and len(lane) == self._depth):
            return False
        self._room -= 1
        if lane is None:
            self._lanes[device_id] = deque([item])
            self._turns.put_nowait(device_id)
        else:
            lane.append(item)
        return True

    async def run(self) -> None:
        """Work until cancelled."""
        await until_first_ends(*(self._work() for _ in range(self._at_once)))

    async def _work(self) -> None:
        while True:
            device_id = await self._turns.get()
            lane = self._lanes[device_id]
            await self._handle(lane[0])
            lane.popleft()
            self._room += 1
            if lane:
                self._turns.put_nowait(device_id)
            else:
                del self._lanes[device_id]
