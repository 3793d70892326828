# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The rules: enrol, rotate, revoke, authorise. Knows no MQTT and no HTTP.

Every rule is one synchronous, transactional, repeatable function of a ``Context``. What has to be sent
because of it goes to the outbox; what is refused raises ``Rejected``.
"""

from fleetpki.lifecycle.access import (
    Principal,
    create_token,
    principal_with_certificate,
    principal_with_token,
    record_refusal,
    revoke_token,
    tokens,
)
from fleetpki.lifecycle.allow_list import AllowedEntry, allow_devices, allowed_devices, disallow_devices
from fleetpki.lifecycle.authorization import verdict
from fleetpki.lifecycle.batches import BatchPolicy, change_batch, create_batch, list_batches
from fleetpki.lifecycle.context import Context, Policy, utc_now
from fleetpki.lifecycle.devices import update_device
from fleetpki.lifecycle.enrollment import allow_reenrollment, enroll
from fleetpki.lifecycle.first_enrollments import enroll_newcomers
from fleetpki.lifecycle.housekeeping import collect_unactivated
from fleetpki.lifecycle.possession import prove_possession
from fleetpki.lifecycle.quarantine import approve_claim, deny_claim, record_claim
from fleetpki.lifecycle.reenrollment import reenroll
from fleetpki.lifecycle.registration import register_hierarchy
from fleetpki.lifecycle.revocation import resume_device, revoke_certificate, revoke_device, suspend_device
from fleetpki.lifecycle.rotation import (
    abandon_rotation,
    answer_csr,
    issue_for,
    push_rotation,
    start_rotation,
)
from fleetpki.lifecycle.status import record_status
from fleetpki.lifecycle.terms import (
    Applicant,
    Application,
    DeviceStatus,
    Enrolled,
    Issued,
    KeyRequest,
    PushedCredential,
    StatusState,
    Verdict,
)

__all__ = [
    "AllowedEntry",
    "Applicant",
    "Application",
    "BatchPolicy",
    "Context",
    "DeviceStatus",
    "Enrolled",
    "Issued",
    "KeyRequest",
    "Policy",
    "Principal",
    "PushedCredential",
    "StatusState",
    "Verdict",
    "abandon_rotation",
    "allow_devices",
    "allow_reenrollment",
    "allowed_devices",
    "answer_csr",
    "approve_claim",
    "change_batch",
    "collect_unactivated",
    "create_batch",
    "create_token",
    "deny_claim",
    "disallow_devices",
    "enroll",
    "enroll_newcomers",
    "issue_for",
    "list_batches",
    "principal_with_certificate",
    "principal_with_token",
    "prove_possession",
    "push_rotation",
    "record_claim",
    "record_refusal",
    "record_status",
    "reenroll",
    "register_hierarchy",
    "resume_device",
    "revoke_certificate",
    "revoke_device",
    "revoke_token",
    "start_rotation",
    "suspend_device",
    "tokens",
    "update_device",
    "utc_now",
    "verdict",
]
