# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The part of a long list that is a page: rows in the order of an index, of which only so many are looked at.

What an index finds by itself is there at once, however many rows there are. Conditions that share no index
are another matter: no order of looking is good for all of them. So a walk looks at so many rows, keeps those
for which everything holds, and says where to go on. It costs the same wherever it is and whatever is asked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, and_, func, inspect, select, tuple_, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from fleetpki.registry.models import Base

LOOKS = 200
"""How many rows are looked at to fill a page that the first ones did not fill."""

Row = TypeVar("Row", bound=Base)
Key = tuple[Any, ...]
"""A place in an order: what the rows are ordered by."""

Range = Select[*tuple[Any, ...]]
"""Rows that lie together in an index: selects what they are ordered by, on conditions the index answers."""


_Column = ColumnElement[Any] | InstrumentedAttribute[Any]


@dataclass(frozen=True)
class Stretch:
    """The rows found on a walk, and the place to go on behind; None at the end."""

    found: Sequence[Key]
    end: Key | None


@dataclass(frozen=True)
class Walk(Generic[Row]):
    """Through the rows of several ranges of indexes at once, as if they were one."""

    table: type[Row]
    ranges: Sequence[Range]
    tests: Sequence[ColumnElement[bool]] = ()
    """What is to be true of a row besides."""
    backwards: bool = False
    sort_by: Sequence[InstrumentedAttribute[Any]] = ()
    """The order of ranges that have none: they select only what identifies a row, and have to be few."""

    def take(self, session: Session, after: Key | None, limit: int) -> Stretch:
        """The first rows behind a place for which everything holds.

        Mostly it does, and a page of rows is enough to look at; only then at as many as it may be.
        """
        if not self.tests:
            keys = [tuple(key) for key in session.execute(self._walk(after).limit(limit))]
            return Stretch(keys, keys[-1] if len(keys) == limit else None)
        found: list[Key] = []
        for looks in (limit, LOOKS):
            rows = self._sorted(after) if self.sort_by else self._tested(after, looks)
            seen = [(tuple(key), holds) for *key, holds in session.execute(rows.limit(looks))]
            found += [key for key, holds in seen if holds]
            if len(found) >= limit:
                return Stretch(found[:limit], found[limit - 1])
            if len(seen) < looks:
                return Stretch(found, None)
            after = seen[-1][0]
        return Stretch(found, after)

    def _tested(self, after: Key | None, looks: int) -> Range:
        """First the walk, for which an index is enough, then a look at each row.

        Asked for both at once a database thinks what it looks for is everywhere, and begins far away.
        """
        walk = self._walk(after).limit(looks).subquery()
        identity = inspect(self.table).primary_key
        row = zip(identity, list(walk.columns)[-len(identity) :], strict=True)
        holds = select(and_(*self.tests)).where(*(column == key for column, key in row)).scalar_subquery()
        return self._in_order(select(*walk.columns, holds), walk.columns)

    def _sorted(self, after: Key | None) -> Range:
        (identity,) = inspect(self.table).primary_key
        few = _together(self.ranges).limit(LOOKS).subquery()
        rows: Range = select(*self.sort_by, and_(*self.tests)).where(identity.in_(select(few)))
        return self._in_order(self._behind(after, rows, self.sort_by), self.sort_by)

    def _walk(self, after: Key | None) -> Range:
        parts = []
        for each in self.ranges:
            key = list(each.selected_columns)
            parts.append(self._in_order(self._behind(after, each, key), key))
        if len(parts) == 1:
            return parts[0]
        together = _together([select(each.subquery()) for each in parts])  # a part has no order of its own
        return self._in_order(together, list(together.selected_columns))

    def _behind(self, after: Key | None, rows: Range, key: Sequence[_Column]) -> Range:
        if after is None:
            return rows
        place, reached = (tuple_(*key), after) if len(key) > 1 else (key[0], after[0])
        return rows.where(place < reached if self.backwards else place > reached)

    def _in_order(self, rows: Range, key: Iterable[_Column]) -> Range:
        return rows.order_by(*(each.desc() if self.backwards else each for each in key))


def best(session: Session, walks: Sequence[Walk[Row]]) -> Walk[Row]:
    """The walk that answers everything; else one of few rows; else the first that has the order.

    What has to be sorted before the first row is known is good for few rows only.
    """
    in_order = [walk for walk in walks if not walk.sort_by]
    for walk in in_order:
        if not walk.tests:
            return walk
    return next((walk for walk in walks if _are_few(session, walk.ranges)), in_order[0])


def _are_few(session: Session, ranges: Sequence[Range]) -> bool:
    """Whether these are no more rows than are looked at for a page."""
    rows = _together(ranges).limit(LOOKS + 1).subquery()
    return (session.scalar(select(func.count()).select_from(rows)) or 0) <= LOOKS


def _together(ranges: Sequence[Range]) -> Range:
    """All of them; of ranges in order a database that is to put them into that order merges them."""
    if len(ranges) == 1:
        return ranges[0]
    return select(union_all(*ranges).subquery())
