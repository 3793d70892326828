# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Campaigns: many devices rotate, so many a minute, until too many fail.

How far a campaign is follows from its rotations. The monitor moves it on: every round begins the rotations of
the last minute's share.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from fleetpki.errors import Code, NotFound, Rejected
from fleetpki.lifecycle.alerts import AlertKind, Concern, Concerns, Severity, reconcile
from fleetpki.lifecycle.context import OPERATOR, Context, Transaction
from fleetpki.lifecycle.rotation import ask_to_rotate
from fleetpki.lifecycle.selection import Selector, count_waiting, waiting
from fleetpki.lifecycle.terms import KeyRequest
from fleetpki.lifecycle.transitions import close
from fleetpki.registry import queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import (
    OPEN_ROTATION,
    Campaign,
    CampaignState,
    Device,
    Initiator,
    Rotation,
    RotationState,
)

DEFAULT_FAILURE_LIMIT_PERCENT = 5

_MONITOR = "monitor"
_BATCH = 100
_MINUTE = timedelta(minutes=1)

#: A limit in percent counts from here: of the first few devices one may fail without stopping the rest.
_SMALLEST_SAMPLE = 20

_FAILED = (RotationState.REJECTED, RotationState.ROLLED_BACK)


@dataclass(frozen=True)
class Progress:
    """How far a campaign is."""

    waiting: int
    under_way: int
    committed: int
    failed: int
    abandoned: int

    @property
    def total(self) -> int:
        """All its devices."""
        return self.waiting + self.under_way + self.committed + self.failed + self.abandoned

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        return self.waiting == self.under_way == 0


def too_many_failed(failed: int, ended: int, limit_percent: int) -> bool:
    """Whether a campaign has to stop."""
    return failed * 100 > limit_percent * max(ended, _SMALLEST_SAMPLE)


def create(
    ctx: Context,
    *,
    selector: Selector,
    key: KeyRequest,
    rate_per_minute: int,
    failure_limit_percent: int,
    reason: str | None = None,
    actor: str = OPERATOR,
) -> Campaign:
    """Begin a campaign; its first devices are asked in the monitor's next round."""
    with ctx.transaction(actor, "create_campaign", "fleet") as tx:
        campaign = Campaign(
            campaign_id=f"campaign-{uuid.uuid4().hex[:12]}",
            state=CampaignState.RUNNING,
            selector=selector.to_json(),
            key=key,
            rate_per_minute=rate_per_minute,
            failure_limit_percent=failure_limit_percent,
            created_at=tx.now,
            created_by=actor,
            updated_at=tx.now,
            reason=reason,
        )
        tx.session.add(campaign)
        tx.session.flush()
        if count_waiting(tx.session, campaign, tx.now) == 0:
            raise NotFound("no device is selected", "`fleetpki devices` lists them")
        tx.audit(
            "campaign.created",
            campaign.campaign_id,
            key=key,
            rate_per_minute=rate_per_minute,
            failure_limit_percent=failure_limit_percent,
            reason=reason,
        )
        return campaign


def pause(ctx: Context, campaign_id: str, *, actor: str = OPERATOR) -> Campaign:
    """Begin no more rotations; those under way go on."""
    return _change(ctx, campaign_id, CampaignState.PAUSED, (CampaignState.RUNNING,), actor)


def resume(ctx: Context, campaign_id: str, *, actor: str = OPERATOR) -> Campaign:
    """Go on; what failed before counts no more."""
    return _change(ctx, campaign_id, CampaignState.RUNNING, (CampaignState.PAUSED,), actor)


def cancel(ctx: Context, campaign_id: str, *, actor: str = OPERATOR) -> Campaign:
    """End it: devices that have not answered yet are not asked any more; those that have go on."""
    before = (CampaignState.RUNNING, CampaignState.PAUSED)
    campaign = _change(ctx, campaign_id, CampaignState.CANCELLED, before, actor)
    while _abandon_some(ctx, campaign_id, actor):
        pass
    return campaign


def find(ctx: Context, campaign_id: str) -> Campaign:
    """The campaign with this id."""
    with reading(ctx.sessions) as session:
        return _known(session.get(Campaign, campaign_id), campaign_id)


def list_campaigns(ctx: Context, limit: int = 1000) -> Sequence[Campaign]:
    """The campaigns, newest first."""
    with reading(ctx.sessions) as session:
        return session.scalars(select(Campaign).order_by(Campaign.created_at.desc()).limit(limit)).all()


def progress(ctx: Context, campaign_id: str) -> Progress:
    """How far a campaign is."""
    with reading(ctx.sessions) as session:
        return _progress(session, _known(session.get(Campaign, campaign_id), campaign_id), ctx.clock())


def advance_all(ctx: Context) -> int:
    """Move every running campaign on; how many rotations were begun."""
    with reading(ctx.sessions) as session:
        running = select(Campaign.campaign_id).where(Campaign.state == CampaignState.RUNNING)
        campaign_ids = session.scalars(running).all()
    return sum(_advance(ctx, campaign_id) for campaign_id in campaign_ids)


def _advance(ctx: Context, campaign_id: str) -> int:
    try:
        if not _check(ctx, campaign_id):
            return 0
    except Rejected:  # an operator has changed it since we looked; a later round sees
        return 0
    with reading(ctx.sessions) as session:
        campaign = session.get_one(Campaign, campaign_id)
        device_ids = waiting(session, campaign, ctx.clock(), campaign.rate_per_minute)
    begun = 0
    for start in range(0, len(device_ids), _BATCH):
        begun += _begin(ctx, campaign_id, device_ids[start : start + _BATCH])
    return begun


