# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Calls of many coroutines become one: a statement for many rows costs little more than for one."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

_AT_MOST = 128
_COMPANY_S = 0.005
"""When several came at once the last time, those they left behind will be here soon."""


class Together(Generic[Item, Outcome]):
    """Has a piece of work done for whoever waits for it, in a thread; who comes alone waits for nobody."""

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Outcome]]) -> None:
        """``work`` gives an outcome for each item, in their order, or raises for all of them."""
        self._work = work
        self._thread = ThreadPoolExecutor(1, "together")
        self._waiting: list[tuple[Item, asyncio.Future[Outcome]]] = []
        self._serving: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Outcome:
        """The outcome for this item."""
        mine: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, mine))
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        return await mine

    async def _serve(self) -> None:
        try:
            while self._waiting:
                served = self._waiting[:_AT_MOST]
                del self._waiting[: len(served)]
                await self._serve_these(served)
                if len(served) > 1:
                    await asyncio.sleep(_COMPANY_S)
        finally:
            self._serving = None
            for _, future in self._waiting:  # nobody is left to serve them
                future.cancel()
            self._waiting.clear()

    async def _serve_these(self, served: Sequence[tuple[Item, "asyncio.Future[Outcome]"]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            outcomes = await loop.run_in_executor(self._thread, self._do, [item for item, _ in served])
            answered = list(zip(served, outcomes, strict=True))
        except Exception as error:
            for _, future in served:
                if not future.done():
                    future.set_exception(error)
        except BaseException:
            for _, future in served:
                future.cancel()
            raise
        else:
            for (_, future), outcome in answered:
                if not future.done():
                    future.set_result(outcome)

    def _do(self, items: Sequence[Item]) -> Sequence[Outcome]:
        """Do the work; what a library written in Rust raises when it panics is no ``Exception``."""
        try:
            return self._work(items)
        except Exception:
            raise
        except BaseException as panic:
            raise RuntimeError(f"panic: {panic!r}") from panic
