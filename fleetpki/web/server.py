# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Runs an application behind a listening socket: uvicorn, set up for us."""

import asyncio
import contextlib
import signal
import socket
import ssl
import threading
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from fleetpki.web.connection import Connection

#: A TLS handshake that takes longer is given up. Until it is done it counts for no other limit.
HANDSHAKE_TIMEOUT_S = 10.0

_KEEP_ALIVE_S = 30
_MAX_CONNECTIONS = 4000


class Server(uvicorn.Server):
    """Stops gracefully on SIGTERM; Ctrl-C is for the main process, which then sends that."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGTERM over while serving."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGTERM)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, as uvicorn does, but wait for nobody's handshake for a minute."""
        loop, tls = asyncio.get_running_loop(), self.config.ssl
        self.servers = [
            await loop.create_server(
                lambda: Connection(self.config, self.server_state, self.lifespan.state),
                sock=each,
                ssl=tls,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if tls else None,
                backlog=self.config.backlog,
            )
            for each in sockets or ()
        ]
        self.started = True

    def stop(self) -> None:
        """Finish what is under way and end."""
        self.should_exit = True


def make_server(app: ASGIApp, tls: ssl.SSLContext | None) -> Server:
    """A server for an application; a name of its own is not told to anybody."""
    return Server(
        uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=2,
            ssl_context_factory=(lambda _config, _default: tls) if tls is not None else None,
        )
    )
