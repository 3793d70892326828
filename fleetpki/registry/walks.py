# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The part of a long list that is a page: rows in the order of an index, of which only so many are looked at.

What an index finds by itself is there at once, however many rows there are. Conditions that share no index
are another matter: no order of looking is good for all of them. So a walk looks at so many rows, keeps those
for which everything holds, and says where to go on. It costs the same wherever it is and whatever is asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    column,
    func,
    inspect,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute, Session, raiseload

from fleetpki.registry.models import Base

LOOKS = 100
"""How many rows are looked at for a page, when no index answers everything."""
FEW = 500
"""As many rows as can be sorted for a page."""

Row = TypeVar("Row", bound=Base)
Key = tuple[Any, ...]
"""A place in an order: what the rows are ordered by."""

Range = Select[*tuple[Any, ...]]
"""Rows that lie together in an index: selects what they are ordered by, on conditions the index answers."""

Values = Mapping[str, Any]
"""What parameters of the conditions stand for, by name."""

_Union = CompoundSelect[*tuple[Any, ...]]
_Rows = TypeVar("_Rows", Range, _Union)
_Column = ColumnElement[Any] | InstrumentedAttribute[Any]

_LOOKS = bindparam("looks", type_=Integer)
_FEW = bindparam("few", type_=Integer)


@dataclass(frozen=True)
class Stretch(Generic[Row]):
    """The rows found on a walk, and the place to go on behind; None at the end."""

    found: Sequence[Row]
    end: Key | None


@dataclass(frozen=True, eq=False)
class Walk(Generic[Row]):
    """Through the rows of several ranges of indexes at once, as if they were one.

    Its statements are made once; who keeps a walk whose conditions have parameters is spared a good part of
    the time a page takes.
    """

    table: type[Row]
    ranges: Sequence[Range]
    tests: Sequence[ColumnElement[bool]] = ()
    """What is to be true of a row besides."""
    backwards: bool = False
    sort_by: Sequence[InstrumentedAttribute[Any]] = ()
    """The order of ranges that have none: they select only what identifies a row, of which there are few."""

    def take(self, session: Session, values: Values, after: Key | None, limit: int) -> Stretch[Row]:
        """The first rows behind a place for which everything holds; what they refer to is not loaded."""
        looks = max(limit, LOOKS) if self.tests else limit
        places = {_place(number): reached for number, reached in enumerate(after or ())}
        statement = self._from_start if after is None else self._from_place
        seen = session.execute(statement, {**values, **places, "looks": looks, "few": FEW}).all()
        found = [(row, key) for *key, row in seen if row is not None][:limit]
        end: Key | None = None
        if len(found) == limit:
            end = tuple(found[-1][1])
        elif len(seen) == looks:
            end = tuple(seen[-1][:-1])
        return Stretch([row for row, _ in found], end)

    def is_short(self, session: Session, values: Values) -> bool:
        """Whether these are few rows."""
        return session.scalars(self._count, {**values, "few": FEW + 1}).one() <= FEW

    @cached_property
    def _from_start(self) -> Range:
        return self._sorted(is_behind=False) if self.sort_by else self._looked_at(is_behind=False)

    @cached_property
    def _from_place(self) -> Range:
        return self._sorted(is_behind=True) if self.sort_by else self._looked_at(is_behind=True)

    @cached_property
    def _count(self) -> Select[int]:
        return select(func.count()).select_from(_together(self.ranges).limit(_FEW).subquery())

    def _looked_at(self, *, is_behind: bool) -> Range:
        """First the walk, for which an index is enough, then each row, unless a test fails."""
        walk = self._walk(is_behind=is_behind).limit(_LOOKS).subquery()
        identity = inspect(self.table).primary_key
        key = list(walk.columns)[-len(identity) :]
        is_its_row = and_(*(column == value for column, value in zip(identity, key, strict=True)))
        rows = select(*walk.columns, self.table).select_from(walk)
        rows = rows.outerjoin(self.table, and_(is_its_row, *self._holds(key[0]))).options(raiseload("*"))
        return self._in_order(rows, walk.columns)

    def _sorted(self, *, is_behind: bool) -> Range:
        (identity,) = inspect(self.table).primary_key
        few = select(_together(self.ranges).limit(_FEW).subquery())
        rows: Range = select(*self.sort_by, self.table).where(identity.in_(few), *self._holds(identity))
        if is_behind:
            rows = self._behind(rows, self.sort_by)
        return self._in_order(rows.options(raiseload("*")), self.sort_by).limit(_LOOKS)

    def _holds(self, row: ColumnElement[Any]) -> list[ColumnElement[bool]]:
        """The tests of a row that is there, which is said for databases not to see through them.

        They would look for what passes instead, which may be everywhere, or read it all to be prepared.
        """
        return [case((row.is_not(None), test)) for test in self.tests]

    def _walk(self, *, is_behind: bool) -> Range | _Union:
        parts = []
        for each in self.ranges:
            key = list(each.selected_columns)
            parts.append(self._in_order(self._behind(each, key) if is_behind else each, key))
        if len(parts) == 1:
            return parts[0]
        # A part of a union has no order of its own, but what it selects from can have one. Columns are given
        # by name: to find out which they are takes longer than all the rest.
        named = [column(each.name, each.type) for each in self.ranges[0].selected_columns]
        merged = union_all(*(select(*named).select_from(part.subquery()) for part in parts))
        return self._in_order(merged, named)

    def _behind(self, rows: Range, key: Sequence[_Column]) -> Range:
        reached = [bindparam(_place(number), type_=each.type) for number, each in enumerate(key)]
        place, end = (tuple_(*key), tuple_(*reached)) if len(key) > 1 else (key[0], reached[0])
        return rows.where(place < end if self.backwards else place > end)

    def _in_order(self, rows: _Rows, key: Iterable[_Column]) -> _Rows:
        return rows.order_by(*(each.desc() if self.backwards else each for each in key))


def best(session: Session, walks: Sequence[Walk[Row]], values: Values) -> Walk[Row]:
    """The walk that answers everything; else one of few rows; else the first that has the order.

    What has to be sorted before the first row is known is good for few rows only.
    """
    in_order = [walk for walk in walks if not walk.sort_by]
    for walk in in_order:
        if not walk.tests:
            return walk
    others = [walk for walk in walks if walk is not in_order[0]]
    return next((walk for walk in others if walk.is_short(session, values)), in_order[0])


def _together(ranges: Sequence[Range]) -> Range:
    return ranges[0] if len(ranges) == 1 else select(union_all(*ranges).subquery())


def _place(number: int) -> str:
    return f"place_{number}"
