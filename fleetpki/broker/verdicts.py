# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Answers the broker plugin: may this certificate connect under this client id?

One line of JSON each way over a Unix socket. When no verdict can be given (the registry cannot be read, say)
the connection is closed without an answer; the plugin then goes by what it remembers.

Verdicts are given in a process of their own: all clients wait while the broker waits for one, and a thread
would share its time with the services.
"""

import asyncio
import json
import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from fleetpki.errors import FleetError
from fleetpki.tasks import until_first_ends

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
"""Takes a certificate id and a client id."""


class VerdictProcess:
    """The process that answers the plugin; it lives as long as the context it manages, and as its parent."""

    def __init__(self, path: Path, make_judge: Callable[[], Judge]) -> None:
        """Serve at ``path`` what the judge says; ``make_judge`` is called in the process."""
        self._path = path
        self._make_judge = make_judge
        self._process: multiprocessing.process.BaseProcess | None = None

    def __enter__(self) -> Self:
        """Start. Questions may be asked from now on; they are answered when the process is ready."""
        with bind(self._path) as listening:
            self._process = multiprocessing.get_context("fork").Process(
                target=_process, args=(listening, self._make_judge), name="fleetpki-verdicts", daemon=True
            )
            self._process.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Stop, and remove the socket."""
        if self._process is not None:
            self._process.terminate()
            self._process.join()
        self._path.unlink(missing_ok=True)

    async def ended(self) -> FleetError:
        """Wait until the process ends by itself; what that means for whoever waits."""
        assert self._process is not None  # noqa: S101 - only asked about a started process
        await _readable(self._process.sentinel)
        return FleetError("the process that gives verdicts ended", "see the messages above", exit_code=1)


def bind(path: Path) -> socket.socket:
    """Listen at a path of any length, by a handle of its directory: Unix socket addresses hold 107 bytes.

    A socket file left over by a killed process is replaced.
    """
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        listening.bind(f"/proc/self/fd/{directory}/{path.name}")
        path.chmod(0o600)
        listening.listen()
    except OSError:
        listening.close()
        raise
    finally:
        os.close(directory)
    return listening


async def serve(listening: socket.socket, judge: Judge) -> None:
    """Answer questions until cancelled."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _answer_all(judge, reader, writer)
        except ConnectionError:
            log.warning("the broker did not wait for a verdict")
        except Exception:
            log.exception("no verdict could be given")
        finally:
            writer.close()

    async with await asyncio.start_unix_server(accept, sock=listening) as server:
        await server.serve_forever()


async def _answer_all(judge: Judge, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        question = json.loads(line)
        verdict = judge(question["certificate_id"], question["client_id"])
        answer = {"allow": verdict.allow, "role": str(verdict.role), "reason": verdict.reason}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()


def _process(listening: socket.socket, make_judge: Callable[[], Judge]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for our parent, who stops us
    asyncio.run(until_first_ends(serve(listening, make_judge()), _parent_ended()))


async def _parent_ended() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - this runs in a child process
    await _readable(parent.sentinel)


async def _readable(handle: int) -> None:
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(handle, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(handle)
