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
    at_once: int, depth: int, total: int, handle: Callable[[Item], Awaitable[None]]
) -> AsyncIterator[Lanes[Item]]:
    lanes = Lanes(at_once, depth, total, handle)
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

    async with running(8, 4, 100, handle) as lanes:
        assert lanes.put("slow", ("slow", 1))
        assert lanes.put("quick", ("quick", 1))
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

    async with running(4, 20, 200, handle) as lanes:
        for number in range(20):
            for device in range(10):
                assert lanes.put(f"sensor-{device}", (f"sensor-{device}", number))
        await all_done.wait()
    assert all(numbers == list(range(20)) for numbers in seen.values())


async def test_a_device_that_floods_loses_its_own_messages_and_delays_nobody() -> None:
    release, handled = asyncio.Event(), asyncio.Queue[Item]()

    async def handle(item: Item) -> None:
        await release.wait()
        handled.put_nowait(item)

    async with running(1, 3, 100, handle) as lanes:
        taken = [lanes.put("flood", ("flood", number)) for number in range(50)]
        assert taken == [True] * 3 + [False] * 47
        assert lanes.put("good", ("good", 1))
        release.set()
        seen = [await handled.get() for _ in range(4)]
        assert seen == [("flood", 0), ("good", 1), ("flood", 1), ("flood", 2)]
        assert lanes.put("flood", ("flood", 50))
        assert await handled.get() == ("flood", 50)


async def test_no_more_are_handled_at_once_and_no_more_wait_than_agreed() -> None:
    release, handled, all_done = asyncio.Event(), 0, asyncio.Event()

    async def handle(_item: Item) -> None:
        nonlocal handled
        handled += 1
        await release.wait()
        if handled == 50:
            all_done.set()

    async with running(2, 1, 50, handle) as lanes:
        taken = [lanes.put(f"sensor-{number}", ("", number)) for number in range(100)]
        assert taken == [True] * 50 + [False] * 50
        for _ in range(200):  # more turns of the loop than there are tasks
            await asyncio.sleep(0)
        assert handled == 2
        release.set()
        await all_done.wait()


async def test_an_error_ends_the_lanes_and_is_told() -> None:
    async def handle(_item: Item) -> None:
        raise ConnectionError("gone")

    lanes = Lanes[Item](2, 1, 10, handle)
    task = asyncio.create_task(lanes.run())
    assert lanes.put("sensor-1", ("sensor-1", 1))
    with pytest.raises(ConnectionError):
        await task
