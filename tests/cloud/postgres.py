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
# A server of other people speaks a language, and is elsewhere: nothing of ours may depend on it.
_LOCALE = ("--locale-provider=icu", "--icu-locale=en-US")
_SERVER = ("-h", "", "-c", "max_connections=200", "-c", "timezone=Asia/Tokyo")
_FORGETFUL = ("-c", "fsync=off", "-c", "full_page_writes=off")


class PostgresServer:
    """A server that is reached over its Unix socket only."""

    def __init__(self, folder: Path, user: str | None, *, durable: bool) -> None:
        self._folder = folder
        self._user = user
        self._settings = () if durable else _FORGETFUL
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it, and wait until it is ready."""
        command = [_program("postgres"), "-D", self._folder / "data", "-k", self._folder]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *_SERVER, *self._settings], user=self._user, cwd="/", stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while not self.is_ready():
            assert self._process.poll() is None, "PostgreSQL ended; its log is beside its data"
            assert time.monotonic() < deadline, "PostgreSQL does not come up"
            time.sleep(0.05)

    def stop(self) -> None:
        """End it at once, and its clients' sessions with it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The server is away for a while."""
        self.stop()
        try:
            yield
        finally:
            self.start()

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
        command: list[str | Path] = [_program("initdb"), "-D", folder / "data", *_INITDB, *_LOCALE]
        subprocess.run(command, user=user, cwd="/", check=True, capture_output=True, timeout=120)
        server = PostgresServer(folder, user, durable=durable)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _program(name: str) -> Path:
    found = sorted(_PROGRAMS.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    assert found, "PostgreSQL is missing: run 'make setup'"
    return found[-1]
