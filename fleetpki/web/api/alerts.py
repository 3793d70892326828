# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Alerts."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from fleetpki.inputs import MAX_NUMBER
from fleetpki.lifecycle import alerts
from fleetpki.registry import pages
from fleetpki.registry.database import reading
from fleetpki.web.api.models import AlertOut, Page, number
from fleetpki.web.api.types import After, Limit
from fleetpki.web.security import Ctx, Operator, Viewer

router = APIRouter(prefix="/alerts", tags=["monitoring"])


@router.get("", summary="List alerts")
def list_alerts(
    _caller: Viewer,
    ctx: Ctx,
    after: After = None,
    limit: Limit = 100,
    is_open: Annotated[bool, Query(alias="open", description="Only those not over")] = True,
) -> Page[AlertOut]:
    """A page of alerts, newest first."""
    with reading(ctx.sessions) as session:
        page = pages.alerts(session, after=after, limit=limit, is_open=is_open)
    items = [AlertOut.model_validate(alert) for alert in page.rows]
    return Page(items=items, next=number(page.next))


@router.post("/{alert_id}/acknowledge", summary="Acknowledge an alert")
def acknowledge(caller: Operator, ctx: Ctx, alert_id: Annotated[int, Path(ge=1, le=MAX_NUMBER)]) -> AlertOut:
    """Say that you take care of it."""
    return AlertOut.model_validate(alerts.acknowledge(ctx, alert_id, actor=caller.actor))
