# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Running things side by side."""

import asyncio
from collections.abc import Coroutine
from typing import Any

_SAY_AGAIN_S = 5.0


async def until_first_ends(*coroutines: Coroutine[Any, Any, object]) -> None:
    """Run all until the first ends, then cancel the others; an error of the first is passed on.

    A task group would be the obvious tool, but before Python 3.13 one that fails at the moment it is
    cancelled forgets the cancellation.
    """
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # A cancellation can get lost, in a wait_for that has its result at that moment: say it until heard.
        while going := [task for task in tasks if not task.done()]:
            for task in going:
                task.cancel()
            await asyncio.wait(going, timeout=_SAY_AGAIN_S)
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
