# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Devices, the batches they were made in, and who may become one."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from fleetpki.registry.models.base import ORDERED_ID, Base, at_most_one


class DeviceState(StrEnum):
    """Whether a device may take part."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


class ClaimState(StrEnum):
    """What became of a claim that waits for a human."""

    WAITING = "waiting"
    APPROVED = "approved"
    DENIED = "denied"
    USED = "used"
    REPLACED = "replaced"


class Batch(Base):
    """Devices that leave the factory with one bootstrap certificate, and what that is good for."""

    __tablename__ = "batches"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    enabled: Mapped[bool]
    open: Mapped[bool]
    """Whether devices that are not on the allow-list may enrol."""
    proof: Mapped[bool]
    """Whether a device must prove that it holds its factory secret."""
    cloud_keys: Mapped[bool]
    """Whether a device that sends no request gets a key made here."""
    budget: Mapped[int | None]
    """How many devices may ever enrol."""
    rate_per_minute: Mapped[int | None]
    """How many certificates may be made for them in a minute."""
    created_at: Mapped[datetime]


class Device(Base):
    """A device that has enrolled."""

    __tablename__ = "devices"

    device_id: Mapped[str] = mapped_column(ORDERED_ID, primary_key=True)
    state: Mapped[DeviceState]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]
    generation: Mapped[int | None]
    hardware: Mapped[dict[str, Any] | None]
    trust_version: Mapped[int | None]
    """The trust anchors it says it uses."""
    trust_sent: Mapped[int] = mapped_column(default=0, index=True)
    """The newest ones it was sent."""
    batch: Mapped[str | None] = mapped_column(ForeignKey("batches.name"))
    group: Mapped[str | None] = mapped_column(String(64))
    tags: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Written by ``registry.tags``, which also writes the rows they are found by."""
    version: Mapped[int] = mapped_column()
    reenroll_until: Mapped[datetime | None]
    not_after: Mapped[datetime | None]
    """The end of the certificate it works with, to find devices by; written by ``lifecycle.transitions``."""

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's declaration


class DeviceTag(Base):
    """A tag of a device, as devices are found by it."""

    __tablename__ = "device_tags"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(64), primary_key=True)
    device_id: Mapped[str] = mapped_column(ForeignKey("devices.device_id"), primary_key=True, index=True)


class AllowedDevice(Base):
    """A line of the allow-list: a device that may enrol, and what it is to be then."""

    __tablename__ = "allowed_devices"

    device_id: Mapped[str] = mapped_column(ORDERED_ID, primary_key=True)
    batch: Mapped[str | None] = mapped_column(ForeignKey("batches.name"))
    group: Mapped[str | None] = mapped_column(String(64))
    tags: Mapped[dict[str, Any]] = mapped_column(default=dict)
    certificate_id: Mapped[str | None] = mapped_column(String(64))
    """The one bootstrap certificate it may enrol with."""
    added_at: Mapped[datetime]


class Claim(Base):
    """An attempt in quarantine: somebody claims to be a device that already has a certificate."""

    __tablename__ = "claims"

    id: Mapped[int] = mapped_column(primary_key=True)
    device_id: Mapped[str] = mapped_column(ForeignKey("devices.device_id"), index=True)
    state: Mapped[ClaimState]
    key_digest: Mapped[str | None] = mapped_column(String(64))
    """The key to be certified; unknown when the broker has refused the connection."""
    sender: Mapped[str] = mapped_column(String(64))
    claimed_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]


Index("devices_by_state", Device.state, Device.device_id)
Index("devices_by_group", Device.group, Device.state, Device.device_id)
Index("devices_by_batch", Device.batch, Device.state, Device.device_id)
_AT_WORK = text("not_after IS NOT NULL")
for _name, _columns in (
    ("devices_by_expiry", ()),
    ("devices_by_group_and_expiry", (Device.group,)),
    ("devices_by_batch_and_expiry", (Device.batch,)),
):
    Index(
        _name,
        *_columns,
        Device.state,
        Device.not_after,
        Device.device_id,
        sqlite_where=_AT_WORK,
        postgresql_where=_AT_WORK,
    )
Index("claims_by_state", Claim.state, Claim.id)
at_most_one("one_waiting_claim", Claim.device_id, (ClaimState.WAITING,))
