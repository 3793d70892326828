# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What the registry tells about the health of the cloud; each check is one finding."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from itertools import pairwise

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleetpki.lifecycle import revocation_lists
from fleetpki.lifecycle.context import Context
from fleetpki.registry import audit
from fleetpki.registry.database import reading
from fleetpki.registry.models import (
    IS_OF_CLOUD,
    Authority,
    AuthorityKind,
    AuthorityState,
    Batch,
    Certificate,
    CertificateState,
    OutboxMessage,
)

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_CLOCK_TOLERANCE = 5 * _MINUTE
_AUDIT_SAMPLE = 100

#: A list that was not renewed twice. What it lacks, a key mostly, OCSP lacks too, and its signers end sooner.
_LIST_IS_OLD = revocation_lists.VALIDITY - 2 * revocation_lists.REFRESH

#: As the index says it: a bound parameter would not let the database use that.


class Level(IntEnum):
    """How bad it is; the exit codes of monitoring plugins."""

    OK = 0
    WARNING = 1
    CRITICAL = 2


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    check: str
    level: Level
    message: str


def level_of(value: float | timedelta, warning: float | timedelta, critical: float | timedelta) -> Level:
    """How bad a value is that must not grow: warning and critical are where it begins to be so."""
    if value >= critical:  # type: ignore[operator]
        return Level.CRITICAL
    return Level.WARNING if value >= warning else Level.OK  # type: ignore[operator]


def left(until: datetime, now: datetime, warning: timedelta, critical: timedelta) -> Level:
    """How bad it is that only so much time is left."""
    return level_of(-(until - now), -warning, -critical)


def check_registry(ctx: Context) -> list[Finding]:
    """All that can be told from the registry."""
    with reading(ctx.sessions) as session:
        return [finding for check in _CHECKS for finding in check(ctx, session)]


def _audit(_ctx: Context, session: Session) -> Iterator[Finding]:
    newest = audit.newest(session, _AUDIT_SAMPLE)
    intact = all(entry["hash"] == audit.hash_of(entry) for entry in newest) and all(
        entry["previous"] == before["hash"] for before, entry in pairwise(newest)
    )
    if intact:
        head = f"{newest[-1]['seq']}:{newest[-1]['hash']}" if newest else "empty"
        yield Finding("audit", Level.OK, f"head {head}")
    else:
        message = f"one of the newest {len(newest)} entries was changed; see 'fleetpki audit verify'"
        yield Finding("audit", Level.CRITICAL, message)


def _clock(ctx: Context, session: Session) -> Iterator[Finding]:
    newest = audit.newest(session, 1)
    behind = newest[-1]["at"] - ctx.clock() if newest else timedelta(0)
    if behind > _CLOCK_TOLERANCE:
        message = f"our clock is {_text(behind)} behind the newest audit entry"
        yield Finding("clock", Level.CRITICAL, message)
    else:
        yield Finding("clock", Level.OK, "not behind what was recorded")


def _outbox(ctx: Context, session: Session) -> Iterator[Finding]:
    oldest, count = session.execute(select(func.min(OutboxMessage.created_at), func.count())).one()
    age = ctx.clock() - oldest if oldest else timedelta(0)
    level = level_of(age, 5 * _MINUTE, 30 * _MINUTE)
    yield Finding("outbox", level, f"{count} messages wait, the oldest for {_text(age)}")


def _monitor(ctx: Context, session: Session) -> Iterator[Finding]:
    oldest = session.scalar(select(func.min(Certificate.look_at)).where(Certificate.look_at.is_not(None)))
    late = max(timedelta(0), ctx.clock() - oldest) if oldest else timedelta(0)
    yield Finding("monitor", level_of(late, 15 * _MINUTE, 24 * 60 * _MINUTE), f"late by {_text(late)}")


def _authorities(ctx: Context, session: Session) -> Iterator[Finding]:
    now = ctx.clock()
    in_use = Authority.state.in_((AuthorityState.ACTIVE, AuthorityState.RETIRING))
    ours = select(Authority).where(in_use, Authority.kind != AuthorityKind.OCSP)
    found = session.scalars(ours.order_by(Authority.name)).all()
    if not any(each.kind == AuthorityKind.ISSUING and each.state == AuthorityState.ACTIVE for each in found):
        yield Finding("authorities", Level.CRITICAL, "none signs new certificates: activate an issuing one")
    for authority in found:
        warning, critical = _limits(ctx, authority)
        level = left(authority.not_after, now, warning, critical)
        message = f"valid until {authority.not_after:%Y-%m-%d}"
        yield Finding(f"authority {authority.name}", level, message)


def _limits(ctx: Context, authority: Authority) -> tuple[timedelta, timedelta]:
    """When somebody has to act: what an authority signs must not outlive it."""
    if authority.kind == AuthorityKind.ISSUING and authority.state == AuthorityState.ACTIVE:
        return ctx.policy.device_validity + 90 * _DAY, ctx.policy.device_validity
    return 180 * _DAY, 30 * _DAY


def _certificates_of_the_cloud(ctx: Context, session: Session) -> Iterator[Finding]:
    ours = select(Certificate).where(IS_OF_CLOUD).order_by(Certificate.id)
    newest = {  # a former one stays good for whoever still uses it, and nobody has to renew it
        (certificate.role, certificate.common_name): certificate
        for certificate in session.scalars(ours)
        if certificate.state == CertificateState.ACTIVE
    }
    for certificate in newest.values():
        level = left(certificate.not_after, ctx.clock(), 30 * _DAY, 7 * _DAY)
        message = f"valid until {certificate.not_after:%Y-%m-%d}"
        yield Finding(f"certificate {certificate.common_name}", level, message)


def _revocation_lists(ctx: Context, session: Session) -> Iterator[Finding]:
    for name, _, due in revocation_lists.oldest(ctx, session):
        level = left(due, ctx.clock(), _LIST_IS_OLD, timedelta(0))
        yield Finding(f"crl {name}", level, f"next update due {due:%Y-%m-%d %H:%MZ}")


def _batches(_ctx: Context, session: Session) -> Iterator[Finding]:
    names = session.scalars(
        select(Batch.name).where(Batch.enabled, Batch.open, ~Batch.proof).order_by(Batch.name)
    ).all()
    if names:
        message = f"anybody with their bootstrap certificate may enrol: {', '.join(names[:10])}"
        yield Finding("batches", Level.WARNING, message)
    else:
        yield Finding("batches", Level.OK, "none is open to everybody")


def _text(duration: timedelta) -> str:
    return str(timedelta(seconds=round(duration.total_seconds())))


_CHECKS: tuple[Callable[[Context, Session], Iterator[Finding]], ...] = (
    _audit,
    _clock,
    _outbox,
    _monitor,
    _authorities,
    _certificates_of_the_cloud,
    _revocation_lists,
    _batches,
)
