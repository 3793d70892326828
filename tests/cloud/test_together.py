# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Calls of many coroutines become one; each gets its own outcome."""

import asyncio
from collections.abc import Sequence
from threading import Event

import pytest

from fleetpki.together import Together

PANIC = 666


class Panic(BaseException):
    """What libraries written in Rust raise."""


class Work:
    """Doubles numbers, and remembers how they came; the first call waits to be let go."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.is_in, self.go_on = Event(), Event()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        self.is_in.set()
        assert self.go_on.wait(30)
        if any(item < 0 for item in items):
            raise ValueError("negative")
        if PANIC in items:
            raise Panic
        return [2 * item for item in items]


async def while_the_first_works(
    work: Work, together: Together[int, int], items: Sequence[int]
) -> list[int | BaseException]:
    """The outcomes for items that come while the first one, 0, is at work; an exception is one, too."""
    first = asyncio.create_task(together(0))
    assert await asyncio.to_thread(work.is_in.wait, 30)
    others = [asyncio.create_task(together(item)) for item in items]
    await asyncio.sleep(0)  # they wait in line
    work.go_on.set()
    assert await first == 0
    return await asyncio.gather(*others, return_exceptions=True)


async def test_who_waits_is_served_together() -> None:
    work = Work()
    outcomes = await while_the_first_works(work, Together(work), range(1, 9))
    assert outcomes == [2 * item for item in range(1, 9)]
    assert work.calls == [[0], [*range(1, 9)]]


async def test_who_comes_alone_is_served() -> None:
    work = Work()
    work.go_on.set()
    together = Together(work)
    assert [await together(21), await together(4)] == [42, 8]


async def test_a_failure_is_everybodys_who_was_served_then() -> None:
    work = Work()
    together = Together(work)
    outcomes = await while_the_first_works(work, together, [1, -1, 2])
    assert all(isinstance(each, ValueError) for each in outcomes)
    assert await together(3) == 6


async def test_a_panic_is_a_failure_like_others() -> None:
    work = Work()
    together = Together(work)
    outcomes = await while_the_first_works(work, together, [1, PANIC])
    assert all(isinstance(each, RuntimeError) for each in outcomes)
    assert await together(3) == 6


async def test_nobody_waits_for_who_serves_no_more() -> None:
    work = Work()
    together = Together(work)
    before = asyncio.all_tasks()
    waiting = [asyncio.create_task(together(0))]
    assert await asyncio.to_thread(work.is_in.wait, 30)
    waiting.append(asyncio.create_task(together(1)))
    await asyncio.sleep(0)  # it waits in line
    [serving] = asyncio.all_tasks() - before - set(waiting)
    serving.cancel()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in outcomes)
    work.go_on.set()
    assert await together(2) == 4


async def test_one_call_serves_a_bounded_number() -> None:
    work = Work()
    outcomes = await while_the_first_works(work, Together(work), range(1, 150))
    assert outcomes == [2 * item for item in range(1, 150)]
    assert [len(call) for call in work.calls] == [1, 128, 21]


async def test_who_gives_up_waiting_is_not_waited_for() -> None:
    work = Work()
    together = Together(work)
    first = asyncio.create_task(together(1))
    assert await asyncio.to_thread(work.is_in.wait, 30)
    first.cancel()
    other = asyncio.create_task(together(2))
    await asyncio.sleep(0)
    work.go_on.set()
    assert await other == 4
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_who_gets_no_outcome_is_told() -> None:
    together: Together[int, int] = Together(lambda items: [])
    with pytest.raises(ValueError, match="zip"):
        await together(1)
