# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Runs an application behind a listening socket: uvicorn, set up for us."""

import asyncio
import contextlib
import signal
import ssl
import threading
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from fleetpki.web.connection import Connection

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
