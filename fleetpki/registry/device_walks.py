# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Which index devices are walked by, for every question that can be asked about them.

An index has the state, perhaps a group or batch before it, and behind it an order: by id, or by the end of
the certificate. Without a state the devices of all states are merged.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from fleetpki.registry.models import Device, DeviceState, DeviceTag
from fleetpki.registry.walks import Key, Range, Walk, best

Conditions = Iterable[ColumnElement[bool]]

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


@dataclass(frozen=True)
class DeviceWalks:
    """The ways to go from a place on."""

    wanted: Wanted
    after: Key | None

    def best(self, session: Session) -> Walk[Device]:
        """The one that looks at the fewest rows."""
        return best(session, list(self._all()))

    def _all(self) -> Iterator[Walk[Device]]:
        wanted = self.wanted
        if wanted.tag is not None:
            yield self._by_tag(*wanted.tag)
        if wanted.group is not None:
            yield self._by_state("group", Device.group == wanted.group)
        if wanted.batch is not None:
            yield self._by_state("batch", Device.batch == wanted.batch)
        if wanted.state is not None or (wanted.group is None and wanted.batch is None):
            yield self._by_state()
        if wanted.prefix is not None and wanted.expires_before is not None:
            beginning = select(Device.device_id).where(*_beginning(Device.device_id, wanted.prefix))
            yield Walk(Device, [beginning], self._tests("prefix"), sort_by=_BY_TIME)

    def _by_state(self, also: str = "", *conditions: ColumnElement[bool]) -> Walk[Device]:
        states = DeviceState if self.wanted.state is None else (self.wanted.state,)
        key = (Device.device_id,) if self.wanted.expires_before is None else _BY_TIME
        rows: Range = select(*key).where(*conditions, *self._bounds(Device.device_id))
        return Walk(
            Device,
            [rows.where(Device.state == state) for state in states],
            self._tests("state", also, "prefix" if self.wanted.expires_before is None else "expiry"),
        )

    def _by_tag(self, key: str, value: str) -> Walk[Device]:
        tagged = select(DeviceTag.device_id).where(DeviceTag.key == key, DeviceTag.value == value)
        if self.wanted.expires_before is not None:
            return Walk(Device, [tagged], self._tests("tag"), sort_by=_BY_TIME)
        return Walk(Device, [tagged.where(*self._bounds(DeviceTag.device_id))], self._tests("tag", "prefix"))

    def _bounds(self, device_id: InstrumentedAttribute[str]) -> Conditions:
        """Where the order begins and ends."""
        if self.wanted.expires_before is not None:
            return [Device.not_after < self.wanted.expires_before]
        if self.wanted.prefix is None:
            return []
        begin, end = _beginning(device_id, self.wanted.prefix)
        # Of two beginnings a database may choose the one far away.
        is_behind = self.after is not None and self.after[0] >= self.wanted.prefix
        return [end] if is_behind else [begin, end]

    def _tests(self, *answered: str) -> list[ColumnElement[bool]]:
        """What an index leaves open."""
        return [test for name, test in self._conditions() if name not in answered]

    def _conditions(self) -> Iterator[tuple[str, ColumnElement[bool]]]:
        wanted = self.wanted
        if wanted.state is not None:
            yield "state", Device.state == wanted.state
        if wanted.group is not None:
            yield "group", Device.group == wanted.group
        if wanted.batch is not None:
            yield "batch", Device.batch == wanted.batch
        if wanted.tag is not None:
            yield "tag", _has_tag(*wanted.tag)
        if wanted.prefix is not None:
            begin, end = _beginning(Device.device_id, wanted.prefix)
            yield "prefix", begin & end
        if wanted.expires_before is not None:
            yield "expiry", Device.not_after < wanted.expires_before


def _has_tag(key: str, value: str) -> ColumnElement[bool]:
    tagged = select(DeviceTag).where(
        DeviceTag.device_id == Device.device_id, DeviceTag.key == key, DeviceTag.value == value
    )
    return tagged.correlate(Device).exists()


def _beginning(
    device_id: InstrumentedAttribute[str], prefix: str
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return device_id >= prefix, device_id < prefix + "\x7f"
