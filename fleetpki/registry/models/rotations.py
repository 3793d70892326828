# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Rotations, and the campaigns they belong to."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetpki.registry.models.base import ORDERED_ID, Base, at_most_one, in_state
from fleetpki.registry.models.certificates import Certificate


class RotationState(StrEnum):
    """The life of a rotation."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    ISSUED = "issued"
    STAGED = "staged"
    COMMITTING = "committing"
    COMMITTED = "committed"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"
    ABANDONED = "abandoned"


OPEN_ROTATION = (
    RotationState.REQUESTED,
    RotationState.ACCEPTED,
    RotationState.ISSUED,
    RotationState.STAGED,
    RotationState.COMMITTING,
)


class RotationMode(StrEnum):
    """Who makes the new key: the device (csr) or somebody else (push)."""

    CSR = "csr"
    PUSH = "push"


class Initiator(StrEnum):
    """Who asked for a rotation."""

    OPERATOR = "operator"
    DEVICE = "device"
    MONITOR = "monitor"


class CampaignState(StrEnum):
    """The life of a campaign; one that sees too many failures pauses itself."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class Campaign(Base):
    """The rotation of many devices, spread over time."""

    __tablename__ = "campaigns"

    campaign_id: Mapped[str] = mapped_column(ORDERED_ID, primary_key=True)
    state: Mapped[CampaignState]
    selector: Mapped[dict[str, Any]]
    """Which devices: any of group, tags, batch, issuer_id, device_ids, expires_before."""
    key: Mapped[str] = mapped_column(String(16))
    rate_per_minute: Mapped[int]
    failure_limit_percent: Mapped[int]
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    updated_at: Mapped[datetime]
    reason: Mapped[str | None]


class Rotation(Base):
    """One replacement of a device's certificate. Ids made by devices are unique per device only."""

    __tablename__ = "rotations"

    device_id: Mapped[str] = mapped_column(ForeignKey("devices.device_id"), primary_key=True)
    rotation_id: Mapped[str] = mapped_column(ORDERED_ID, primary_key=True)
    asked_as: Mapped[str | None] = mapped_column(String(64))
    """The id the cloud gave it, when the device began by itself and gave it another."""
    mode: Mapped[RotationMode]
    initiator: Mapped[Initiator]
    key: Mapped[str] = mapped_column(String(16))
    state: Mapped[RotationState]
    old_key: Mapped[int] = mapped_column(ForeignKey("certificates.id"))
    new_key: Mapped[int | None] = mapped_column(ForeignKey("certificates.id"), index=True)
    campaign_id: Mapped[str | None] = mapped_column(ForeignKey("campaigns.campaign_id"))
    deadline: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    code: Mapped[str | None]
    message: Mapped[str | None]
    repeat_at: Mapped[datetime | None]
    """When the last message is said again, should the device not have answered by then."""
    repeats: Mapped[int] = mapped_column(default=0)

    old: Mapped[Certificate] = relationship(foreign_keys=[old_key], lazy="joined")
    new: Mapped[Certificate | None] = relationship(foreign_keys=[new_key], lazy="joined")


IS_OPEN_ROTATION = in_state(OPEN_ROTATION, "rotations")

at_most_one("one_open_rotation", Rotation.device_id, OPEN_ROTATION)
Index("rotations_by_state", Rotation.state, Rotation.device_id, Rotation.rotation_id)
_OF_CAMPAIGN = text("campaign_id IS NOT NULL")
Index(
    "rotations_by_campaign",
    Rotation.campaign_id,
    Rotation.state,
    Rotation.device_id,
    Rotation.rotation_id,
    sqlite_where=_OF_CAMPAIGN,
    postgresql_where=_OF_CAMPAIGN,
)
Index(
    "rotations_by_campaign_and_time",
    Rotation.campaign_id,
    Rotation.created_at,
    sqlite_where=_OF_CAMPAIGN,
    postgresql_where=_OF_CAMPAIGN,
)
_REPEATED = text("repeat_at IS NOT NULL")
Index("rotations_by_repeat", Rotation.repeat_at, sqlite_where=_REPEATED, postgresql_where=_REPEATED)
