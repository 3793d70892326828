# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A registry with a million devices: pages of any filters, alone and together, and the verdict."""

import random
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import combinations, cycle, product
from pathlib import Path
from typing import Any

from bench.cloud import make_fleet
from bench.filling import (
    CAMPAIGN,
    FORMER_ISSUER,
    VALIDITY,
    add_history,
    certificate_id,
    device_id,
    fill,
    is_in_service,
)
from bench.report import Figure
from fleetpki import lifecycle
from fleetpki.child import settle
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import authorities
from fleetpki.lifecycle.context import OPERATOR
from fleetpki.registry import pages
from fleetpki.registry.database import reading
from fleetpki.registry.models import CertificateState, ClaimState, DeviceState, Role, RotationState

_DEVICES = 1_000_000
_QUESTIONS = 500
_PAGE = 100

Question = Callable[[], None]
Values = dict[str, Sequence[Callable[[], Any]]]
"""By the name of a filter what it can be: values that are common, that are rare, and that nobody has."""


def measure(scratch: Path, seconds: int) -> list[Figure]:
    """Ask each question many times, each time somewhere else; a slow one as often as fits in the time."""
    fleet = make_fleet(scratch / "registry")
    fill(fleet, _DEVICES)
    add_history(fleet, _DEVICES)
    return measure_filled(fleet, seconds)


def measure_filled(fleet: Fleet, seconds: int) -> list[Figure]:
    """Ask a registry that is filled already."""
    questions = _Questions(fleet)
    settle()  # as the processes that are asked do
    few = questions.with_few_filters()
    for asked in few.values():  # what is asked the first time is also translated into SQL, once in a process
        _p99(asked, seconds)
    before = _resident_mib()
    figures = [_figure(f"{name}, p99", _p99(asked, seconds)) for name, asked in few.items()]
    grown = _resident_mib() - before
    figures += [
        _figure(f"{name}, the slowest of {len(asked):,}", _slowest(asked))
        for name, asked in questions.with_many_filters().items()
    ]
    return [*figures, Figure("memory grown by asking all again", grown, "MiB", more_is_better=False)]


