# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What the monitor makes of one certificate: a pure judgement of what it sees, and when to look again."""

from dataclasses import dataclass, field
from datetime import datetime

from fleetpki.errors import Code
from fleetpki.lifecycle import renewal
from fleetpki.lifecycle.alerts import AlertKind, Concern, Concerns, Severity
from fleetpki.registry.models import RotationState


@dataclass(frozen=True)
class Failure:
    """How the rotations of a certificate failed so far."""

    count: int
    last_at: datetime
    last_state: RotationState
    last_code: str | None
    last_message: str | None

    @property
    def worries(self) -> bool:
        """Whether somebody should know; what an operator gave up, somebody knows."""
        return self.last_state != RotationState.ABANDONED or self.last_code == Code.DEADLINE_PASSED


@dataclass(frozen=True)
class Sight:
    """A device's active certificate as the registry has it."""

    device_id: str
    not_before: datetime
    not_after: datetime
    in_service: bool
    heard_at: datetime | None = None
    asked_at: datetime | None = None
    """Since when a rotation is open."""
    failure: Failure | None = None


@dataclass(frozen=True)
class Judgement:
    """What follows."""

    renew: bool = False
    concerns: Concerns = field(default_factory=dict)
    look_at: datetime | None = None


def judge(sight: Sight, now: datetime) -> Judgement:
    """Whether to renew, what somebody has to know, and when to look again."""
    if now >= sight.not_after:
        message = f"its certificate expired at {_text(sight.not_after)}: it has to enrol again"
        return Judgement(concerns={AlertKind.EXPIRED: Concern(Severity.CRITICAL, message)})
    life = sight.not_before, sight.not_after
    due_at = renewal.renew_at(sight.device_id, *life)
    if sight.failure is not None:
        due_at = max(due_at, renewal.retry_at(sight.failure.last_at, sight.failure.count, sight.not_after))
    renew = sight.in_service and sight.asked_at is None and now >= due_at
    asked_at = now if renew else sight.asked_at
    moments = [due_at, renewal.warn_at(*life), renewal.critical_at(*life), sight.not_after]
    if asked_at is not None:
        moments.append(renewal.silent_at(asked_at, *life))
    if not sight.in_service:  # nobody tells when it is back
        moments.append(now + renewal.window(*life) / 8)
    concerns = _concerns(sight, now) if sight.in_service else {}
    return Judgement(renew, concerns, min(moment for moment in moments if moment > now))


def _concerns(sight: Sight, now: datetime) -> Concerns:
    life = sight.not_before, sight.not_after
    concerns = {}
    if now >= renewal.warn_at(*life):
        severity = Severity.CRITICAL if now >= renewal.critical_at(*life) else Severity.WARNING
        message = f"its certificate expires at {_text(sight.not_after)} and is not renewed"
        concerns[AlertKind.EXPIRING] = Concern(severity, message)
    if sight.asked_at is not None and _is_silent(sight, sight.asked_at, now):
        message = f"asked to rotate at {_text(sight.asked_at)} and not heard of since"
        concerns[AlertKind.SILENT] = Concern(Severity.WARNING, message)
    if sight.failure is not None and sight.failure.worries:
        kind, concern = _failed(sight.failure)
        concerns[kind] = concern
    return concerns


def _is_silent(sight: Sight, asked_at: datetime, now: datetime) -> bool:
    heard_since = sight.heard_at is not None and sight.heard_at > asked_at
    return not heard_since and now >= renewal.silent_at(asked_at, sight.not_before, sight.not_after)


def _failed(failure: Failure) -> tuple[AlertKind, Concern]:
    rolled_back = failure.last_state == RotationState.ROLLED_BACK
    kind = AlertKind.ROLLED_BACK if rolled_back else AlertKind.FAILED
    why = ": ".join(part for part in (failure.last_code, failure.last_message) if part) or "no reason given"
    message = f"its rotation was {failure.last_state.replace('_', ' ')} ({why}); {failure.count} so far"
    return kind, Concern(Severity.WARNING, message)


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%SZ}"
