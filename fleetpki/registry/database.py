# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Opens the registry's database: a SQLite file, or PostgreSQL."""

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session, sessionmaker

from fleetpki.errors import FleetError, RegistryUnavailable
from fleetpki.registry import statistics
from fleetpki.registry.models import Base

log = logging.getLogger(__name__)

Sessions = sessionmaker[Session]
Database = Path | str
"""A SQLite file, or the URL of a PostgreSQL database."""

REVISION = "0001"
"""The schema the models describe: the newest of the migrations."""

#: The tables of a registry, and Alembic's, written here so that opening one need not load all of that.
_EVERYTHING = MetaData()
_VERSION = Table("alembic_version", _EVERYTHING, Column("version_num", String(32), primary_key=True))
for _table in Base.metadata.sorted_tables:
    _table.to_metadata(_EVERYTHING)

_BUSY_TIMEOUT_S = 10
_LOCK_POLL_S = 0.001
_CONNECTIONS = 40  # as many threads may read at once
_READ_ONLY = "fleetpki_read_only"


def create_registry(database: Database) -> Sessions:
    """Make a new, empty registry; a file is readable by its owner only."""
    with new_registry(database) as sessions:
        finish(sessions)
    return sessions


@contextmanager
def new_registry(database: Database) -> Iterator[Sessions]:
    """A new registry, to be filled and finished. Should that fail, nothing is left of it on a server.

    One that is not finished is none: when this program dies meanwhile, the next attempt begins anew.
    """
    if isinstance(database, Path):
        _create_file(database)
    engine = connect(database)
    tables = _tables(engine)
    if _is_unfinished(engine, tables):
        _drop(engine)
    elif tables:
        raise FleetError(f"{name_of(engine)} has tables already", "name an empty database", exit_code=2)
    with engine.begin() as connection:
        _EVERYTHING.create_all(connection)
        statistics.tell(connection, _EVERYTHING)
    try:
        yield _sessions(engine)
    except BaseException:
        if not isinstance(database, Path):
            _drop(engine)
        raise


def finish(sessions: Sessions) -> None:
    """Everything is in a new registry: from now on it is one."""
    with engine_of(sessions).begin() as connection:
        connection.execute(insert(_VERSION).values(version_num=REVISION))


def open_registry(database: Database) -> Sessions:
    """Open an existing registry."""
    if isinstance(database, Path) and not database.is_file():
        raise FleetError(f"{database} does not exist", "run `fleetpki init` first", exit_code=2)
    engine = connect(database)
    require_schema(engine)
    return _sessions(engine)


def require_schema(engine: Engine) -> None:
    """Refuse to work with a registry that another version of this program made or upgraded."""
    found = revision(engine)
    if found < REVISION:
        raise FleetError(
            f"{name_of(engine)} has schema {found}, older than the {REVISION} of this program",
            "stop 'fleetpki up', make a backup, run 'fleetpki db upgrade', start again",
        )
    require_known_schema(engine, found)


def require_known_schema(engine: Engine, found: str) -> None:
    """Refuse a schema that only a newer version of this program knows."""
    if found > REVISION:
        raise FleetError(
            f"{name_of(engine)} has schema {found}, newer than the {REVISION} of this program",
            "install the version that upgraded it, or one after that; there is no way back but a backup",
        )


def revision(engine: Engine) -> str:
    """Which schema a registry has."""
    if _VERSION.name not in _tables(engine):
        raise FleetError(f"{name_of(engine)} is not a fleetpki registry", "restore it from a backup")
    with _looking(engine) as connection:
        found = connection.scalar(select(_VERSION.c.version_num))
    if found is None:
        raise FleetError(f"{name_of(engine)} is an unfinished registry", "run `fleetpki init` again")
    return str(found)


def connect(database: Database) -> Engine:
    """The way to a database, whatever is in it."""
    if isinstance(database, Path):
        return _sqlite(database)
    try:
        url = make_url(database)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() != "postgresql":
        raise FleetError(
            "database_url is no address of a PostgreSQL database",
            "write it like postgresql://user@host/name; leave it out for a SQLite file",
            exit_code=2,
        )
    return _postgresql(url)


def engine_of(sessions: Sessions) -> Engine:
    """The engine sessions work through."""
    engine = sessions.kw["bind"]
    if not isinstance(engine, Engine):
        raise TypeError("these sessions have no engine")
    return engine


