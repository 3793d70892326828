# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The allow-list, and claims that wait for a human."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from fleetpki.inputs import MAX_NUMBER
from fleetpki.lifecycle import allow_list, quarantine
from fleetpki.lifecycle.allow_list import AllowedEntry
from fleetpki.registry import pages
from fleetpki.registry.database import reading
from fleetpki.registry.models import ClaimState
from fleetpki.web.api.models import AllowedOut, ClaimOut, Page, number
from fleetpki.web.api.types import After, AfterName, Body, DeviceId, Limit, Name, example
from fleetpki.web.security import Ctx, Operator, Viewer

_MAX_ENTRIES = 5000

ClaimId = Annotated[int, Path(ge=1, le=MAX_NUMBER)]

router = APIRouter(tags=["enrolment"])


class Allowed(Body):
    """A line of the allow-list."""

    model_config = example(device_id="sensor-1", batch="autumn", group="north", tags={"rack": "7"})

    device_id: Name
    batch: Name | None = None
    group: Name | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    certificate_id: Annotated[
        str | None, Field(description="The one bootstrap certificate it may enrol with")
    ] = None


class Changed(BaseModel):
    """How many lines are other than before."""

    changed: int


@router.get("/allow-list", summary="List allowed devices")
def list_allowed(_caller: Viewer, ctx: Ctx, after: AfterName = None, limit: Limit = 100) -> Page[AllowedOut]:
    """A page of the allow-list, by device id."""
    with reading(ctx.sessions) as session:
        page = pages.allowed_devices(session, after=after, limit=limit)
    items = [AllowedOut.model_validate(line) for line in page.rows]
    return Page(items=items, next=page.next)


@router.post("/allow-list", summary="Allow devices")
def allow(
    caller: Operator, ctx: Ctx, body: Annotated[list[Allowed], Field(max_length=_MAX_ENTRIES)]
) -> Changed:
    """Add lines, or replace those of the same devices. The same again changes nothing."""
    entries = [AllowedEntry(**line.model_dump()) for line in body]
    return Changed(changed=allow_list.allow_devices(ctx, entries, actor=caller.actor))


@router.delete("/allow-list/{device_id}", summary="Take a device off the list")
def disallow(caller: Operator, ctx: Ctx, device_id: DeviceId) -> Changed:
    """Remove a line; a device that has enrolled stays what it is."""
    return Changed(changed=allow_list.disallow_devices(ctx, [device_id], actor=caller.actor))


@router.get("/claims", summary="List claims in quarantine")
def list_claims(
    _caller: Viewer, ctx: Ctx, after: After = None, limit: Limit = 100, state: ClaimState | None = None
) -> Page[ClaimOut]:
    """Who claims to be a device that is at work already; newest first."""
    with reading(ctx.sessions) as session:
        page = pages.claims(session, after=after, limit=limit, state=state)
    items = [ClaimOut.model_validate(claim) for claim in page.rows]
    return Page(items=items, next=number(page.next))


@router.post("/claims/{claim_id}/approve", summary="Approve a claim")
def approve(caller: Operator, ctx: Ctx, claim_id: ClaimId) -> ClaimOut:
    """Let the claimant be the device: its next request is answered."""
    return ClaimOut.model_validate(quarantine.approve_claim(ctx, claim_id, actor=caller.actor))


@router.post("/claims/{claim_id}/deny", summary="Deny a claim")
def deny(caller: Operator, ctx: Ctx, claim_id: ClaimId) -> ClaimOut:
    """Turn the claimant away: a key for good, a refused connection for a day."""
    return ClaimOut.model_validate(quarantine.deny_claim(ctx, claim_id, actor=caller.actor))
