# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Long lists in pages: each begins where the one before ended, so all cost the same.

A page may have fewer entries than it could, even none, when many rows had to be looked at that are not
wanted: the list ends where ``next`` is None.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleetpki.errors import FleetError
from fleetpki.registry import certificate_walks, device_walks
from fleetpki.registry.models import (
    IS_ACTIVE_CERTIFICATE,
    IS_OPEN_ROTATION,
    OPEN_ROTATION,
    Alert,
    AllowedDevice,
    AuditEntry,
    Campaign,
    Certificate,
    CertificateState,
    Claim,
    ClaimState,
    Device,
    DeviceState,
    Role,
    Rotation,
    RotationState,
)
from fleetpki.registry.walks import Key, Range, Row, Values, Walk, best
from fleetpki.times import rfc3339

Place = TypeVar("Place")

_NONE: Values = {}
"""For conditions without parameters."""


@dataclass(frozen=True)
class Page(Generic[Row, Place]):
    """A part of a list, and the place the next one begins behind; None at the end."""

    rows: Sequence[Row]
    next: Place | None


def as_many(
    limit: int, after: Place | None, page: Callable[[Place | None, int], Page[Row, Place]]
) -> Page[Row, Place]:
    """Short pages one after another, for who would rather wait than ask again."""
    first = page(after, limit)
    rows, place = list(first.rows), first.next
    while place is not None and len(rows) < limit:
        following = page(place, limit - len(rows))
        rows += following.rows
        place = following.next
    return Page(rows, place)


def devices(
    session: Session,
    *,
    after: str | None,
    limit: int,
    state: DeviceState | None = None,
    group: str | None = None,
    batch: str | None = None,
    tag: tuple[str, str] | None = None,
    prefix: str | None = None,
    expires_before: datetime | None = None,
) -> Page[Device, str]:
    """Devices by id; those whose certificates end before a time by that, the first to end first."""
    wanted = device_walks.Wanted(state, group, batch, tag, prefix, expires_before)
    place: Key | None = None
    if after is not None:
        place = (after,) if expires_before is None else _time_and_id(after)
    stretch = wanted.walk(session, place).take(session, wanted.values, place, limit)
    if stretch.end is None or expires_before is None:
        return Page(stretch.found, None if stretch.end is None else stretch.end[0])
    at, device_id = stretch.end
    return Page(stretch.found, f"{rfc3339(at)}/{device_id}")


def _time_and_id(after: str) -> Key:
    """A place among devices by the end of their certificates; it stays where it is when one is renewed."""
    at, _, device_id = after.partition("/")
    try:
        return datetime.fromisoformat(at).astimezone(UTC), device_id
    except (ValueError, OverflowError) as error:
        raise FleetError(
            f"{after!r} is no place in a list by time", "pass on what came with the page before", exit_code=2
        ) from error


def certificate_ids(session: Session, found: Sequence[Device]) -> dict[str | None, str | None]:
    """What these devices work with, by device id."""
    query = select(Certificate.device_id, Certificate.certificate_id).where(
        Certificate.device_id.in_([device.device_id for device in found]), IS_ACTIVE_CERTIFICATE
    )
    return {device_id: certificate_id for device_id, certificate_id in session.execute(query)}  # noqa: C416


def certificates(
    session: Session,
    *,
    after: int | None,
    limit: int,
    device_id: str | None = None,
    state: CertificateState | None = None,
    role: Role | None = None,
    issuer_id: str | None = None,
    expires_before: datetime | None = None,
) -> Page[Certificate, int]:
    """Certificates, newest first; those that end before a time by that, the first to end first."""
    place: Key | None = None
    if after is not None:
        until = select(Certificate.not_after).where(Certificate.id == after)
        place = (after,) if expires_before is None else (session.scalar(until), after)
    wanted = certificate_walks.Wanted(device_id, state, role, issuer_id, expires_before)
    stretch = wanted.walk(session).take(session, wanted.values, place, limit)
    return Page(stretch.found, None if stretch.end is None else stretch.end[-1])