class _Questions:
    """What can be asked of the registry, by name: each with every combination of values."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._chance = random.Random(7)  # noqa: S311 - chooses questions
        self._now = datetime.now(UTC)

    def with_few_filters(self) -> dict[str, list[Question]]:
        """Filters alone and in pairs, and what has none."""
        found: dict[str, list[Question]] = {}
        for name, page, values in self._lists():
            for count in range(3):
                for filters in combinations(values, count):
                    about = f"{name} by {' and '.join(filters)}" if filters else name
                    found[about] = list(_asked(page, values, filters))
        return {**found, "allow-list": [self._allowed], "verdict": [self._verdict]}

    def with_many_filters(self) -> dict[str, list[Question]]:
        """Three filters and more."""
        return {
            f"{name} by {count} filters": [
                question
                for filters in combinations(values, count)
                for question in _asked(page, values, filters)
            ]
            for name, page, values in self._lists()
            for count in range(3, len(values) + 1)
        }

    def _lists(self) -> Iterator[tuple[str, Callable[..., None], Values]]:
        with reading(self._fleet.sessions) as session:
            issuer = authorities.named(session, "issuing").authority_id
        until = (self._soon, _always(self._now + VALIDITY), _always(self._now - VALIDITY))
        devices: Values = {
            "state": _each(*DeviceState),
            "group": _each("group-most", "group-7", "group-few", "nobody"),
            "batch": _each("bootstrap-1", "batch-2", "batch-few", "nobody"),
            "tag": _each(("model", "most"), ("site", "site-7"), ("model", "few"), ("model", "none")),
            "prefix": _each("sensor-0", "sensor-01234", "nobody"),
            "expires_before": until,
        }
        certificates: Values = {
            "device_id": (self._somewhere, _always("nobody")),
            "state": _each(*CertificateState),
            "role": _each(Role.DEVICE, Role.BROKER, Role.PERSON),
            "issuer_id": _each(issuer, FORMER_ISSUER, "nobody"),
            "expires_before": until,
        }
        rotations: Values = {
            "state": _each(RotationState.COMMITTED, RotationState.REQUESTED, RotationState.ABANDONED),
            "is_open": _each(True),
            "device_id": (self._somewhere, _always("nobody")),
            "campaign_id": _each(CAMPAIGN, "nobody"),
        }
        entries: Values = {
            "subject": (self._somewhere, _always("nobody")),
            "actor": _each("monitor", OPERATOR, "nobody"),
        }
        yield "devices", self._devices, devices
        yield "certificates", self._certificates, certificates
        yield "rotations", self._rotations, rotations
        yield "audit entries", self._entries, entries
        yield "claims", self._claims, {"state": _each(*ClaimState)}
        yield "alerts", self._alerts, {"is_open": _each(True)}

    def _devices(self, **filters: Any) -> None:
        after = self._somewhere()
        if "expires_before" in filters:
            after = f"{self._soon().isoformat()}/{after}"
        with reading(self._fleet.sessions) as session:
            page = pages.devices(session, after=self._chance.choice((None, after)), limit=_PAGE, **filters)
            pages.certificate_ids(session, page.rows)  # which the API shows, too

    def _certificates(self, **filters: Any) -> None:
        self._ask(pages.certificates, self._number(), filters)

    def _rotations(self, **filters: Any) -> None:
        after = self._chance.choice((None, (self._somewhere(), "r")))
        with reading(self._fleet.sessions) as session:
            page = pages.rotations(session, after=after, limit=_PAGE, **filters)
            pages.rotated_ids(session, page.rows)  # which the API shows, too

    def _entries(self, **filters: Any) -> None:
        self._ask(pages.audit_entries, self._number(), filters)

    def _claims(self, **filters: Any) -> None:
        self._ask(pages.claims, self._chance.randrange(1, _DEVICES // 1000), filters)

    def _alerts(self, **filters: Any) -> None:
        self._ask(pages.alerts, self._chance.randrange(1, _DEVICES // 50), filters)

    def _allowed(self) -> None:
        self._ask(pages.allowed_devices, self._somewhere(), {})

    def _ask(self, page: Callable[..., Any], after: object, filters: dict[str, Any]) -> None:
        with reading(self._fleet.sessions) as session:
            page(session, after=self._chance.choice((None, after)), limit=_PAGE, **filters)

    def _verdict(self) -> None:
        number = self._number()
        while not is_in_service(number):
            number = self._number()
        answer = lifecycle.verdict(
            self._fleet.context, certificate_id=certificate_id(number), client_id=device_id(number)
        )
        assert answer.role == "device", answer

    def _number(self) -> int:
        return self._chance.randrange(_PAGE, _DEVICES)

    def _somewhere(self) -> str:
        return device_id(self._number())

    def _soon(self) -> datetime:
        return self._now + timedelta(days=self._chance.randrange(1, 364))


def _always(value: Any) -> Callable[[], Any]:
    return lambda: value


def _each(*values: Any) -> list[Callable[[], Any]]:
    return [_always(value) for value in values]


def _asked(page: Callable[..., None], values: Values, filters: Sequence[str]) -> Iterator[Question]:
    for chosen in product(*(values[name] for name in filters)):
        yield partial(_ask_with, page, dict(zip(filters, chosen, strict=True)))


def _ask_with(page: Callable[..., None], filters: dict[str, Callable[[], Any]]) -> None:
    page(**{name: value() for name, value in filters.items()})


def _figure(name: str, seconds: float) -> Figure:
    return Figure(name, seconds * 1000, "ms", more_is_better=False, note=f"{_DEVICES:,} devices")


def _p99(questions: Sequence[Question], seconds: float) -> float:
    """Of all that is asked; no combination of values is so small a part of it that it could hide."""
    durations: list[float] = []
    for question in cycle(questions):
        durations.append(_duration(question))
        if len(durations) >= _QUESTIONS or sum(durations) >= seconds:
            return sorted(durations)[int(len(durations) * 0.99)]
    raise AssertionError("there is nothing to ask")


def _slowest(questions: Sequence[Question]) -> float:
    """Each twice, of which the faster one counts: the other may have been the machine's fault."""
    return max(min(_duration(question), _duration(question)) for question in questions)


def _duration(question: Question) -> float:
    started = time.perf_counter()
    question()
    return time.perf_counter() - started


def _resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
