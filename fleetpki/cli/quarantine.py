# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Claims to be a device that holds a live certificate: look at them, and decide."""

from typing import Annotated

import typer

from fleetpki import lifecycle, views
from fleetpki.cli.common import DEFAULT_DIR, Directory, Json, present
from fleetpki.fleet import Fleet
from fleetpki.inputs import MAX_NUMBER
from fleetpki.registry import pages
from fleetpki.registry.database import reading
from fleetpki.registry.models import Claim, ClaimState

app = typer.Typer(no_args_is_help=True)

ClaimId = Annotated[
    int, typer.Argument(min=1, max=MAX_NUMBER, metavar="CLAIM", help="The number of the claim.")
]


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Those decided, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """List the claims that wait for a decision, newest first."""
    state = None if every else ClaimState.WAITING
    with reading(Fleet.open(directory).sessions) as session:
        claims = pages.claims(session, after=None, limit=limit, state=state)
        found = [views.claim_data(claim) for claim in claims.rows]
    present(as_json, found, views.claim_table(found) if found else "No claims wait.")


@app.command()
def approve(claim: ClaimId, directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """Let the claimant be the device. Its old certificate works until it uses the new one."""
    _show(lifecycle.approve_claim(Fleet.open(directory).context, claim), as_json)


@app.command()
def deny(claim: ClaimId, directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """Turn the claimant away; the device goes on working."""
    _show(lifecycle.deny_claim(Fleet.open(directory).context, claim), as_json)


def _show(claim: Claim, as_json: bool) -> None:
    present(as_json, views.claim_data(claim), f"claim {claim.id} to be {claim.device_id}: {claim.state}")
