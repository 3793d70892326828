# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Rotations: start them, push a key, follow them."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from fleetpki import lifecycle
from fleetpki.errors import NotFound
from fleetpki.lifecycle import Context, KeyRequest
from fleetpki.mqtt.pushed_key import push_new_key
from fleetpki.registry import pages, queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import RotationState
from fleetpki.web.api.models import Page, RotationOut
from fleetpki.web.api.types import Body, DeviceId, Limit, NameFilter, RotationId, Time, example
from fleetpki.web.security import Ctx, Operator, Viewer

router = APIRouter(tags=["rotations"])


class RotationRequest(Body):
    """What a device is asked for."""

    model_config = example(key="rsa-2048", deadline="2027-01-01T00:00:00Z")

    key: KeyRequest = KeyRequest.EC_P256
    deadline: Time | None = None


class PushRequest(Body):
    """The key to make here and send."""

    model_config = example(key="ec-p256")

    key: KeyRequest = KeyRequest.EC_P256


@router.get("/rotations", summary="List rotations")
def list_rotations(
    _caller: Viewer,
    ctx: Ctx,
    after: Annotated[str | None, Query(pattern=r"^[^/\x00-\x1f]{1,64}/[^\x00-\x1f]{1,64}$")] = None,
    limit: Limit = 100,
    state: RotationState | None = None,
    is_open: Annotated[bool, Query(alias="open", description="Only those under way")] = False,
    device_id: NameFilter = None,
    campaign_id: NameFilter = None,
) -> Page[RotationOut]:
    """A page of rotations, by device; every filter narrows it down."""
    device, _, rotation = (after or "").partition("/")
    with reading(ctx.sessions) as session:
        page = pages.rotations(
            session,
            after=(device, rotation) if after else None,
            limit=limit,
            state=state,
            is_open=is_open,
            device_id=device_id,
            campaign_id=campaign_id,
        )
        certificate_ids = pages.rotated_ids(session, page.rows)
    following = None if page.next is None else "/".join(page.next)
    return Page(items=[RotationOut.of(each, certificate_ids) for each in page.rows], next=following)


@router.get("/devices/{device_id}/rotations/{rotation_id}", summary="Show a rotation")
def show_rotation(_caller: Viewer, ctx: Ctx, device_id: DeviceId, rotation_id: RotationId) -> RotationOut:
    """One rotation of a device, and how far it is."""
    return _shown(ctx, device_id, rotation_id)


@router.post("/devices/{device_id}/rotations", status_code=201, summary="Start a rotation")
def start_rotation(caller: Operator, ctx: Ctx, device_id: DeviceId, body: RotationRequest) -> RotationOut:
    """Ask a device for a new key; it hears of it now, or when it connects."""
    rotation = lifecycle.start_rotation(
        ctx, device_id, key=body.key, deadline=body.deadline, actor=caller.actor
    )
    return _shown(ctx, device_id, rotation.rotation_id)


@router.post("/devices/{device_id}/rotations/push", status_code=201, summary="Push a new key")
def push_rotation(
    caller: Operator, ctx: Ctx, device_id: DeviceId, body: PushRequest, request: Request
) -> RotationOut:
    """Make a key here and send it once, to a device that is online; it is stored nowhere on this side."""
    bus = request.app.state.fleet.operator_bus()
    rotation = push_new_key(ctx, bus, device_id, body.key, actor=caller.actor)
    return _shown(ctx, device_id, rotation.rotation_id)


def _shown(ctx: Context, device_id: str, rotation_id: str) -> RotationOut:
    with reading(ctx.sessions) as session:
        rotation = queries.rotation(session, device_id, rotation_id)
        if rotation is None:
            raise NotFound(f"device {device_id} has no rotation {rotation_id}")
        return RotationOut.of(rotation, pages.rotated_ids(session, [rotation]))
