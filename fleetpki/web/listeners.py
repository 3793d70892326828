# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The listeners of a fleet, each with processes of its own: who floods one does not slow the others."""

import contextlib
import functools
import socket
from collections.abc import Callable, Iterator, Mapping

from starlette.types import ASGIApp

from fleetpki.child import ChildProcess, settle
from fleetpki.fleet import Fleet
from fleetpki.tasks import until_first_ends
from fleetpki.web.api.app import make_api
from fleetpki.web.doors import Door
from fleetpki.web.est.app import make_est
from fleetpki.web.public import make_public
from fleetpki.web.server import make_server
from fleetpki.web.tls import keep_current, server_context

#: What is behind each door.
APPS: dict[str, Callable[[Fleet], ASGIApp]] = {"est": make_est, "api": make_api, "public": make_public}


@contextlib.contextmanager
def web_processes(fleet: Fleet, opened: Mapping[Door, socket.socket]) -> Iterator[list[ChildProcess]]:
    """Serve the doors that are open. The processes of a door take turns at accepting its connections."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(ChildProcess(door.name, functools.partial(_serve, fleet, door, listening)))
            for door, listening in opened.items()
            for _ in range(door.processes)
        ]


async def _serve(fleet: Fleet, door: Door, listening: socket.socket) -> None:
    app = APPS[door.name](fleet)
    settle()
    if not door.uses_tls:
        await make_server(app, None).serve([listening])
        return
    tls = server_context(fleet.layout, fleet.context)
    await until_first_ends(
        make_server(app, tls).serve([listening]), keep_current(tls, fleet.layout, fleet.context)
    )
