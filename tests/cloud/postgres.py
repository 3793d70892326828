# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server of our own, from the distribution's package, for as long as a test process runs."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

_PROGRAMS = Path("/usr/lib/postgresql")
_SERVER_USER = "postgres"  # the server refuses to run as root; Debian's package makes this user
_DATABASE_USER = "fleetpki"
_INITDB = ("-U", _DATABASE_USER, "-A", "trust", "--no-sync", "-E", "UTF8")
_SERVER = ("-h", "", "-c", "max_connections=200")
_FORGETFUL = ("-c", "fsync=off", "-c", "full_page_writes=off")


class PostgresServer:
    """A running server that is reached over its Unix socket only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def url(self, database: str) -> str:
        return f"postgresql://{_DATABASE_USER}@/{database}?host={self._folder}"

    def create(self, database: str, template: str = "template0") -> None:
        self._command("CREATE DATABASE {} TEMPLATE {}", database, template)

    def drop(self, database: str) -> None:
        self._command("DROP DATABASE IF EXISTS {} WITH (FORCE)", database)

    def terminate_connections(self, database: str) -> None:
        with self._connection() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database]
            )

    def is_ready(self) -> bool:
        try:
            self._connection().close()
        except psycopg.OperationalError:
            return False
        return True

    def _command(self, statement: str, *names: str) -> None:
        with self._connection() as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _connection(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url("postgres"), autocommit=True)


@contextmanager
def running_server(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Start a server; it waits for the disk only where asked to, and nothing is left of it afterwards.

    Its folder is not pytest's: the path of a Unix socket is short, and the server's user must get there.
    """
    folder = Path(tempfile.mkdtemp(prefix="fleetpki-pg-"))
    user = _SERVER_USER if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    try:
        command: list[str | Path] = [_program("initdb"), "-D", folder / "data", *_INITDB]
        subprocess.run(command, user=user, cwd="/", check=True, capture_output=True, timeout=120)
        command = [
            _program("postgres"),
            "-D",
            folder / "data",
            "-k",
            folder,
            *_SERVER,
            *(() if durable else _FORGETFUL),
        ]
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(command, user=user, cwd="/", stdout=log, stderr=log) as process,
        ):
            try:
                yield _ready(PostgresServer(folder), process)
            finally:
                process.send_signal(signal.SIGQUIT)  # at once, its clients included
    finally:
        shutil.rmtree(folder)


def _ready(server: PostgresServer, process: subprocess.Popen[bytes]) -> PostgresServer:
    deadline = time.monotonic() + 60
    while not server.is_ready():
        assert process.poll() is None, "PostgreSQL ended; its log is beside its data"
        assert time.monotonic() < deadline, "PostgreSQL does not come up"
        time.sleep(0.05)
    return server


def _program(name: str) -> Path:
    found = sorted(_PROGRAMS.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    assert found, "PostgreSQL is missing: run 'make setup'"
    return found[-1]
