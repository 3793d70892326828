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
from bench.filling import GROUPS, SITES, add_history, certificate_id, device_id, fill
from bench.report import Figure
from fleetpki import lifecycle
from fleetpki.lifecycle import authorities
from fleetpki.registry import pages
from fleetpki.registry.database import reading
from fleetpki.registry.models import CertificateState, DeviceState, Role, RotationState

_DEVICES = 1_000_000
_QUESTIONS = 500
_PAGE = 100


def measure(scratch: Path, seconds: int) -> list[Figure]:
    """Ask each question many times, each time somewhere else; a slow one as often as fits in the time."""
    fleet = make_fleet(scratch / "registry")
    fill(fleet, _DEVICES)
    add_history(fleet, _DEVICES)
    with reading(fleet.sessions) as session:
        issuer = authorities.named(session, "issuing").authority_id
    chance = random.Random(7)  # noqa: S311 - chooses questions
    now = datetime.now(UTC)

    def ask(page: Callable[..., object], after: object, **filters: object) -> None:
        with reading(fleet.sessions) as session:
            page(session, after=after, limit=_PAGE, **filters)

    def somewhere() -> str:
        return device_id(chance.randrange(_DEVICES))

    def page(**filters: object) -> None:
        ask(pages.devices, somewhere(), **filters)

    def certificates(**filters: object) -> None:
        ask(pages.certificates, chance.randrange(_PAGE, _DEVICES), **filters)

    def rotations(**filters: object) -> None:
        ask(pages.rotations, (somewhere(), "r"), **filters)

    def entries(**filters: object) -> None:
        ask(pages.audit_entries, chance.randrange(_PAGE, _DEVICES), **filters)

    def soon() -> datetime:
        return now + timedelta(days=chance.randrange(1, 364))

    def verdict() -> None:
        number = chance.randrange(_DEVICES)
        answer = lifecycle.verdict(
            fleet.context, certificate_id=certificate_id(number), client_id=device_id(number)
        )
        assert answer.role == "device", answer

    questions: dict[str, Callable[[], None]] = {
        "devices": page,
        "devices of a group": lambda: page(group=f"group-{chance.randrange(GROUPS)}"),
        "devices active": lambda: page(state=DeviceState.ACTIVE),
        "devices suspended": lambda: page(state=DeviceState.SUSPENDED),
        "devices of a batch": lambda: page(batch="bootstrap-1"),
        "devices with a tag": lambda: page(tag=("site", f"site-{chance.randrange(SITES)}")),
        "devices by prefix": lambda: page(prefix=f"sensor-{chance.randrange(10)}"),
        "devices suspended in a group": lambda: page(state=DeviceState.SUSPENDED, group="group-0"),
        "devices suspended with a tag": lambda: page(state=DeviceState.SUSPENDED, tag=("site", "site-0")),
        "devices that expire": lambda: page(expires_before=soon()),
        "devices of a group that expire": lambda: page(expires_before=soon(), group="group-7"),
        "devices suspended that expire": lambda: page(expires_before=soon(), state=DeviceState.SUSPENDED),
        "certificates": certificates,
        "certificates active": lambda: certificates(state=CertificateState.ACTIVE),
        "certificates revoked": lambda: certificates(state=CertificateState.REVOKED),
        "certificates of the broker": lambda: certificates(role=Role.BROKER),
        "certificates of a device": lambda: certificates(device_id=somewhere()),
        "certificates of an issuer": lambda: certificates(issuer_id=issuer),
        "certificates of no issuer": lambda: certificates(issuer_id="0" * 64),
        "certificates that expire": lambda: certificates(expires_before=soon()),
        "rotations": rotations,
        "rotations committed": lambda: rotations(state=RotationState.COMMITTED),
        "rotations open": lambda: rotations(is_open=True),
        "rotations of a device": lambda: rotations(device_id=somewhere()),
        "rotations of a campaign": lambda: rotations(campaign_id="campaign-1"),
        "allow-list": lambda: ask(pages.allowed_devices, somewhere()),
        "audit entries": entries,
        "audit entries of a subject": lambda: entries(subject=somewhere()),
        "audit entries of an actor": lambda: entries(actor="operator"),
        "audit entries of nobody": lambda: entries(actor="nobody"),
        "verdict": verdict,
    }
    figures = [
        Figure(
            f"{name}, p99",
            _p99(question, seconds) * 1000,
            "ms",
            more_is_better=False,
            note=f"{_DEVICES:,} devices",
        )
        for name, question in questions.items()
    ]
    before = _resident_mib()
    for question in questions.values():
        _p99(question, seconds)
    grown = _resident_mib() - before
    return [*figures, Figure("memory grown by asking all again", grown, "MiB", more_is_better=False)]


def _p99(question: Callable[[], None], seconds: float) -> float:
    durations: list[float] = []
    while len(durations) < _QUESTIONS and sum(durations) < seconds:
        started = time.perf_counter()
        question()
        durations.append(time.perf_counter() - started)
    return sorted(durations)[int(len(durations) * 0.99)]


def _resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
