# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Calls of many threads become one; each gets its own outcome."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic, sleep

import pytest

from fleetpki.lifecycle.together import Together


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
        return [2 * item for item in items]


def while_the_first_works(work: Work, together: "Together[int, int]", items: Sequence[int]) -> list[object]:
    """The outcomes for items that come while the first one, 0, is at work; an exception is one, too."""
    with ThreadPoolExecutor(len(items) + 1) as pool:
        first = pool.submit(together, 0)
        assert work.is_in.wait(30)
        others = [pool.submit(together, item) for item in items]
        end = monotonic() + 30
        while len(together._waiting) < len(items) and monotonic() < end:
            sleep(0.001)
        work.go_on.set()
    assert first.result() == 0
    return [other.exception() or other.result() for other in others]


def test_who_waits_is_served_together() -> None:
    work = Work()
    assert while_the_first_works(work, Together(work), range(1, 9)) == [2 * item for item in range(1, 9)]
    assert sorted(len(call) for call in work.calls) == [1, 8]


def test_who_comes_alone_is_served() -> None:
    work = Work()
    work.go_on.set()
    assert Together(work)(21) == 42


def test_a_failure_is_everybodys_who_was_served_then() -> None:
    work = Work()
    together = Together(work)
    assert all(isinstance(each, ValueError) for each in while_the_first_works(work, together, [1, -1, 2]))
    assert together(3) == 6


def test_one_call_serves_a_bounded_number() -> None:
    work = Work()
    outcomes = while_the_first_works(work, Together(work), range(1, 150))
    assert outcomes == [2 * item for item in range(1, 150)]
    assert max(len(call) for call in work.calls) == 128


def test_an_interruption_reaches_whoever_waits() -> None:
    def interrupted(_items: Sequence[int]) -> list[int]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Together[int, int](interrupted)(1)
