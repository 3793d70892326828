# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What the API answers with."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from fleetpki.registry.models import (
    ApiRole,
    AuthorityKind,
    AuthorityState,
    CampaignState,
    CertificateState,
    ClaimState,
    Device,
    DeviceState,
    Initiator,
    Role,
    Rotation,
    RotationMode,
    RotationState,
)

Entry = TypeVar("Entry")


class FromRegistry(BaseModel):
    """An answer whose fields are those of a row."""

    model_config = ConfigDict(from_attributes=True)


class Page(BaseModel, Generic[Entry]):
    """A part of a long list; short, even empty, when much had to be looked at that is not wanted."""

    items: list[Entry]
    next: Annotated[
        str | None, Field(description="Pass it as `after` to get the next page; none: the end")
    ] = None


def number(place: int | None) -> str | None:
    """The ``next`` of a list that is ordered by number."""
    return None if place is None else str(place)


class CertificateOut(FromRegistry):
    """A certificate."""

    certificate_id: str | None
    role: Role
    device_id: str | None
    common_name: str
    serial: str
    key_digest: str
    not_before: datetime
    not_after: datetime
    state: CertificateState
    issuer_id: str | None
    crl_partition: int | None
    batch: str | None
    recorded_at: datetime
    issued_at: datetime | None
    activated_at: datetime | None
    superseded_at: datetime | None
    revoked_at: datetime | None
    revocation_reason: str | None


class RotationOut(FromRegistry):
    """A rotation."""

    device_id: str
    rotation_id: str
    mode: RotationMode
    initiator: Initiator
    key: str
    state: RotationState
    old_certificate_id: str | None = None
    new_certificate_id: str | None = None
    campaign_id: str | None
    deadline: datetime | None
    created_at: datetime
    updated_at: datetime
    code: str | None
    message: str | None

    @classmethod
    def of(cls, rotation: Rotation, certificate_ids: Mapping[int | None, str | None]) -> "RotationOut":
        """Of a row, and the ids of its certificates by their keys."""
        out = cls.model_validate(rotation)
        out.old_certificate_id = certificate_ids[rotation.old_key]
        out.new_certificate_id = certificate_ids.get(rotation.new_key)
        return out


class DeviceOut(FromRegistry):
    """A device, and the certificate it works with."""

    device_id: str
    state: DeviceState
    group: str | None
    tags: dict[str, Any]
    batch: str | None
    hardware: dict[str, Any] | None
    generation: int | None
    created_at: datetime
    last_seen_at: datetime | None
    reenroll_until: datetime | None
    version: Annotated[int, Field(description="Changes with every change; the ETag")]
    certificate_id: str | None = None
    not_after: datetime | None

    @classmethod
    def of(cls, device: Device, certificate_id: str | None) -> "DeviceOut":
        """Of a device and the id of its active certificate."""
        out = cls.model_validate(device)
        out.certificate_id = certificate_id
        return out


class TokenOut(FromRegistry):
    """A token, without its secret."""

    name: str
    role: ApiRole
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None


class AuditEntryOut(FromRegistry):
    """An entry of the audit chain."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    previous: str
    hash: str


class BatchOut(FromRegistry):
    """A batch."""

    name: str
    enabled: bool
    open: bool
    proof: bool
    cloud_keys: bool
    budget: int | None
    rate_per_minute: int | None
    created_at: datetime


class AllowedOut(FromRegistry):
    """A line of the allow-list."""

    device_id: str
    batch: str | None
    group: str | None
    tags: dict[str, Any]
    certificate_id: str | None
    added_at: datetime


class ClaimOut(FromRegistry):
    """An enrolment that waits for a human, or did."""

    id: int
    device_id: str
    state: ClaimState
    key_digest: str | None
    sender: str
    claimed_at: datetime
    decided_at: datetime | None
    decided_by: str | None


class AlertOut(FromRegistry):
    """Something an operator should know, until it is over."""

    id: int
    kind: str
    subject: str
    severity: str
    message: str
    raised_at: datetime
    cleared_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None


class AuthorityOut(FromRegistry):
    """An authority; where its key is, is nobody's business."""

    authority_id: str
    kind: AuthorityKind
    name: str
    state: AuthorityState
    issuer_id: str | None
    crl_partitions: int
    not_before: datetime
    not_after: datetime
    created_at: datetime


class RevocationListOut(FromRegistry):
    """A revocation list; the list itself is on the public listener."""

    authority_id: str
    partition: int
    number: int
    this_update: datetime
    next_update: datetime


class CampaignOut(FromRegistry):
    """A campaign."""

    campaign_id: str
    state: CampaignState
    selector: dict[str, Any]
    key: str
    rate_per_minute: int
    failure_limit_percent: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    reason: str | None


class ProgressOut(FromRegistry):
    """How many of a campaign's devices are how far."""

    waiting: int
    under_way: int
    committed: int
    failed: int
    abandoned: int


class CampaignShown(CampaignOut):
    """A campaign, and how far it is."""

    progress: ProgressOut
