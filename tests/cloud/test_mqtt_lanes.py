# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Requests of many devices are handled at once, those of one device in order, and only so many."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from fleetpki.mqtt.lanes import Lanes

Item = tuple[str, int]


@contextlib.asynccontextmanager
async def running(
    count: int, depth: int, handle: Callable[[Item], Awaitable[None]]
) -> AsyncIterator[Lanes[Item]]:
    lanes = Lanes(count, depth, handle)
    task = asyncio.create_task(lanes.run())
    try:
        yield lanes
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_slow_request_of_one_device_holds_up_nobody_else() -> None:
    release, done = asyncio.Event(), asyncio.Queue[str]()

    async def handle(item: Item) -> None:
        if item[0] == "slow":
            await release.wait()
        done.put_nowait(item[0])

    async with running(8, 4, handle) as lanes:
        await lanes.put("slow", ("slow", 1))
        await lanes.put("quick", ("quick", 1))
        assert await done.get() == "quick"
        release.set()
        assert await done.get() == "slow"


async def test_the_requests_of_a_device_keep_their_order() -> None:
    seen, all_done = defaultdict[str, list[int]](list), asyncio.Event()

    async def handle(item: Item) -> None:
        await asyncio.sleep(0)
        seen[item[0]].append(item[1])
        if sum(map(len, seen.values())) == 200:
            all_done.set()

    async with running(4, 4, handle) as lanes:
        for number in range(20):
            for device in range(10):
                await lanes.put(f"sensor-{device}", (f"sensor-{device}", number))
        await all_done.wait()
    assert all(numbers == list(range(20)) for numbers in seen.values())


async def test_no_more_are_handled_at_once_than_there_are_lanes_and_no_more_wait() -> None:
    release, handled = asyncio.Event(), 0

    async def handle(_item: Item) -> None:
        nonlocal handled
        handled += 1
        await release.wait()

    async with running(2, 1, handle) as lanes:
        put = asyncio.gather(*(lanes.put(f"sensor-{number}", ("", number)) for number in range(100)))
        for _ in range(200):  # more turns of the loop than there are tasks
            await asyncio.sleep(0)
        assert handled == 2
        release.set()
        await put


async def test_an_error_ends_the_lanes_and_is_told() -> None:
    async def handle(_item: Item) -> None:
        raise ConnectionError("gone")

    lanes = Lanes[Item](2, 1, handle)
    task = asyncio.create_task(lanes.run())
    await lanes.put("sensor-1", ("sensor-1", 1))
    with pytest.raises(ConnectionError):
        await task
