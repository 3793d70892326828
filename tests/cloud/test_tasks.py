# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What works together ends together."""

import asyncio
import contextlib

import pytest

from fleetpki import tasks
from fleetpki.tasks import until_first_ends


async def hard_of_hearing() -> None:
    """A cancellation gets lost, as in a wait_for whose result comes at the same moment."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()


async def fails() -> None:
    raise RuntimeError("first")


async def test_a_cancellation_that_gets_lost_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_SAY_AGAIN_S", 0.01)
    with pytest.raises(RuntimeError, match="first"):
        async with asyncio.timeout(10):
            await until_first_ends(hard_of_hearing(), fails())
