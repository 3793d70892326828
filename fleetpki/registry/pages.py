# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Long lists in pages: each begins after the last entry of the one before, so all cost the same."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, text, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from fleetpki.registry.models import (
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
    DeviceTag,
    Role,
    Rotation,
    RotationState,
)

#: As the index says it: with that the few certificates of others are found among those of devices.
_OF_OTHERS = text("certificates.role <> 'device'")


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
) -> Sequence[Device]:
    """Devices by id; those whose certificates end before a time by that, the first to end first."""
    query = _only(select(Device), {Device.state: state, Device.group: group, Device.batch: batch})
    if prefix is not None:
        query = query.where(Device.device_id < prefix + "\x7f")
        if after is None or after < prefix:  # of two beginnings a database may choose the one far away
            query = query.where(Device.device_id >= prefix)
    key: Any = Device.device_id
    if tag is not None:
        query = query.join(DeviceTag, DeviceTag.device_id == Device.device_id)
        query = query.where(DeviceTag.key == tag[0], DeviceTag.value == tag[1])
        key = DeviceTag.device_id
    if expires_before is not None:
        return session.scalars(_by_expiry(query, expires_before, after).limit(limit)).all()
    if after is not None:
        query = query.where(key > after)
    return session.scalars(query.order_by(key).limit(limit)).all()


def _by_expiry(query: Select[Any], before: datetime, after: str | None) -> Select[Any]:
    position = tuple_(Certificate.not_after, Certificate.id)
    query = query.join(Certificate, Certificate.device_id == Device.device_id).where(
        Certificate.state == CertificateState.ACTIVE, Certificate.not_after < before
    )
    if after is not None:
        reached = aliased(Certificate)
        query = query.where(
            position
            > select(reached.not_after, reached.id)
            .where(reached.device_id == after, reached.state == CertificateState.ACTIVE)
            .scalar_subquery()
        )
    return query.order_by(Certificate.not_after, Certificate.id)


def active_certificates(session: Session, found: Sequence[Device]) -> dict[str | None, Certificate]:
    """What these devices work with, by device id."""
    query = select(Certificate).where(
        Certificate.device_id.in_([device.device_id for device in found]),
        Certificate.state == CertificateState.ACTIVE,
    )
    return {certificate.device_id: certificate for certificate in session.scalars(query)}


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
) -> Sequence[Certificate]:
    """Certificates, newest first."""
    wanted = {
        Certificate.device_id: device_id,
        Certificate.state: state,
        Certificate.role: role,
        Certificate.issuer_id: issuer_id,
    }
    query = _only(select(Certificate), wanted)
    if role is not None and role != Role.DEVICE:
        query = query.where(_OF_OTHERS)
    if expires_before is not None:
        query = query.where(Certificate.not_after < expires_before)
    return session.scalars(_newest_first(query, Certificate.id, after).limit(limit)).all()


def rotations(
    session: Session,
    *,
    after: tuple[str, str] | None,
    limit: int,
    state: RotationState | None = None,
    is_open: bool = False,
    device_id: str | None = None,
    campaign_id: str | None = None,
) -> Sequence[Rotation]:
    """Rotations by device and id."""
    wanted = {Rotation.state: state, Rotation.device_id: device_id, Rotation.campaign_id: campaign_id}
    query = _only(select(Rotation), wanted)
    if is_open:
        query = query.where(Rotation.state.in_(OPEN_ROTATION))
    if after is not None:
        query = query.where(tuple_(Rotation.device_id, Rotation.rotation_id) > after)
    return session.scalars(query.order_by(Rotation.device_id, Rotation.rotation_id).limit(limit)).all()


def claims(
    session: Session, *, after: int | None, limit: int, state: ClaimState | None = None
) -> Sequence[Claim]:
    """Enrolments in quarantine, newest first."""
    query = _newest_first(_only(select(Claim), {Claim.state: state}), Claim.id, after)
    return session.scalars(query.limit(limit)).all()


def allowed_devices(session: Session, *, after: str | None, limit: int) -> Sequence[AllowedDevice]:
    """The allow-list by device id."""
    query = select(AllowedDevice)
    if after is not None:
        query = query.where(AllowedDevice.device_id > after)
    return session.scalars(query.order_by(AllowedDevice.device_id).limit(limit)).all()


def alerts(session: Session, *, after: int | None, limit: int, is_open: bool = False) -> Sequence[Alert]:
    """Alerts, newest first."""
    query = select(Alert)
    if is_open:
        query = query.where(Alert.cleared_at.is_(None))
    return session.scalars(_newest_first(query, Alert.id, after).limit(limit)).all()


def campaigns(session: Session, *, after: str | None, limit: int) -> Sequence[Campaign]:
    """Campaigns by id."""
    query = select(Campaign)
    if after is not None:
        query = query.where(Campaign.campaign_id > after)
    return session.scalars(query.order_by(Campaign.campaign_id).limit(limit)).all()


def audit_entries(
    session: Session,
    *,
    after: int | None,
    limit: int,
    subject: str | None = None,
    actor: str | None = None,
) -> Sequence[AuditEntry]:
    """The audit chain, newest first."""
    query = _only(select(AuditEntry), {AuditEntry.subject: subject, AuditEntry.actor: actor})
    return session.scalars(_newest_first(query, AuditEntry.seq, after).limit(limit)).all()


def _only(query: Select[Any], wanted: dict[Any, Any]) -> Select[Any]:
    """Only what has these values; None is any."""
    return query.where(*(column == value for column, value in wanted.items() if value is not None))


def _newest_first(query: Select[Any], key: InstrumentedAttribute[int], after: int | None) -> Select[Any]:
    if after is not None:
        query = query.where(key < after)
    return query.order_by(key.desc())
