# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Where a door has the rules applied: in threads, because a rule waits for the registry."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from fleetpki import lifecycle
from fleetpki.errors import Rejected
from fleetpki.lifecycle import Application, Context, Enrolled
from fleetpki.together import Together

P = ParamSpec("P")
T = TypeVar("T")

#: Rules wait for the registry, not for each other: so many at once let it commit them together.
_THREADS = 32


class Desk:
    """Applies the rules of one context for coroutines."""

    def __init__(self, ctx: Context) -> None:
        """Apply the rules of ``ctx``."""
        self._ctx = ctx
        self._threads = ThreadPoolExecutor(_THREADS, "rules")
        self._newcomers = Together(partial(lifecycle.enroll_newcomers, ctx))

    async def apply(self, rule: Callable[Concatenate[Context, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a rule returns, or raises."""
        call = partial(rule, self._ctx, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def enroll(self, application: Application) -> Enrolled:
        """Enrol a device, in one go with others that are new and are waiting, too."""
        outcome = await self._newcomers(application)
        if outcome is None:
            return await self.apply(lifecycle.enroll, application)
        if isinstance(outcome, Rejected):
            raise outcome
        return outcome
