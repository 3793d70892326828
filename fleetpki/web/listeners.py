# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The listeners of a fleet, each a process of its own: who floods one does not slow the others."""

import contextlib
import functools
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from starlette.types import ASGIApp

from fleetpki.child import ChildProcess
from fleetpki.fleet import Fleet
from fleetpki.web.api.app import make_api
from fleetpki.web.est.app import make_est
from fleetpki.web.public import make_public
from fleetpki.web.server import listen, make_server
from fleetpki.web.tls import server_context


@dataclass(frozen=True)
class Listener:
    """A door: where it is and what is behind it."""

    name: str
    host: str
    port: int
    make_app: Callable[[Fleet], ASGIApp]
    uses_tls: bool = True


def listeners(fleet: Fleet) -> list[Listener]:
    """Those that are not turned off."""
    settings = fleet.settings
    doors = (
        Listener("est", settings.bind, settings.est_port, make_est),
        Listener("api", settings.api_bind, settings.api_port, make_api),
        Listener("public", settings.bind, settings.public_port, make_public, uses_tls=False),
    )
    return [door for door in doors if door.port]


@contextlib.contextmanager
def web_processes(fleet: Fleet) -> Iterator[list[ChildProcess]]:
    """Serve all listeners of a fleet. Peers may connect at once; they are served when a process is ready."""
    with contextlib.ExitStack() as stack:
        doors = listeners(fleet)
        sockets = [stack.enter_context(listen(door.host, door.port, f"{door.name}_port")) for door in doors]
        yield [
            stack.enter_context(ChildProcess(door.name, functools.partial(_serve, fleet, door, listening)))
            for door, listening in zip(doors, sockets, strict=True)
        ]


async def _serve(fleet: Fleet, door: Listener, listening: socket.socket) -> None:
    tls = server_context(fleet.layout, fleet.context) if door.uses_tls else None
    await make_server(door.make_app(fleet), tls).serve([listening])
