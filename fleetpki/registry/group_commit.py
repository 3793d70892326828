# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Writes of many threads share one durable commit.

A commit waits for the disk, and there is one end of the audit chain to write to, so writes go in groups:

1. A write waits for its turn, joins the open transaction and works in a savepoint of its own. When it fails,
   that is undone and the others are not.
2. Then it queues once more, behind those that are waiting by now, and commits for all that have joined. Who
   finds its group committed has nothing left to do.

Nobody returns before what they wrote is durable. The audit entries of a group are appended just before its
commit: the end of the chain is locked as late as can be.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
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

    def end(self) -> None:
        """Commit, unless the database has failed one of the members."""
        try:
            if self.error is None:
                audit.append(self.connection, self.entries)
                self.connection.commit()
                self.durable = True
        except Exception as error:  # every member raises it
            self.error = error
        finally:
            if not self.durable:
                self.connection.invalidate()  # nobody knows what state it is in
            self.connection.close()
            self.ended = True  # not before: who sees this goes by ``durable``


class GroupCommit:
    """Runs the writes of this process."""

    def __init__(self, engine: Engine) -> None:
        """Write through an engine that nobody else writes through."""
        self._engine = engine
        self._turns = Turns()
        self._committing = Lock()
        self._open: _Group | None = None
        self._failures = 0

    @contextmanager
    def write(self) -> Iterator[Write]:
        """Write, durably once this returns; or ``RegistryUnavailable``, and nothing was written."""
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
                self._failed(error)
                raise RegistryUnavailable from error
            self._open.entries += self._note_of_failures()
        return self._open

    def _end(self, group: _Group) -> None:
        if group.ended:
            return
        self._open = None
        group.end()
        if group.durable:
            self._failures = 0
        else:
            self._failed(group.error)

    def _failed(self, error: Exception | None) -> None:
        self._failures += 1
        log.error("the registry cannot be written: %s", error)

    def _note_of_failures(self) -> list[Entry]:
        """What could not be written while it happened is written as soon as something can be."""
        if not self._failures:
            return []
        detail = {"failed_commits": self._failures}
        return [Entry(datetime.now(UTC), "cloud", "registry.unavailable", "fleet", detail)]


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
