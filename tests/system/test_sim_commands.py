# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What runs other programs can be interrupted."""

import asyncio
import contextlib
from typing import Any

import pytest

from fleetpki.sim.commands import Runner
from fleetpki.sim.transcript import Transcript


async def test_an_interruption_is_heard_at_the_moment_a_program_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """``asyncio.wait_for`` of Python 3.11 forgets it then, and the demonstration went on to its end."""
    ended = asyncio.get_running_loop().create_future()

    class Program:
        returncode = 0

        async def communicate(self, _stdin: bytes) -> Any:
            return await ended

    runner = Runner(Transcript())
    monkeypatch.setattr(runner, "process", lambda _words: contextlib.nullcontext(Program()))
    running = asyncio.create_task(runner.run(["program"]))
    for _ in range(5):
        await asyncio.sleep(0)
    ended.set_result((b"", b""))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