def name_of(engine: Engine) -> str:
    """What to call a database in front of people: without its password."""
    is_file = engine.dialect.name == "sqlite"
    return str(engine.url.database if is_file else engine.url.render_as_string(hide_password=True))


@contextmanager
def reading(sessions: Sessions) -> Iterator[Session]:
    """Open a session that sees one consistent state and waits for no writer.

    ``RegistryUnavailable`` when the registry cannot be read.
    """
    with _unavailable_at_worst(), sessions() as session:
        session.connection(
            execution_options={_READ_ONLY: True, **_SNAPSHOT[engine_of(sessions).dialect.name]}
        )
        yield session


@contextmanager
def _unavailable_at_worst() -> Iterator[None]:
    """Say of a database that is locked, gone or out of space and connections that it is so for now."""
    try:
        yield
    except (OperationalError, NoConnection) as error:
        log.error("the registry cannot be read: %s", error)  # noqa: TRY400 - whoever asked may tell more
        raise RegistryUnavailable("the registry cannot be read now") from error


_SNAPSHOT: dict[str, dict[str, Any]] = {
    "sqlite": {},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}


def _create_file(path: Path) -> None:
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError as error:
        raise FleetError(f"{path} exists already", "choose another directory", exit_code=2) from error


@contextmanager
def _looking(engine: Engine) -> Iterator[Connection]:
    """A connection that waits for no writer."""
    with engine.connect() as connection:
        yield connection.execution_options(**{_READ_ONLY: True})


def _is_unfinished(engine: Engine, tables: set[str]) -> bool:
    """Whether these are all ours, and nobody came to say so."""
    if tables != set(_EVERYTHING.tables):
        return False
    with _looking(engine) as connection:
        return connection.execute(select(_VERSION)).first() is None


def _drop(engine: Engine) -> None:
    with engine.begin() as connection:
        _EVERYTHING.drop_all(connection)


def _tables(engine: Engine) -> set[str]:
    try:
        with _looking(engine) as connection:
            return set(inspect(connection).get_table_names())
    except DatabaseError as error:
        what, hint = (
            ("cannot be used", "check database_url in fleet.toml, and that the server runs")
            if engine.dialect.name == "postgresql"
            else ("cannot be used now", "see what else uses it, and whether its disk is full")
            if isinstance(error, OperationalError)
            else ("is damaged or no registry", "restore it from a backup")
        )
        raise FleetError(f"{name_of(engine)} {what}: {error.orig}", hint, exit_code=4) from error


@contextmanager
def reading_rows(sessions: Sessions) -> Iterator[Connection]:
    """As ``reading``, for single rows where every microsecond counts: there are no objects."""
    with _unavailable_at_worst(), _looking(engine_of(sessions)) as connection:
        yield connection


def _sessions(engine: Engine) -> Sessions:
    return sessionmaker(engine, expire_on_commit=False)


def _postgresql(url: URL) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=_CONNECTIONS,
        pool_pre_ping=True,
        connect_args={"connect_timeout": _BUSY_TIMEOUT_S, "application_name": "fleetpki"},
    )
    event.listen(engine, "connect", _speak_utc)
    return engine


def _speak_utc(connection: Any, _record: object) -> None:
    connection.execute("SET TIME ZONE 'UTC'")
    connection.commit()


def _sqlite(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        pool_size=_CONNECTIONS,
        connect_args={"timeout": _BUSY_TIMEOUT_S},
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we send BEGIN ourselves
    for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {setting}").close()


def _begin(connection: Connection) -> None:
    """Begin. What will write takes the write lock at once: what it read stays true until it commits."""
    if connection.get_execution_options().get(_READ_ONLY, False):
        connection.exec_driver_sql("BEGIN")
        return
    # SQLite itself looks ever less often whether the lock is free: processes that write much leave it idle.
    deadline = time.monotonic() + _BUSY_TIMEOUT_S
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    try:
        while not _takes_the_lock(connection, last_try=time.monotonic() > deadline):
            time.sleep(_LOCK_POLL_S)
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {1000 * _BUSY_TIMEOUT_S}")


def _takes_the_lock(connection: Connection, *, last_try: bool) -> bool:
    """Whether the lock was free; the last try raises when it was not."""
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as error:
        is_busy = getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
        if last_try or not is_busy:
            raise
        return False
    return True
