# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Answers the broker plugin: may this certificate connect under this client id?

One line of JSON each way over a Unix socket. When no verdict can be given (the registry cannot be read, say)
the connection is closed without an answer; the plugin then goes by what it remembers.
"""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

log = logging.getLogger(__name__)


class Verdict(Protocol):
    """The registry's answer."""

    @property
    def allow(self) -> bool:
        """Whether the certificate may connect."""

    @property
    def role(self) -> str:
        """As what."""

    @property
    def reason(self) -> str:
        """Why not; for the log."""


Judge = Callable[[str, str], Verdict]
"""Takes a certificate id and a client id; called in a worker thread."""


class VerdictServer:
    """The socket the broker plugin asks."""

    def __init__(self, path: Path, judge: Judge) -> None:
        """Serve at ``path`` what ``judge`` says."""
        self._path = path
        self._judge = judge
        # Threads of its own: a verdict must not queue behind slow work of the services.
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="verdict")
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; a socket file left over by a killed process is replaced."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._accept, sock=_bind(self._path))

    async def stop(self) -> None:
        """Close every connection and remove the socket."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        self._path.unlink(missing_ok=True)
        self._workers.shutdown(wait=False)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs this callback in a task
        self._connections.add(task)
        try:
            await self._answer_all(reader, writer)
        except Exception:
            log.exception("no verdict could be given")
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            question = json.loads(line)
            verdict = await asyncio.get_running_loop().run_in_executor(
                self._workers, self._judge, question["certificate_id"], question["client_id"]
            )
            answer = {"allow": verdict.allow, "role": str(verdict.role), "reason": verdict.reason}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()


def _bind(path: Path) -> socket.socket:
    """A socket bound at a path of any length, by a handle of its directory: addresses hold 107 bytes only."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        listening.bind(f"/proc/self/fd/{directory}/{path.name}")
    except OSError:
        listening.close()
        raise
    finally:
        os.close(directory)
    path.chmod(0o600)
    return listening
