# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Which index devices are walked by, for every question that can be asked about them.

An index has the state, perhaps a group or batch before it, and behind it an order: by id, or by the end of
the certificate. Without a state the devices of all states are merged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import ColumnElement, bindparam, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from fleetpki.registry.models import Device, DeviceState, DeviceTag
from fleetpki.registry.walks import Key, Range, Values, Walk, best

_BY_ID = (Device.device_id,)
_BY_TIME = (Device.not_after, Device.device_id)


@dataclass(frozen=True)
class Wanted:
    """What is asked of devices; None is anything."""

    state: DeviceState | None = None
    group: str | None = None
    batch: str | None = None
    tag: tuple[str, str] | None = None
    prefix: str | None = None
    expires_before: datetime | None = None

    def walk(self, session: Session, after: Key | None) -> Walk[Device]:
        """The way that looks at the fewest rows."""
        is_asked = {name for name in _TESTS if getattr(self, name) is not None}
        return best(session, _walks(frozenset(is_asked), is_begun=self._is_begun(after)), self.values)

    def _is_begun(self, after: Key | None) -> bool:
        """Whether the prefix has begun at a place: of two beginnings a database may choose the worse."""
        if after is None or self.prefix is None or self.expires_before is not None:
            return False
        return bool(after[0] >= self.prefix)

    @property
    def values(self) -> Values:
        """What the parameters of the conditions stand for."""
        key, value = self.tag or (None, None)
        return {
            "state": self.state,
            "group": self.group,
            "batch": self.batch,
            "tag_key": key,
            "tag_value": value,
            "prefix": self.prefix,
            "behind_prefix": f"{self.prefix}\x7f",
            "expires_before": self.expires_before,
        }


def _begin(device_id: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    return device_id >= bindparam("prefix")


def _end(device_id: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    return device_id < bindparam("behind_prefix")


_TAGGED = (DeviceTag.key == bindparam("tag_key"), DeviceTag.value == bindparam("tag_value"))
_TESTS = {
    "state": Device.state == bindparam("state"),
    "group": Device.group == bindparam("group"),
    "batch": Device.batch == bindparam("batch"),
    "tag": select(DeviceTag)
    .where(DeviceTag.device_id == Device.device_id, *_TAGGED)
    .correlate(Device)
    .exists(),
    "prefix": _begin(Device.device_id) & _end(Device.device_id),
    "expires_before": Device.not_after < bindparam("expires_before"),
}


@cache
def _walks(asked: frozenset[str], *, is_begun: bool) -> Sequence[Walk[Device]]:
    """The ways to find what is asked for, from a place at which the prefix has begun or from another."""
    return list(_Ways(asked, is_begun).all())


@dataclass(frozen=True)
class _Ways:
    asked: frozenset[str]
    is_begun: bool

    def all(self) -> Iterator[Walk[Device]]:
        if "tag" in self.asked:
            yield self._by_tag()
        if "group" in self.asked:
            yield self._by_state("group")
        if "batch" in self.asked:
            yield self._by_state("batch")
        if "state" in self.asked or not self.asked & {"group", "batch"}:
            yield self._by_state()
        if {"prefix", "expires_before"} <= self.asked:
            beginning = select(Device.device_id).where(_begin(Device.device_id), _end(Device.device_id))
            yield Walk(Device, [beginning], self._tests("prefix"), sort_by=_BY_TIME)

    def _by_state(self, *also: str) -> Walk[Device]:
        is_by_time = "expires_before" in self.asked
        rows: Range = select(*(_BY_TIME if is_by_time else _BY_ID)).where(*(_TESTS[each] for each in also))
        rows = rows.where(_TESTS["expires_before"]) if is_by_time else self._in_prefix(rows, Device.device_id)
        states = [Device.state == state for state in DeviceState]
        return Walk(
            Device,
            [rows.where(each) for each in ([_TESTS["state"]] if "state" in self.asked else states)],
            self._tests("state", *also, "expires_before" if is_by_time else "prefix"),
        )

    def _by_tag(self) -> Walk[Device]:
        tagged: Range = select(DeviceTag.device_id).where(*_TAGGED)
        if "expires_before" in self.asked:
            return Walk(Device, [tagged], self._tests("tag"), sort_by=_BY_TIME)
        return Walk(Device, [self._in_prefix(tagged, DeviceTag.device_id)], self._tests("tag", "prefix"))

    def _in_prefix(self, rows: Range, device_id: InstrumentedAttribute[str]) -> Range:
        if "prefix" not in self.asked:
            return rows
        rows = rows.where(_end(device_id))
        return rows if self.is_begun else rows.where(_begin(device_id))

    def _tests(self, *answered: str) -> list[ColumnElement[bool]]:
        """What an index leaves open."""
        return [test for name, test in _TESTS.items() if name in self.asked.difference(answered)]
