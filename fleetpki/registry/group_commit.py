# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A write is durable before anybody hears of it; in a file, writes of many threads share a commit.

A server has many writers, and joins their commits by itself: there each write is a transaction of its own.
It takes its locks in the order that all rules keep to. A group would hold the locks of all its members, in
the order in which these came, and two groups would wait for each other.

A file has one writer at a time, and a commit waits for the disk, so writes go in groups:

1. A write waits for its turn, joins the open transaction and works in a savepoint of its own. When it fails,
   that is undone and the others are not.
2. Then it queues once more, behind those that are waiting by now, and commits for all that have joined. Who
   finds its group committed has nothing left to do.

The audit entries of a transaction are appended just before its commit: there is one end of the chain, and it
is locked as late as can be.
"""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session

from fleetpki.errors import RegistryUnavailable
from fleetpki.registry import audit
from fleetpki.registry.audit import Entry
from fleetpki.registry.turns import Turns

log = logging.getLogger(__name__)

#: A server's connections are few, and all processes share them.
_AT_ONCE_ON_A_SERVER = 8


@dataclass(frozen=True)
class Write:
    """One write at work."""

    session: Session
    entries: list[Entry] = field(default_factory=list)
    """What it adds to the audit chain."""


class _Group:
    """The writes that become durable together."""

    def __init__(self, engine: Engine) -> None:
        self.connection: Connection = engine.connect()
        self.entries: list[Entry] = []
        self.ended = False
        self.durable = False
        self.error: Exception | None = None
        try:
            self.connection.begin()
        except BaseException:
            self.connection.close()
            raise

    @contextmanager
    def member(self) -> Iterator[Write]:
        with Session(
            self.connection, join_transaction_mode="create_savepoint", expire_on_commit=False
        ) as session:
            write = Write(session)
            with session.begin():
                yield write
                session.flush()
                self.entries += write.entries

    def end(self, outage: "_Outage") -> None:
        """Commit, unless the database has failed one of the members."""
        try:
            if self.error is None:
                with outage.noted() as note:
                    audit.append(self.connection, [*note, *self.entries])
                    self.connection.commit()
                self.durable = True
        except Exception as error:  # every member raises it
            self.error = error
        finally:
            if not self.durable:
                self.connection.invalidate()  # nobody knows what state it is in
            self.connection.close()
            self.ended = True  # not before: who sees this goes by ``durable``


class _Outage:
    """What could not be written while it happened is written as soon as something can be."""

    def __init__(self) -> None:
        self._failed_commits = 0
        self._counting = Lock()

    def goes_on(self, error: Exception | None) -> None:
        with self._counting:
            self._failed_commits += 1
        log.error("the registry cannot be written: %s", error)

    @contextmanager
    def noted(self) -> Iterator[list[Entry]]:
        """The entry about it, if there was one, for what is committed within the block."""
        with self._counting:
            failed_commits, self._failed_commits = self._failed_commits, 0
        detail = {"failed_commits": failed_commits}
        note = Entry(datetime.now(UTC), "cloud", "registry.unavailable", "fleet", detail)
        try:
            yield [note] if failed_commits else []
        except BaseException:
            with self._counting:
                self._failed_commits += failed_commits
            raise


class GroupCommit:
    """Runs the writes of this process."""

    def __init__(self, engine: Engine) -> None:
        """Write through an engine that nobody else writes through."""
        self._engine = engine
        self._is_file = engine.dialect.name == "sqlite"
        self._turns = Turns(1 if self._is_file else _AT_ONCE_ON_A_SERVER)
        self._committing = Lock()
        self._open: _Group | None = None
        self._outage = _Outage()

    def write(self) -> AbstractContextManager[Write]:
        """Write, durably once this returns; or ``RegistryUnavailable``, and nothing was written."""
        return self._in_a_group() if self._is_file else self._alone()

    @contextmanager
    def _alone(self) -> Iterator[Write]:
        with self._turns, Session(self._engine, expire_on_commit=False) as session:
            write = Write(session)
            try:
                yield write
                session.flush()
                with self._outage.noted() as note:
                    audit.append(session.connection(), [*note, *write.entries])
                    session.commit()
            except IntegrityError:
                raise
            except (DBAPIError, NoConnection) as error:
                session.invalidate()  # nobody knows what state the connection is in
                self._outage.goes_on(error)
                raise RegistryUnavailable from error

    @contextmanager
    def _in_a_group(self) -> Iterator[Write]:
        with self._turns:
            group = self._group()
            try:
                with _failing_together(group), group.member() as write:
                    yield write
            except BaseException:
                self._end(group)
                raise
        with self._committing:
            if not group.ended:
                with self._turns:
                    self._end(group)
        if not group.durable:
            raise RegistryUnavailable from group.error

    def _group(self) -> _Group:
        if self._open is None:
            try:
                self._open = _Group(self._engine)
            except (DBAPIError, NoConnection) as error:
                self._outage.goes_on(error)
                raise RegistryUnavailable from error
        return self._open

    def _end(self, group: _Group) -> None:
        if group.ended:
            return
        self._open = None
        group.end(self._outage)
        if not group.durable:
            self._outage.goes_on(group.error)


@contextmanager
def _failing_together(group: _Group) -> Iterator[None]:
    """An error of the database may have undone more than one statement: then nobody's work counts."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        group.error = error
        raise RegistryUnavailable from error
