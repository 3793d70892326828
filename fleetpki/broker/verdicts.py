# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Answers the broker plugin: may this certificate connect under this client id?

One line of JSON each way over a Unix socket. When no verdict can be given (the registry cannot be read, say)
the connection is closed without an answer; the plugin then goes by what it remembers.

Verdicts are given in a process of their own: all clients wait while the broker waits for one, and a thread
would share its time with the services.
"""

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from fleetpki.child import ChildProcess

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


@contextlib.contextmanager
def verdict_process(path: Path, make_judge: Callable[[], Judge]) -> Iterator[ChildProcess]:
    """A process that serves at ``path`` what the judge says; ``make_judge`` is called in the process.

    Questions may be asked as soon as it is entered; they are answered when the process is ready.
    """
    with bind(path) as listening:
        child = ChildProcess("verdicts", lambda: serve(listening, make_judge()))
        with child:
            listening.close()
            try:
                yield child
            finally:
                path.unlink(missing_ok=True)


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
