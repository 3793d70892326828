# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Opens the registry's database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session, sessionmaker

from fleetpki.errors import FleetError
from fleetpki.registry.models import Base

Sessions = sessionmaker[Session]

_BUSY_TIMEOUT_S = 10
_READ_ONLY = "fleetpki_read_only"


def create_registry(path: Path) -> Sessions:
    """Make a new, empty registry readable by its owner only."""
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError as error:
        raise FleetError(f"{path} exists already", "choose another directory", exit_code=2) from error
    engine = _engine(path)
    Base.metadata.create_all(engine)
    return _sessions(engine)


def open_registry(path: Path) -> Sessions:
    """Open an existing registry."""
    if not path.is_file():
        raise FleetError(f"{path} does not exist", "run `fleetpki init` first", exit_code=2)
    engine = _engine(path)
    try:
        tables = set(inspect(engine).get_table_names())
    except DatabaseError as error:
        raise FleetError(
            f"{path} is damaged or no registry: {error.orig}", "restore it from a backup"
        ) from error
    if not tables.issuperset(Base.metadata.tables):
        raise FleetError(f"{path} is not a fleetpki registry", "restore it from a backup")
    return _sessions(engine)


@contextmanager
def reading(sessions: Sessions) -> Iterator[Session]:
    """Open a session that sees one consistent state and waits for no writer."""
    with sessions() as session:
        session.connection(execution_options={_READ_ONLY: True})
        yield session


def _sessions(engine: Engine) -> Sessions:
    return sessionmaker(engine, expire_on_commit=False)


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we send BEGIN ourselves
    for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {setting}").close()


def _begin(connection: Connection) -> None:
    # A transaction that will write takes the write lock at once: what it read stays true until it commits.
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
