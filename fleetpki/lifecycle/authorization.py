# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The registry's verdict on a connection; asked at every connect, so it only reads."""

from fleetpki.lifecycle.context import Context
from fleetpki.lifecycle.terms import Verdict
from fleetpki.pki.identifiers import is_device_id
from fleetpki.registry import queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import LIVE_CERTIFICATE, Certificate, DeviceState, Role


def verdict(ctx: Context, *, certificate_id: str, client_id: str) -> Verdict:
    """Whether the holder of a certificate may connect under a client id, and in which role."""
    with reading(ctx.sessions) as session:
        certificate = queries.certificate(session, certificate_id)
        if certificate is None:
            return Verdict(False, "", "unknown certificate")
        device = queries.device(session, certificate.device_id) if certificate.device_id else None
    reason = _objection(ctx, certificate)
    if not reason and device is not None and device.state != DeviceState.ACTIVE:
        reason = f"device {device.state}"
    if not reason and not _may_be_called(certificate, client_id):
        reason = "client id does not fit the certificate"
    return Verdict(not reason, certificate.role, reason)


def _objection(ctx: Context, certificate: Certificate) -> str:
    if certificate.state not in LIVE_CERTIFICATE:
        return f"certificate {certificate.state}"
    if certificate.not_after <= ctx.clock():
        return "certificate expired"
    if certificate.role == Role.BROKER:
        return "a broker is no client"
    return ""


def _may_be_called(certificate: Certificate, client_id: str) -> bool:
    if certificate.role == Role.DEVICE:
        return client_id == certificate.device_id
    return certificate.role != Role.BOOTSTRAP or is_device_id(client_id)
