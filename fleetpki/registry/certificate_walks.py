# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Which index certificates are walked by, for every question that can be asked about them.

As with devices an index has the state in it, and behind it an order: by number, or by the end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.orm import Session

from fleetpki.registry.models import Certificate, CertificateState, Role
from fleetpki.registry.walks import Range, Walk, best

#: As the index says it: with that the few certificates of others are found among those of devices.
_OF_OTHERS = text("certificates.role <> 'device'")


_NUMBER: Range = select(Certificate.id)
_BY_TIME = (Certificate.not_after, Certificate.id)


@dataclass(frozen=True)
class CertificateWalks:
    """What is asked of certificates, None being anything, and the ways to find those."""

    device_id: str | None = None
    state: CertificateState | None = None
    role: Role | None = None
    issuer_id: str | None = None
    expires_before: datetime | None = None

    def best(self, session: Session) -> Walk[Certificate]:
        """The one that looks at the fewest rows."""
        return best(session, list(self._all()))

    def _all(self) -> Iterator[Walk[Certificate]]:
        if self.device_id is not None:
            yield self._walk([_NUMBER.where(Certificate.device_id == self.device_id)], "device")
        if self.role not in (None, Role.DEVICE):
            yield self._walk([_NUMBER.where(Certificate.role == self.role, _OF_OTHERS)], "role")
        if self.issuer_id is not None:
            issued = _NUMBER.where(Certificate.issuer_id == self.issuer_id)
            yield self._walk(self._of_each_state(issued), "issuer", "state")
        if self.expires_before is None:
            yield self._walk(self._of_each_state(_NUMBER), "state")
        else:
            ending: Range = select(*_BY_TIME).where(Certificate.not_after < self.expires_before)
            tests = self._tests("state", "expiry")
            yield Walk(Certificate, self._of_each_state(ending), tests)

    def _of_each_state(self, rows: Range) -> list[Range]:
        states = CertificateState if self.state is None else (self.state,)
        return [rows.where(Certificate.state == state) for state in states]

    def _walk(self, ranges: list[Range], *answered: str) -> Walk[Certificate]:
        """By number, which has to be sorted if the order is to be another."""
        tests = self._tests(*answered)
        if self.expires_before is None:
            return Walk(Certificate, ranges, tests, backwards=True)
        return Walk(Certificate, ranges, tests, sort_by=_BY_TIME)

    def _tests(self, *answered: str) -> list[ColumnElement[bool]]:
        """What an index leaves open."""
        return [test for name, test in self._conditions() if name not in answered]

    def _conditions(self) -> Iterator[tuple[str, ColumnElement[bool]]]:
        if self.device_id is not None:
            yield "device", Certificate.device_id == self.device_id
        if self.state is not None:
            yield "state", Certificate.state == self.state
        if self.role is not None:
            yield "role", Certificate.role == self.role
        if self.issuer_id is not None:
            yield "issuer", Certificate.issuer_id == self.issuer_id
        if self.expires_before is not None:
            yield "expiry", Certificate.not_after < self.expires_before
