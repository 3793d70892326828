# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Servers for a device to fail at: Mosquitto, ``openssl s_server``, and one that does what a test says."""

import asyncio
import contextlib
import pwd
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetpki.sim.cloud import HOST, PORT_ATTEMPTS, free_ports

START_TIMEOUT_S = 30.0

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Tls:
    """How a server speaks TLS: the version, its certificate, and whom it lets in."""

    version: str
    certificate: Path
    key: Path
    clients: Path
    revoked: Path | None = None


@dataclass(frozen=True)
class Server:
    """A program that listens on a port."""

    port: int
    process: asyncio.subprocess.Process


@contextlib.asynccontextmanager
async def mosquitto(tls: Tls | None, *options: str) -> AsyncIterator[Server]:
    """A Mosquitto that wants client certificates; without TLS if there is none."""
    for _ in range(PORT_ATTEMPTS):
        [port] = free_ports(1)
        words = ["allow_anonymous true", *options, f"listener {port} {HOST}", *_mosquitto_tls(tls)]
        async with _running(["mosquitto", "-c", "/dev/stdin"], "\n".join(_AS_ROOT + words)) as process:
            if await _says(process.stderr, r"mosquitto version \S+ running"):
                yield Server(port, process)
                return
    raise RuntimeError("Mosquitto did not start")


@contextlib.asynccontextmanager
async def s_server(tls: Tls, *options: str) -> AsyncIterator[Server]:
    """An ``openssl s_server`` that wants client certificates."""
    words = [
        "openssl", "s_server", "-accept", f"{HOST}:0", f"-tls{tls.version.replace('.', '_')}",
        "-cert", str(tls.certificate), "-key", str(tls.key), "-CAfile", str(tls.clients),
        "-Verify", "2", "-verify_return_error", *options,
    ]  # fmt: skip
    if tls.revoked is not None:
        words += ["-CRL", str(tls.revoked), "-crl_check"]
    async with _running(words) as process:
        match = await _says(process.stdout, rf"ACCEPT {re.escape(HOST)}:(\d+)")
        if match is None:
            raise RuntimeError("openssl s_server did not start")
        yield Server(int(match[1]), process)


@contextlib.asynccontextmanager
async def scripted(tls: Tls | None, behaviour: Behaviour) -> AsyncIterator[int]:
    """The port of a server that treats every client as the test says; with TLS, after the handshake."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await behaviour(reader, writer)
        writer.close()

    context = _context(tls) if tls else None
    server = await asyncio.start_server(serve, HOST, 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@contextlib.contextmanager
def bound_port(backlog: int | None = None) -> Iterator[int]:
    """A port of ours: nobody listens on it, or there is a backlog but nobody who accepts."""
    with socket.socket() as server:
        server.bind((HOST, 0))
        if backlog is not None:
            server.listen(backlog)
        yield server.getsockname()[1]


def answer(*packets: bytes) -> Behaviour:
    """Take the client's first words, answer, and hang up."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"".join(packets))

    return behaviour


def connack(code: int) -> Behaviour:
    """Answer CONNECT with a return code."""
    return answer(bytes((0x20, 2, 0, code)))


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reset the connection."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def reset_when_spoken_to(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the client's first words and reset the connection."""
    await reader.read(1)
    await reset(reader, writer)


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say goodbye at once."""


async def vanish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close the connection without ending TLS."""
    connection = writer.get_extra_info("socket")
    await reader.read(1)
    connection.shutdown(socket.SHUT_RDWR)


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Listen until the client gives up."""
    while await reader.read(4096):
        pass


_AS_ROOT = [f"user {pwd.getpwuid(0).pw_name}"]  # or it would become a user who cannot read the keys


def _mosquitto_tls(tls: Tls | None) -> Iterator[str]:
    if tls is None:
        return
    yield "require_certificate true"
    yield f"tls_version tlsv{tls.version}"
    yield f"certfile {tls.certificate}"
    yield f"keyfile {tls.key}"
    yield f"cafile {tls.clients}"
    if tls.revoked is not None:
        yield f"crlfile {tls.revoked}"


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = _VERSIONS[tls.version]
    context.load_cert_chain(tls.certificate, tls.key)
    context.load_verify_locations(tls.clients)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@contextlib.asynccontextmanager
async def _running(words: Sequence[str], script: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdin is not None
    if script:
        process.stdin.write(script.encode())
        process.stdin.close()
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def _says(stream: asyncio.StreamReader | None, pattern: str) -> re.Match[str] | None:
    """The first line with the pattern; None if the program ends without it."""
    assert stream is not None
    async with asyncio.timeout(START_TIMEOUT_S):
        while line := await stream.readline():
            if match := re.search(pattern, line.decode(errors="replace")):
                return match
    return None
