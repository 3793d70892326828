# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The tables."""

from fleetpki.registry.models.base import Base, UtcDateTime
from fleetpki.registry.models.certificates import (
    IS_ACTIVE_CERTIFICATE,
    IS_OF_CLOUD,
    LIVE_CERTIFICATE,
    PENDING_CERTIFICATE,
    Authority,
    AuthorityKind,
    AuthorityState,
    Certificate,
    CertificateState,
    RevocationList,
    Role,
)
from fleetpki.registry.models.devices import (
    AllowedDevice,
    Batch,
    Claim,
    ClaimState,
    Device,
    DeviceState,
    DeviceTag,
)
from fleetpki.registry.models.messages import AuditEntry, OutboxKind, OutboxMessage
from fleetpki.registry.models.operators import Alert, AlertEvent, AlertNotice, ApiRole, ApiToken
from fleetpki.registry.models.rotations import (
    IS_OPEN_ROTATION,
    OPEN_ROTATION,
    Campaign,
    CampaignState,
    Initiator,
    Rotation,
    RotationMode,
    RotationState,
)
from fleetpki.registry.models.trust import TrustDocument

__all__ = [
    "IS_ACTIVE_CERTIFICATE",
    "IS_OF_CLOUD",
    "IS_OPEN_ROTATION",
    "LIVE_CERTIFICATE",
    "OPEN_ROTATION",
    "PENDING_CERTIFICATE",
    "Alert",
    "AlertEvent",
    "AlertNotice",
    "AllowedDevice",
    "ApiRole",
    "ApiToken",
    "AuditEntry",
    "Authority",
    "AuthorityKind",
    "AuthorityState",
    "Base",
    "Batch",
    "Campaign",
    "CampaignState",
    "Certificate",
    "CertificateState",
    "Claim",
    "ClaimState",
    "Device",
    "DeviceState",
    "DeviceTag",
    "Initiator",
    "OutboxKind",
    "OutboxMessage",
    "RevocationList",
    "Role",
    "Rotation",
    "RotationMode",
    "RotationState",
    "TrustDocument",
    "UtcDateTime",
]
