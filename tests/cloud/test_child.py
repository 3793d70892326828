# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Processes of ours beside the main one."""

import asyncio
import gc
from multiprocessing import Pipe

from fleetpki.child import ChildProcess


async def test_the_garbage_collector_leaves_alone_what_was_there_at_the_start() -> None:
    receiving, sending = Pipe(duplex=False)

    async def work() -> None:
        sending.send((gc.get_freeze_count(), gc.get_threshold()))
        await asyncio.sleep(60)

    with receiving, sending, ChildProcess("test", work):
        assert await asyncio.to_thread(receiving.poll, 30)
        frozen, (young, middle, old) = receiving.recv()
    assert frozen > 10_000
    assert (young, middle) == gc.get_threshold()[:2]
    assert old > gc.get_threshold()[2]
