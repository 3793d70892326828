# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The registry's verdict on a connection; asked at every connect, so it only reads."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from fleetpki.lifecycle.context import Context
from fleetpki.lifecycle.parties import may_enroll
from fleetpki.lifecycle.possession import is_unproven
from fleetpki.lifecycle.terms import Verdict
from fleetpki.pki.identifiers import is_device_id
from fleetpki.registry import queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import LIVE_CERTIFICATE, Certificate, DeviceState, Role

_AT_WORK = "the device has a live certificate"


def verdict(ctx: Context, *, certificate_id: str, client_id: str) -> Verdict:
    """Whether the holder of a certificate may connect under a client id, and in which role."""
    with reading(ctx.sessions) as session:
        certificate = queries.certificate(session, certificate_id)
        if certificate is None:
            return Verdict(False, "", "unknown certificate")
        reason = (
            _objection_to_certificate(ctx, certificate)
            or _objection_to_device(session, certificate)
            or _OBJECTION_TO_NAME[certificate.role](ctx, session, certificate, client_id)
        )
    return Verdict(
        not reason,
        certificate.role,
        reason,
        unproven=is_unproven(certificate),
        is_claim=reason == _AT_WORK and certificate.role == Role.BOOTSTRAP,
    )


def _objection_to_certificate(ctx: Context, certificate: Certificate) -> str:
    if certificate.state not in LIVE_CERTIFICATE:
        return f"certificate {certificate.state}"
    if certificate.not_after <= ctx.clock():
        return "certificate expired"
    return ""


def _objection_to_device(session: Session, certificate: Certificate) -> str:
    device = queries.device(session, certificate.device_id) if certificate.device_id else None
    if device is not None and device.state != DeviceState.ACTIVE:
        return f"device {device.state}"
    return ""


# A broker has one space of client ids, and a new connection ends an older one with the same id. So nobody may
# take the name of a device at work: the shared bootstrap certificate could throw off the whole fleet.


def _as_device(_ctx: Context, _session: Session, certificate: Certificate, client_id: str) -> str:
    return "" if client_id == certificate.device_id else "client id is not the device's"


def _as_bootstrap(ctx: Context, session: Session, _certificate: Certificate, client_id: str) -> str:
    if not is_device_id(client_id):
        return "client id is no device id"
    return "" if may_enroll(ctx, session, client_id) else _AT_WORK


def _as_service(_ctx: Context, session: Session, _certificate: Certificate, client_id: str) -> str:
    return "client id is a device's" if queries.device(session, client_id) is not None else ""


def _as_person(_ctx: Context, _session: Session, _certificate: Certificate, _client_id: str) -> str:
    return "a person uses the API"


def _as_broker(_ctx: Context, _session: Session, _certificate: Certificate, _client_id: str) -> str:
    return "a broker is no client"


_OBJECTION_TO_NAME: dict[str, Callable[[Context, Session, Certificate, str], str]] = {
    Role.DEVICE: _as_device,
    Role.BOOTSTRAP: _as_bootstrap,
    Role.SERVICE: _as_service,
    Role.BROKER: _as_broker,
    Role.PERSON: _as_person,
}
