# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Which index certificates are walked by, for every question that can be asked about them.

As with devices an index has the state in it, and behind it an order: by number, or by the end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import ColumnElement, bindparam, select, text
from sqlalchemy.orm import Session

from fleetpki.registry.models import Certificate, CertificateState, Role
from fleetpki.registry.walks import Range, Values, Walk, best

#: As the index says it: with that the few certificates of others are found among those of devices.
_OF_OTHERS = text("certificates.role <> 'device'")

_NUMBER: Range = select(Certificate.id)
_BY_TIME = (Certificate.not_after, Certificate.id)


@dataclass(frozen=True)
class Wanted:
    """What is asked of certificates; None is anything."""

    device_id: str | None = None
    state: CertificateState | None = None
    role: Role | None = None
    issuer_id: str | None = None
    expires_before: datetime | None = None

    def walk(self, session: Session) -> Walk[Certificate]:
        """The way that looks at the fewest rows."""
        is_asked = {name for name in _TESTS if getattr(self, name) is not None}
        walks = _walks(frozenset(is_asked), is_of_others=self.role not in (None, Role.DEVICE))
        return best(session, walks, self.values)

    @property
    def values(self) -> Values:
        """What the parameters of the conditions stand for."""
        return asdict(self)


_TESTS = {
    "device_id": Certificate.device_id == bindparam("device_id"),
    "state": Certificate.state == bindparam("state"),
    "role": Certificate.role == bindparam("role"),
    "issuer_id": Certificate.issuer_id == bindparam("issuer_id"),
    "expires_before": Certificate.not_after < bindparam("expires_before"),
}


@cache
def _walks(asked: frozenset[str], *, is_of_others: bool) -> Sequence[Walk[Certificate]]:
    """The ways to find what is asked for, certificates of others than devices or any."""
    return list(_Ways(asked, is_of_others).all())


@dataclass(frozen=True)
class _Ways:
    asked: frozenset[str]
    is_of_others: bool

    def all(self) -> Iterator[Walk[Certificate]]:
        if "device_id" in self.asked:
            yield self._walk([_NUMBER.where(_TESTS["device_id"])], "device_id")
        if self.is_of_others:
            yield self._walk([_NUMBER.where(_TESTS["role"], _OF_OTHERS)], "role")
        if "issuer_id" in self.asked:
            yield self._walk(self._of_each_state(_NUMBER.where(_TESTS["issuer_id"])), "issuer_id", "state")
        if "expires_before" in self.asked:
            ending: Range = select(*_BY_TIME).where(_TESTS["expires_before"])
            yield Walk(Certificate, self._of_each_state(ending), self._tests("state", "expires_before"))
        else:
            yield self._walk(self._of_each_state(_NUMBER), "state")

    def _of_each_state(self, rows: Range) -> list[Range]:
        states = [Certificate.state == state for state in CertificateState]
        return [rows.where(each) for each in ([_TESTS["state"]] if "state" in self.asked else states)]

    def _walk(self, ranges: list[Range], *answered: str) -> Walk[Certificate]:
        """By number, which has to be sorted if the order is to be another."""
        if "expires_before" in self.asked:
            return Walk(Certificate, ranges, self._tests(*answered), sort_by=_BY_TIME)
        return Walk(Certificate, ranges, self._tests(*answered), backwards=True)

    def _tests(self, *answered: str) -> list[ColumnElement[bool]]:
        """What an index leaves open."""
        return [test for name, test in _TESTS.items() if name in self.asked.difference(answered)]