def _check(ctx: Context, campaign_id: str) -> bool:
    """Whether a campaign may go on: it is neither over, nor have too many failed since it was begun."""
    with reading(ctx.sessions) as session:
        campaign = session.get_one(Campaign, campaign_id)
        counts = _counts(
            session, Rotation.campaign_id == campaign_id, Rotation.created_at >= campaign.updated_at
        )
        is_over = _progress(session, campaign, ctx.clock()).is_over
    failed = sum(counts.get(state, 0) for state in _FAILED)
    ended = failed + counts.get(RotationState.COMMITTED, 0)
    if too_many_failed(failed, ended, campaign.failure_limit_percent):
        message = (
            f"paused: {failed} of {ended} rotations failed, the limit is {campaign.failure_limit_percent} %"
        )
        concern = Concern(Severity.CRITICAL, message)
        concerns: Concerns = {AlertKind.CAMPAIGN_PAUSED: concern}
        _change(ctx, campaign_id, CampaignState.PAUSED, (CampaignState.RUNNING,), _MONITOR, concerns)
    elif is_over:
        _change(ctx, campaign_id, CampaignState.FINISHED, (CampaignState.RUNNING,), _MONITOR)
    else:
        return True
    return False


def _begin(ctx: Context, campaign_id: str, device_ids: Sequence[str]) -> int:
    """Ask some devices, unless another monitor has, or the minute's share is used up."""
    with ctx.transaction(_MONITOR, "campaign", campaign_id) as tx:
        campaign = tx.session.get_one(Campaign, campaign_id, with_for_update=True)
        if campaign.state != CampaignState.RUNNING:
            return 0
        asked = set(
            tx.session.scalars(
                select(Rotation.device_id).where(
                    Rotation.device_id.in_(device_ids), Rotation.campaign_id == campaign_id
                )
            )
        )
        todo = [device_id for device_id in device_ids if device_id not in asked]
        # Devices are locked in one order: nobody waits in a circle.
        return sum(_ask(ctx, tx, campaign, each) for each in sorted(todo[: _share_left(tx, campaign)]))


def _share_left(tx: Transaction, campaign: Campaign) -> int:
    """How many more rotations may begin within this minute."""
    recent = (
        Rotation.campaign_id == campaign.campaign_id,
        Rotation.created_at > tx.now - _MINUTE,
        Rotation.created_at < tx.now + _MINUTE,  # not by a clock that was ahead
    )
    begun = tx.session.scalar(select(func.count()).select_from(Rotation).where(*recent)) or 0
    return max(0, campaign.rate_per_minute - begun)


def _ask(ctx: Context, tx: Transaction, campaign: Campaign, device_id: str) -> bool:
    active = queries.active_certificate(tx.session, device_id)
    try:
        ask_to_rotate(
            ctx,
            tx,
            device_id,
            Initiator.OPERATOR,
            KeyRequest(campaign.key),
            deadline=active.not_after if active else None,
            campaign_id=campaign.campaign_id,
        )
    except Rejected:  # it is busy or gone since we looked; a later round sees
        return False
    return True


def _abandon_some(ctx: Context, campaign_id: str, actor: str) -> int:
    """Withdraw what devices have not answered."""
    unanswered = Rotation.campaign_id == campaign_id, Rotation.state == RotationState.REQUESTED
    with ctx.transaction(actor, "cancel_campaign", campaign_id) as tx:
        device_ids = tx.session.scalars(select(Rotation.device_id).where(*unanswered).limit(_BATCH)).all()
        tx.session.scalars(
            select(Device)
            .where(Device.device_id.in_(device_ids))
            .order_by(Device.device_id)
            .with_for_update()
        ).all()
        rotations = tx.session.scalars(
            select(Rotation).where(Rotation.device_id.in_(device_ids), *unanswered)
        ).all()
        for rotation in rotations:
            close(tx, rotation, RotationState.ABANDONED, Code.STALE, "the campaign was cancelled")
        return len(rotations)


def _change(
    ctx: Context,
    campaign_id: str,
    state: CampaignState,
    before: Sequence[CampaignState],
    actor: str,
    concerns: Concerns | None = None,
) -> Campaign:
    with ctx.transaction(actor, f"campaign.{state}", campaign_id) as tx:
        campaign = _known(tx.session.get(Campaign, campaign_id, with_for_update=True), campaign_id)
        if campaign.state == state:
            return campaign
        if campaign.state not in before:
            raise Rejected(Code.NOT_ALLOWED, f"{campaign_id} is {campaign.state}")
        campaign.state = state
        campaign.updated_at = tx.now
        tx.audit(f"campaign.{state}", campaign_id)
        subject = f"campaign:{campaign_id}"
        reconcile(ctx, tx, subject, concerns or {}, queries.open_alerts(tx.session, [subject]))
        return campaign


def _progress(session: Session, campaign: Campaign, now: datetime) -> Progress:
    counts = _counts(session, Rotation.campaign_id == campaign.campaign_id)
    goes_on = campaign.state in (CampaignState.RUNNING, CampaignState.PAUSED)
    return Progress(
        waiting=count_waiting(session, campaign, now) if goes_on else 0,
        under_way=sum(counts.get(state, 0) for state in OPEN_ROTATION),
        committed=counts.get(RotationState.COMMITTED, 0),
        failed=sum(counts.get(state, 0) for state in _FAILED),
        abandoned=counts.get(RotationState.ABANDONED, 0),
    )


def _counts(session: Session, *conditions: ColumnElement[bool]) -> dict[RotationState, int]:
    query = select(Rotation.state, func.count().label("number")).where(*conditions).group_by(Rotation.state)
    return {row.state: row.number for row in session.execute(query)}


def _known(campaign: Campaign | None, campaign_id: str) -> Campaign:
    if campaign is None:
        raise NotFound(f"no campaign {campaign_id}", "`fleetpki campaign list` lists them")
    return campaign
