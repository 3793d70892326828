# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Which devices a campaign is for."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session

from fleetpki.registry.models import (
    OPEN_ROTATION,
    Campaign,
    Certificate,
    CertificateState,
    Device,
    DeviceState,
    DeviceTag,
    Rotation,
)

_CHUNK = 500


class Selector(BaseModel):
    """Devices for which all of this holds; without anything, all devices."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str | None = None
    tags: dict[str, str] = {}
    batch: str | None = None
    issuer_id: str | None = None
    """The authority that signed the certificate the device works with."""
    device_ids: Annotated[list[str], Field(max_length=1_000_000)] | None = None
    expires_before: AwareDatetime | None = None

    def to_json(self) -> dict[str, Any]:
        """What is set."""
        return self.model_dump(mode="json", exclude_defaults=True)


def selector_of(campaign: Campaign) -> Selector:
    """The devices of a campaign."""
    return Selector.model_validate(campaign.selector)


def waiting(session: Session, campaign: Campaign, now: datetime, limit: int) -> list[str]:
    """Devices that have not had their turn and could take it now."""
    found: list[str] = []
    for query in _queries(campaign, now):
        idle = query.where(~_rotation_exists(Rotation.state.in_(OPEN_ROTATION)))
        found += session.scalars(idle.order_by(Device.device_id).limit(limit - len(found)))
        if len(found) >= limit:
            break
    return found


def count_waiting(session: Session, campaign: Campaign, now: datetime) -> int:
    """How many devices have not had their turn."""
    counts = (query.with_only_columns(func.count()) for query in _queries(campaign, now))
    return sum(session.scalar(count) or 0 for count in counts)


def _queries(campaign: Campaign, now: datetime) -> Iterator[Select[Any]]:
    """The devices of a campaign without a rotation in it; ids named one by one are asked for in pieces."""
    selector = selector_of(campaign)
    in_it = _rotation_exists(Rotation.campaign_id == campaign.campaign_id)
    query = select(Device.device_id).where(
        Device.state == DeviceState.ACTIVE, Device.not_after > now, *_conditions(selector), ~in_it
    )
    if selector.device_ids is None:
        yield query
        return
    ids = sorted(set(selector.device_ids))
    for start in range(0, len(ids), _CHUNK):
        yield query.where(Device.device_id.in_(ids[start : start + _CHUNK]))


def _conditions(selector: Selector) -> Iterator[ColumnElement[bool]]:
    if selector.group is not None:
        yield Device.group == selector.group
    if selector.batch is not None:
        yield Device.batch == selector.batch
    for name, value in selector.tags.items():
        yield _has_tag(name, value)
    if selector.issuer_id is not None:
        yield _has_certificate_of(selector.issuer_id)
    if selector.expires_before is not None:
        yield Device.not_after < selector.expires_before


def _has_tag(key: str, value: str) -> ColumnElement[bool]:
    tagged = select(DeviceTag.device_id).where(DeviceTag.key == key, DeviceTag.value == value)
    return Device.device_id.in_(tagged)


def _has_certificate_of(issuer_id: str) -> ColumnElement[bool]:
    active = select(Certificate.id).where(
        Certificate.device_id == Device.device_id,
        Certificate.state == CertificateState.ACTIVE,
        Certificate.issuer_id == issuer_id,
    )
    return active.correlate(Device).exists()


def _rotation_exists(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    of_the_device = and_(Rotation.device_id == Device.device_id, condition)
    return select(Rotation.device_id).where(of_the_device).correlate(Device).exists()
