# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A process of ours beside the main one: it lives as long as the context it manages, and as its parent."""

import asyncio
import gc
import multiprocessing
import signal
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import uvloop

from fleetpki.errors import FleetError
from fleetpki.tasks import until_first_ends

#: A child that does not end on request within this time is killed.
STOP_TIMEOUT_S = 5.0

#: How many collections of the middle generation go before one of everything.
_MIDDLE_COLLECTIONS = 100

Work = Callable[[], Coroutine[Any, Any, None]]


class ChildProcess:
    """A forked process that does one thing in an event loop of its own."""

    def __init__(self, name: str, work: Work) -> None:
        """Prepare to do ``work`` in a process of this name; nothing is started yet."""
        self._process = multiprocessing.get_context("fork").Process(
            target=_run, args=(work,), name=f"fleetpki-{name}", daemon=True
        )

    def __enter__(self) -> Self:
        """Start."""
        self._process.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self._process.terminate()
        self._process.join(STOP_TIMEOUT_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    async def ended(self) -> FleetError:
        """Wait until the process ends by itself; what that means for whoever waits."""
        await _readable(self._process.sentinel)
        return FleetError(f"the process {self._process.name} ended", "see the messages above", exit_code=1)


def settle() -> None:
    """Tell the garbage collector that what there is now will stay, and to look at everything rarely.

    It stops the process while it looks: for a tenth of a second, with all that a program has loaded.
    """
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _MIDDLE_COLLECTIONS)


def _run(work: Work) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for our parent, who stops us
    settle()
    uvloop.run(until_first_ends(work(), _parent_ended()))


async def _parent_ended() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - this runs in a child process
    await _readable(parent.sentinel)


async def _readable(handle: int) -> None:
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(handle, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(handle)
