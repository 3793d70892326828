# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What all tables share."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Enum, Index, String, TextClause, TypeDecorator, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute
from sqlalchemy.types import TypeEngine

#: An id that lists are ordered by: byte by byte, as Python does it, whatever language a server speaks.
ORDERED_ID = String(64).with_variant(String(64, collation="C"), "postgresql")


class _UtcText(sqlite.DATETIME):
    """A time as SQLAlchemy writes it for SQLite: without a zone."""

    def result_processor(
        self, _dialect: Dialect, _coltype: object
    ) -> Callable[[str | None], datetime | None]:
        """Read it as UTC. A page of certificates has a thousand of them."""
        return lambda value: None if value is None else datetime.fromisoformat(f"{value}+00:00")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC, also in databases that forget the zone; servers are asked to speak UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """How a database keeps it."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(_UtcText())  # type: ignore[no-untyped-call]
        return dialect.type_descriptor(self.impl_instance)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Normalise to UTC."""
        return value if value is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """What all tables share."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's declaration
        datetime: UtcDateTime,
        dict[str, Any]: JSON(none_as_null=True),
        StrEnum: Enum(StrEnum, native_enum=False, length=16, values_callable=lambda kind: list(kind)),
    }


def at_most_one(name: str, column: InstrumentedAttribute[Any], states: Iterable[StrEnum]) -> Index:
    """Let a value of the column occur once among the rows in one of these states."""
    condition = in_state(states)
    return Index(name, column, unique=True, sqlite_where=condition, postgresql_where=condition)


def in_state(states: Iterable[StrEnum], table: str = "") -> TextClause:
    """Say that a row is in one of these states as an index does, so that the index is used."""
    return text(f"{table and f'{table}.'}state IN ({', '.join(repr(state.value) for state in states)})")
