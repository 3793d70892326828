# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The fleet in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleetpki.registry.models import (
    OPEN_ROTATION,
    Certificate,
    CertificateState,
    Claim,
    ClaimState,
    Device,
    DeviceState,
    Rotation,
)


@dataclass(frozen=True)
class Overview:
    """How many there are of what matters."""

    devices: dict[DeviceState, int]
    open_rotations: int
    waiting_claims: int

    @property
    def total(self) -> int:
        """All devices."""
        return sum(self.devices.values())


@dataclass(frozen=True)
class Expiring:
    """How many certificates at work end between two times."""

    since: datetime
    until: datetime
    count: int


def overview(session: Session) -> Overview:
    """Count what is there."""
    by_state = session.execute(select(Device.state, func.count()).group_by(Device.state))
    states = {state: count for state, count in by_state}  # noqa: C416 - rows are no pairs to the type checker
    rotations = select(func.count()).select_from(Rotation).where(Rotation.state.in_(OPEN_ROTATION))
    claims = select(func.count()).select_from(Claim).where(Claim.state == ClaimState.WAITING)
    return Overview(
        devices={state: states.get(state, 0) for state in DeviceState},
        open_rotations=session.scalar(rotations) or 0,
        waiting_claims=session.scalar(claims) or 0,
    )


def expiring(session: Session, now: datetime, weeks: int) -> Sequence[Expiring]:
    """The certificates at work by the week they end in, beginning now."""
    starts = [now + timedelta(weeks=week) for week in range(weeks)]
    return [_ending(session, start, start + timedelta(weeks=1)) for start in starts]


def _ending(session: Session, since: datetime, until: datetime) -> Expiring:
    query = (
        select(func.count())
        .select_from(Certificate)
        .where(
            Certificate.state == CertificateState.ACTIVE,
            Certificate.not_after >= since,
            Certificate.not_after < until,
        )
    )
    return Expiring(since, until, session.scalar(query) or 0)
