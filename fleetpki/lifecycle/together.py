# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Calls of many threads become one call, because a statement for many rows costs little more than for one.

Whoever finds nobody at work does the work for all that wait by then (flat combining: Hendler et al., 2010).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

_AT_MOST = 128


class Together(Generic[Item, Outcome]):
    """A piece of work that threads have done for them; nobody waits for company."""

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Outcome]]) -> None:
        """``work`` gives an outcome for each item, in their order, or raises for all of them."""
        self._work = work
        self._at_work = Lock()
        self._waiting: list[tuple[Item, Future[Outcome]]] = []

    def __call__(self, item: Item) -> Outcome:
        """The outcome for this item."""
        mine: Future[Outcome] = Future()
        self._waiting.append((item, mine))
        while not mine.done():
            with self._at_work:
                if not mine.done():
                    self._serve()
        return mine.result()

    def _serve(self) -> None:
        served = self._waiting[:_AT_MOST]
        del self._waiting[: len(served)]
        try:
            outcomes = self._work([item for item, _ in served])
        except BaseException as error:
            for _, future in served:
                future.set_exception(error)
        else:
            for (_, future), outcome in zip(served, outcomes, strict=True):
                future.set_result(outcome)
