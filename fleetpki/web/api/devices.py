# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Devices: find them, change them, throw them out and let them back in."""

import re
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, Field

from fleetpki import lifecycle
from fleetpki.errors import Code, NotFound, Rejected
from fleetpki.inputs import MAX_REENROLLMENT_MINUTES
from fleetpki.lifecycle import Context, authorities
from fleetpki.lifecycle.devices import UNCHANGED, update_device
from fleetpki.registry import pages, queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import DeviceState
from fleetpki.web.api.models import CertificateOut, DeviceOut, Page
from fleetpki.web.api.types import (
    CSR,
    AfterName,
    Body,
    DeviceId,
    Limit,
    Name,
    NameFilter,
    Pem,
    Reason,
    TagFilter,
    Time,
    example,
)
from fleetpki.web.problems import PreconditionFailed, refusals
from fleetpki.web.security import Ctx, Operator, Viewer

_ETAG = re.compile(r'"([0-9]{1,9})"')

#: Described by hand: who leaves it out is told so with a status of its own, 428.
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "schema": {"type": "string"},
    "description": "The ETag of the device you saw",
}

router = APIRouter(prefix="/devices", tags=["devices"])


class WithReason(Body):
    """Why something is done; kept in the registry and the audit chain."""

    model_config = example(reason="stolen")

    reason: Reason = "unspecified"


class DeviceChange(Body):
    """What to change; what is missing stays."""

    model_config = example(group="north", tags={"rack": "7"})

    group: Annotated[Name | None, Field(description="null: none")] = None
    tags: Annotated[dict[str, str] | None, Field(description="All it is to have; null: as they are")] = None


class Reenrollment(Body):
    """How long a device may enrol once more."""

    model_config = example(within_minutes=60)

    within_minutes: Annotated[int, Field(ge=1, le=MAX_REENROLLMENT_MINUTES)] = 60


class CertificationRequest(Body):
    """A key made elsewhere."""

    model_config = example(csr=CSR)

    csr: Annotated[Pem, Field(description="PKCS#10 in PEM; its common name is the device id")]


class Certified(BaseModel):
    """A certificate for a key made elsewhere."""

    certificate_id: str
    certificate: str
    chain: str


@router.get("", summary="List devices")
def list_devices(
    _caller: Viewer,
    ctx: Ctx,
    after: AfterName = None,
    limit: Limit = 100,
    state: DeviceState | None = None,
    group: NameFilter = None,
    batch: NameFilter = None,
    tag: TagFilter = None,
    prefix: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = None,
    expires_before: Time | None = None,
) -> Page[DeviceOut]:
    """A page of devices, by id, or by the end of their certificates; every filter narrows it down."""
    key, _, value = (tag or "").partition(":")
    with reading(ctx.sessions) as session:
        page = pages.devices(
            session,
            after=after,
            limit=limit,
            state=state,
            group=group,
            batch=batch,
            tag=(key, value) if tag else None,
            prefix=prefix,
            expires_before=expires_before,
        )
        certificates = pages.certificate_ids(session, page.rows)
    items = [DeviceOut.of(device, certificates.get(device.device_id)) for device in page.rows]
    return Page(items=items, next=page.next)


@router.get("/{device_id}", summary="Show a device")
def show_device(_caller: Viewer, ctx: Ctx, device_id: DeviceId, response: Response) -> DeviceOut:
    """A device and the certificate it works with. The ETag is for `If-Match` of a change."""
    return _shown(ctx, device_id, response)


@router.patch(
    "/{device_id}",
    summary="Change group or tags",
    responses=refusals(412, 428),
    openapi_extra={"parameters": [_IF_MATCH]},
)
def change_device(
    caller: Operator,
    ctx: Ctx,
    device_id: DeviceId,
    body: DeviceChange,
    response: Response,
    if_match: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> DeviceOut:
    """Change a device nobody has changed since you looked. Tags replace those it has."""
    if if_match is None:
        raise PreconditionFailed(428, "send If-Match with the device's ETag")
    seen = _ETAG.fullmatch(if_match)
    if seen is None:
        raise PreconditionFailed(412, "If-Match is no ETag of a device")
    group = body.group if "group" in body.model_fields_set else UNCHANGED
    try:
        update_device(ctx, device_id, version=int(seen[1]), group=group, tags=body.tags, actor=caller.actor)
    except Rejected as refusal:
        if refusal.code == Code.STALE:
            raise PreconditionFailed(412, refusal.message) from refusal
        raise
    return _shown(ctx, device_id, response)


@router.post("/{device_id}/suspend", summary="Suspend a device")
def suspend_device(caller: Operator, ctx: Ctx, device_id: DeviceId, body: WithReason) -> DeviceOut:
    """Keep a device out, at once, until it is resumed."""
    lifecycle.suspend_device(ctx, device_id, body.reason, actor=caller.actor)
    return _shown(ctx, device_id)


@router.post("/{device_id}/resume", summary="Resume a device")
def resume_device(caller: Operator, ctx: Ctx, device_id: DeviceId) -> DeviceOut:
    """Let a suspended device in again."""
    lifecycle.resume_device(ctx, device_id, actor=caller.actor)
    return _shown(ctx, device_id)


@router.post("/{device_id}/revoke", summary="Revoke a device")
def revoke_device(caller: Operator, ctx: Ctx, device_id: DeviceId, body: WithReason) -> DeviceOut:
    """Ban a device for good: its session ends, its certificates are revoked, it may not enrol again."""
    lifecycle.revoke_device(ctx, device_id, body.reason, actor=caller.actor)
    return _shown(ctx, device_id)


@router.post("/{device_id}/allow-reenrollment", summary="Let a device enrol again")
def allow_reenrollment(caller: Operator, ctx: Ctx, device_id: DeviceId, body: Reenrollment) -> DeviceOut:
    """Let a device that holds a live certificate enrol once more, say after a repair."""
    lifecycle.allow_reenrollment(ctx, device_id, timedelta(minutes=body.within_minutes), actor=caller.actor)
    return _shown(ctx, device_id)


@router.get("/{device_id}/certificates", summary="Certificates of a device")
def list_certificates(_caller: Viewer, ctx: Ctx, device_id: DeviceId) -> list[CertificateOut]:
    """All certificates a device ever had, oldest first."""
    with reading(ctx.sessions) as session:
        if queries.device(session, device_id) is None:
            raise NotFound(f"no device {device_id}")
        return [CertificateOut.model_validate(each) for each in queries.certificates(session, device_id)]


@router.post("/{device_id}/certificates", status_code=201, summary="Certify a key made elsewhere")
def issue(caller: Operator, ctx: Ctx, device_id: DeviceId, body: CertificationRequest) -> Certified:
    """Certify a key for a rotation that somebody else pushes; the same key again, the same answer."""
    certificate = lifecycle.issue_for(ctx, device_id, body.csr, actor=caller.actor)
    return Certified(
        certificate_id=certificate.signed_id,
        certificate=certificate.signed_pem,
        chain=authorities.chain(ctx, certificate),
    )


def _shown(ctx: Context, device_id: str, response: Response | None = None) -> DeviceOut:
    with reading(ctx.sessions) as session:
        device = queries.device(session, device_id)
        if device is None:
            raise NotFound(f"no device {device_id}")
        certificates = pages.certificate_ids(session, [device])
    if response is not None:
        response.headers["ETag"] = f'"{device.version}"'
    return DeviceOut.of(device, certificates.get(device_id))
