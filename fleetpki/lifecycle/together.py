# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Calls of many threads become one call, because a statement for many rows costs little more than for one."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from time import sleep
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

_AT_MOST = 128
_COMPANY_S = 0.005
"""When several came at once the last time, those they left behind will be here soon."""


class Together(Generic[Item, Outcome]):
    """A piece of work that threads have done for them; who comes alone waits for nobody."""

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Outcome]]) -> None:
        """``work`` gives an outcome for each item, in their order, or raises for all of them."""
        self._work = work
        self._worker = ThreadPoolExecutor(1, "together")
        self._waiting: list[tuple[Item, Future[Outcome]]] = []
        self._is_busy = False

    def __call__(self, item: Item) -> Outcome:
        """The outcome for this item."""
        mine: Future[Outcome] = Future()
        self._waiting.append((item, mine))
        self._worker.submit(self._serve)  # nothing is left to do when another call's has served this one
        return mine.result()

    def _serve(self) -> None:
        if not self._waiting:
            return
        if self._is_busy:
            sleep(_COMPANY_S)
        served = self._waiting[:_AT_MOST]
        del self._waiting[: len(served)]
        self._is_busy = len(served) > 1
        try:
            outcomes = self._work([item for item, _ in served])
        except BaseException as error:
            for _, future in served:
                future.set_exception(error)
        else:
            for (_, future), outcome in zip(served, outcomes, strict=True):
                future.set_result(outcome)
