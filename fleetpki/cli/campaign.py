# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Campaigns: rotate many devices, so many a minute."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from fleetpki import views
from fleetpki.cli.common import DEFAULT_DIR, REASON, Directory, Exit, Json, err, present, read_text
from fleetpki.errors import FleetError
from fleetpki.fleet import Fleet
from fleetpki.inputs import MAX_RATE
from fleetpki.lifecycle import KeyRequest, authorities, campaigns
from fleetpki.lifecycle.campaigns import DEFAULT_FAILURE_LIMIT_PERCENT
from fleetpki.lifecycle.selection import Selector
from fleetpki.pki.identifiers import is_certificate_id
from fleetpki.registry.database import reading
from fleetpki.registry.models import Campaign, CampaignState

app = typer.Typer()

POLL_S = 1.0

CampaignId = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Its id, as listed.")]


@app.command()
def create(
    group: Annotated[str | None, typer.Option(help="Only devices of this group.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only with this tag; may be repeated.")
    ] = None,
    batch: Annotated[str | None, typer.Option(help="Only devices of this production batch.")] = None,
    issuer: Annotated[
        str | None,
        typer.Option(metavar="AUTHORITY", help="Only certificates of this authority: its name or id."),
    ] = None,
    ids: Annotated[Path | None, typer.Option(help="Only the devices in this file, one id a line.")] = None,
    expires_before: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only certificates that end before (UTC).")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All devices of the fleet.")] = False,
    key: Annotated[KeyRequest, typer.Option(help="The new key.")] = KeyRequest.EC_P256,
    rate: Annotated[int, typer.Option(min=1, max=MAX_RATE, help="How many devices a minute.")] = 60,
    failure_limit: Annotated[
        int, typer.Option(min=0, max=100, help="Pause when more than so many percent fail.")
    ] = DEFAULT_FAILURE_LIMIT_PERCENT,
    reason: Annotated[str | None, REASON] = None,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Begin to rotate the devices that every filter selects, or all. The monitor asks them, so many a minute.

    Example: *fleetpki campaign create --group north --rate 300 --failure-limit 2*
    """
    fleet = Fleet.open(directory)
    selector = Selector(
        group=group,
        tags=dict(_name_and_value(text) for text in tag or []),
        batch=batch,
        issuer_id=_authority_id(fleet, issuer) if issuer is not None else None,
        device_ids=read_text(ids).split() if ids else None,
        expires_before=expires_before.replace(tzinfo=UTC) if expires_before else None,
    )
    if everything == bool(selector.to_json()):
        raise FleetError(
            "which devices?",
            "give filters (--group, --tag, --batch, --issuer, --ids, --expires-before), or --all",
            Exit.REFUSED,
        )
    campaign = campaigns.create(
        fleet.context,
        selector=selector,
        key=key,
        rate_per_minute=rate,
        failure_limit_percent=failure_limit,
        reason=reason,
    )
    data = _data(fleet, campaign)
    present(as_json, data, f"began {campaign.campaign_id} for {data['progress']['total']} devices")


@app.command("list")
def list_campaigns(directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """List the campaigns, newest first."""
    fleet = Fleet.open(directory)
    data = [_data(fleet, campaign) for campaign in campaigns.list_campaigns(fleet.context)]
    present(as_json, data, views.campaign_table(data) if data else "No campaigns yet.")


@app.command()
def show(
    campaign_id: CampaignId,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it ends.")] = False,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Show how far a campaign is.

    With **--watch** the exit code is 0 when it finished, 1 when it was paused or cancelled.
    """
    fleet = Fleet.open(directory)
    if watch:
        _watch(fleet, campaign_id)
    campaign = campaigns.find(fleet.context, campaign_id)
    data = _data(fleet, campaign)
    present(as_json, data, views.campaign_table([data]))
    if watch and campaign.state != CampaignState.FINISHED:
        raise typer.Exit(Exit.FAILED)


@app.command()
def pause(campaign_id: CampaignId, directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """Ask no more devices; those that were asked go on."""
    fleet = Fleet.open(directory)
    _done(fleet, campaigns.pause(fleet.context, campaign_id), as_json)


@app.command()
def resume(campaign_id: CampaignId, directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """Go on with a paused campaign; what failed before counts no more."""
    fleet = Fleet.open(directory)
    _done(fleet, campaigns.resume(fleet.context, campaign_id), as_json)


@app.command()
def cancel(campaign_id: CampaignId, directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """End a campaign; devices that have not answered are not asked any more."""
    fleet = Fleet.open(directory)
    _done(fleet, campaigns.cancel(fleet.context, campaign_id), as_json)


def _authority_id(fleet: Fleet, name: str) -> str:
    with reading(fleet.sessions) as session:
        return name if is_certificate_id(name) else authorities.named(session, name).authority_id


def _watch(fleet: Fleet, campaign_id: str) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, console=err) as bar:
        task = bar.add_task(campaign_id, total=None)
        while True:
            state = campaigns.find(fleet.context, campaign_id).state
            seen = campaigns.progress(fleet.context, campaign_id)
            ended = seen.committed + seen.failed + seen.abandoned
            text = f"{campaign_id} {state}: {seen.under_way} under way, {seen.failed} failed"
            bar.update(task, total=seen.total, completed=ended, description=text)
            if state != CampaignState.RUNNING:
                return
            time.sleep(POLL_S)


def _data(fleet: Fleet, campaign: Campaign) -> views.Data:
    return views.campaign_data(campaign, campaigns.progress(fleet.context, campaign.campaign_id))


def _done(fleet: Fleet, campaign: Campaign, as_json: bool) -> None:
    present(as_json, _data(fleet, campaign), f"{campaign.campaign_id} is {campaign.state}")


def _name_and_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise FleetError(f"{text!r} is no tag", "give --tag KEY=VALUE", Exit.REFUSED)
    return name, value
