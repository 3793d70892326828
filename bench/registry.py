# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A registry with a million devices: pages of any filter, the window of what expires, the verdict."""

import random
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.cloud import make_fleet
from bench.filling import GROUPS, certificate_id, device_id, fill
from bench.report import Figure
from fleetpki import lifecycle
from fleetpki.registry import pages
from fleetpki.registry.database import reading
from fleetpki.registry.models import DeviceState

_DEVICES = 1_000_000
_QUESTIONS = 500
_PAGE = 100


def measure(scratch: Path, _seconds: int) -> list[Figure]:
    """Ask each question many times, each time somewhere else."""
    fleet = make_fleet(scratch / "registry")
    fill(fleet, _DEVICES)
    chance = random.Random(7)  # noqa: S311 - chooses questions
    now = datetime.now(UTC)

    def page(**filters: object) -> None:
        after = device_id(chance.randrange(_DEVICES))
        with reading(fleet.sessions) as session:
            pages.devices(session, after=after, limit=_PAGE, **filters)  # type: ignore[arg-type]

    def verdict() -> None:
        number = chance.randrange(_DEVICES)
        answer = lifecycle.verdict(
            fleet.context, certificate_id=certificate_id(number), client_id=device_id(number)
        )
        assert answer.role == "device", answer

    questions: dict[str, Callable[[], None]] = {
        "page of devices": page,
        "page of a group": lambda: page(group=f"group-{chance.randrange(GROUPS)}"),
        "page of a state": lambda: page(state=DeviceState.ACTIVE),
        "page by prefix": lambda: page(prefix=f"sensor-{chance.randrange(10)}"),
        "page of what expires": lambda: page(expires_before=now + timedelta(days=chance.randrange(1, 364))),
        "verdict": verdict,
    }
    figures = [
        Figure(
            f"{name}, p99", _p99(question) * 1000, "ms", more_is_better=False, note=f"{_DEVICES:,} devices"
        )
        for name, question in questions.items()
    ]
    before = _resident_mib()
    for question in questions.values():
        _p99(question)
    grown = _resident_mib() - before
    return [*figures, Figure("memory grown by asking all again", grown, "MiB", more_is_better=False)]


def _p99(question: Callable[[], None]) -> float:
    durations = []
    for _ in range(_QUESTIONS):
        started = time.perf_counter()
        question()
        durations.append(time.perf_counter() - started)
    return sorted(durations)[int(_QUESTIONS * 0.99)]


def _resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
