# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Campaigns: the rotation of many devices."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Path
from pydantic import ConfigDict, Field, model_validator

from fleetpki.inputs import MAX_RATE
from fleetpki.lifecycle import Context, KeyRequest, campaigns
from fleetpki.lifecycle.campaigns import DEFAULT_FAILURE_LIMIT_PERCENT
from fleetpki.lifecycle.selection import Selector
from fleetpki.registry import pages
from fleetpki.registry.database import reading
from fleetpki.web.api.models import CampaignOut, CampaignShown, Page, ProgressOut
from fleetpki.web.api.types import AfterName, Body, Limit, Name, Reason, Time, example
from fleetpki.web.problems import refusals
from fleetpki.web.security import Ctx, Operator, Viewer

CampaignId = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,64}$")]

router = APIRouter(prefix="/campaigns", tags=["campaigns"])


class SelectorIn(Body):
    """Which devices: those that meet all of these; or, said alone, `all` there are."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    all: Annotated[bool, Field(description="The whole fleet")] = False
    group: Name | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    batch: Name | None = None
    issuer_id: Name | None = None
    device_ids: Annotated[list[Name], Field(min_length=1, max_length=1000)] | None = None
    expires_before: Time | None = None

    @model_validator(mode="after")
    def _is_explicit(self) -> Self:
        if self.all == bool(self.filters()):
            raise ValueError("name a filter, or nothing but `all`: true for the whole fleet")
        return self

    def filters(self) -> dict[str, Any]:
        """What narrows it down."""
        return self.model_dump(exclude={"all"}, exclude_defaults=True)


class NewCampaign(Body):
    """A campaign to begin."""

    model_config = example(
        selector={"group": "north", "tags": {"rack": "7"}},
        rate_per_minute=300,
        failure_limit_percent=2,
        reason="new key type",
    )

    selector: SelectorIn
    key: KeyRequest = KeyRequest.EC_P256
    rate_per_minute: Annotated[int, Field(ge=1, le=MAX_RATE)] = 60
    failure_limit_percent: Annotated[int, Field(ge=0, le=100)] = DEFAULT_FAILURE_LIMIT_PERCENT
    reason: Reason | None = None


@router.get("", summary="List campaigns")
def list_campaigns(
    _caller: Viewer, ctx: Ctx, after: AfterName = None, limit: Limit = 100
) -> Page[CampaignOut]:
    """A page of campaigns, by id."""
    with reading(ctx.sessions) as session:
        page = pages.campaigns(session, after=after, limit=limit)
    items = [CampaignOut.model_validate(each) for each in page.rows]
    return Page(items=items, next=page.next)


@router.post("", status_code=201, summary="Begin a campaign", responses=refusals(404))
def create_campaign(caller: Operator, ctx: Ctx, body: NewCampaign) -> CampaignShown:
    """Rotate many devices, so many a minute, until too many fail."""
    campaign = campaigns.create(
        ctx,
        selector=Selector(**body.selector.filters()),
        key=body.key,
        rate_per_minute=body.rate_per_minute,
        failure_limit_percent=body.failure_limit_percent,
        reason=body.reason,
        actor=caller.actor,
    )
    return _shown(ctx, campaign.campaign_id)


@router.get("/{campaign_id}", summary="Show a campaign")
def show_campaign(_caller: Viewer, ctx: Ctx, campaign_id: CampaignId) -> CampaignShown:
    """A campaign, and how far it is."""
    return _shown(ctx, campaign_id)


@router.post("/{campaign_id}/pause", summary="Pause a campaign")
def pause(caller: Operator, ctx: Ctx, campaign_id: CampaignId) -> CampaignShown:
    """Begin no more rotations; those under way go on."""
    campaigns.pause(ctx, campaign_id, actor=caller.actor)
    return _shown(ctx, campaign_id)


@router.post("/{campaign_id}/resume", summary="Resume a campaign")
def resume(caller: Operator, ctx: Ctx, campaign_id: CampaignId) -> CampaignShown:
    """Go on; what failed before counts no more."""
    campaigns.resume(ctx, campaign_id, actor=caller.actor)
    return _shown(ctx, campaign_id)


@router.post("/{campaign_id}/cancel", summary="Cancel a campaign")
def cancel(caller: Operator, ctx: Ctx, campaign_id: CampaignId) -> CampaignShown:
    """End it; devices that have not answered yet are not asked any more."""
    campaigns.cancel(ctx, campaign_id, actor=caller.actor)
    return _shown(ctx, campaign_id)


def _shown(ctx: Context, campaign_id: str) -> CampaignShown:
    campaign = CampaignOut.model_validate(campaigns.find(ctx, campaign_id))
    progress = ProgressOut.model_validate(campaigns.progress(ctx, campaign_id))
    return CampaignShown(**campaign.model_dump(), progress=progress)