def rotations(
    session: Session,
    *,
    after: tuple[str, str] | None,
    limit: int,
    state: RotationState | None = None,
    is_open: bool = False,
    device_id: str | None = None,
    campaign_id: str | None = None,
) -> Page[Rotation, tuple[str, str]]:
    """Rotations by device and id, without their certificates."""
    states = [
        each for each in RotationState if state in (None, each) and (not is_open or each in OPEN_ROTATION)
    ]
    if not states:
        return Page([], None)
    rows: Range = select(Rotation.device_id, Rotation.rotation_id)
    if device_id is not None:
        of_campaign = [] if campaign_id is None else [Rotation.campaign_id == campaign_id]
        walk = Walk(
            Rotation,
            [rows.where(Rotation.device_id == device_id)],
            [Rotation.state.in_(states), *of_campaign],
        )
    elif campaign_id is not None:
        rows = rows.where(Rotation.campaign_id == campaign_id)
        walk = Walk(Rotation, [rows.where(Rotation.state == each) for each in states])
    elif state is not None:
        walk = Walk(Rotation, [rows.where(Rotation.state == each) for each in states])
    else:
        walk = Walk(Rotation, [rows.where(IS_OPEN_ROTATION) if is_open else rows])
    stretch = walk.take(session, _NONE, after, limit)
    return Page(stretch.found, None if stretch.end is None else (stretch.end[0], stretch.end[1]))


def rotated_ids(session: Session, found: Sequence[Rotation]) -> dict[int | None, str | None]:
    """The ids of the certificates these rotations are about, by key."""
    keys = {key for rotation in found for key in (rotation.old_key, rotation.new_key)}
    query = select(Certificate.id, Certificate.certificate_id).where(Certificate.id.in_(keys))
    return {key: certificate_id for key, certificate_id in session.execute(query)}  # noqa: C416


def claims(
    session: Session, *, after: int | None, limit: int, state: ClaimState | None = None
) -> Page[Claim, int]:
    """Enrolments in quarantine, newest first."""
    rows = select(Claim.id)
    walk = Walk(Claim, [rows if state is None else rows.where(Claim.state == state)], backwards=True)
    return _numbered(session, walk, after, limit)


def allowed_devices(session: Session, *, after: str | None, limit: int) -> Page[AllowedDevice, str]:
    """The allow-list by device id."""
    return _named(session, Walk(AllowedDevice, [select(AllowedDevice.device_id)]), after, limit)


def alerts(session: Session, *, after: int | None, limit: int, is_open: bool = False) -> Page[Alert, int]:
    """Alerts, newest first."""
    rows = select(Alert.id)
    walk = Walk(Alert, [rows.where(Alert.cleared_at.is_(None)) if is_open else rows], backwards=True)
    return _numbered(session, walk, after, limit)


def campaigns(session: Session, *, after: str | None, limit: int) -> Page[Campaign, str]:
    """Campaigns by id."""
    return _named(session, Walk(Campaign, [select(Campaign.campaign_id)]), after, limit)


def audit_entries(
    session: Session,
    *,
    after: int | None,
    limit: int,
    subject: str | None = None,
    actor: str | None = None,
) -> Page[AuditEntry, int]:
    """The audit chain, newest first."""
    rows = select(AuditEntry.seq)
    conditions = [
        column == value
        for column, value in ((AuditEntry.subject, subject), (AuditEntry.actor, actor))
        if value is not None
    ]
    walks = [
        Walk(
            AuditEntry, [rows.where(each)], [test for test in conditions if test is not each], backwards=True
        )
        for each in conditions
    ]
    walk = best(session, walks or [Walk(AuditEntry, [rows], backwards=True)], {})
    return _numbered(session, walk, after, limit)


def _numbered(session: Session, walk: Walk[Row], after: int | None, limit: int) -> Page[Row, int]:
    stretch = walk.take(session, _NONE, None if after is None else (after,), limit)
    return Page(stretch.found, None if stretch.end is None else stretch.end[0])


def _named(session: Session, walk: Walk[Row], after: str | None, limit: int) -> Page[Row, str]:
    stretch = walk.take(session, _NONE, None if after is None else (after,), limit)
    return Page(stretch.found, None if stretch.end is None else stretch.end[0])
