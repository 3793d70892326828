# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Where the web listens. Opened first: a taken port is told before anything is started."""

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from fleetpki.config import Settings
from fleetpki.errors import FleetError

_BACKLOG = 1024


@dataclass(frozen=True)
class Door:
    """A listener: where it is, and whether it wants to know who is there."""

    name: str
    host: str
    port: int
    uses_tls: bool = True
    processes: int = 1


def doors(settings: Settings) -> list[Door]:
    """Those that are not turned off."""
    every = (
        Door("est", settings.bind, settings.est_port, processes=settings.process_count),
        Door("api", settings.api_bind, settings.api_port),
        Door("public", settings.bind, settings.public_port, uses_tls=False, processes=settings.process_count),
    )
    return [door for door in every if door.port]


@contextlib.contextmanager
def open_doors(settings: Settings) -> Iterator[dict[Door, socket.socket]]:
    """The listening sockets. Peers may connect at once; they are served when somebody accepts."""
    with contextlib.ExitStack() as stack:
        yield {door: stack.enter_context(_listen(door)) for door in doors(settings)}


def _listen(door: Door) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(door.host, door.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((address[0], door.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
        raise FleetError(
            f"cannot listen on {door.host} port {door.port} ({door.name}_port): {reason}",
            f"stop whatever uses the port, or change {door.name}_port in fleet.toml; 0 turns this part off",
            exit_code=4,
        ) from error
