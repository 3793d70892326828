# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Tokens for the API and the dashboard."""

from datetime import timedelta
from typing import Annotated

import typer

from fleetpki import lifecycle, views
from fleetpki.cli.common import DEFAULT_DIR, Directory, Json, present
from fleetpki.fleet import Fleet
from fleetpki.inputs import MAX_TOKEN_DAYS
from fleetpki.registry.models import ApiRole

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Whose token it is; the audit chain says so.")]


@app.command()
def create(
    name: Name,
    role: Annotated[ApiRole, typer.Option(help="What it permits; each role includes those before it.")],
    days: Annotated[
        int | None, typer.Option(min=1, max=MAX_TOKEN_DAYS, help="In days. [default: until revoked]")
    ] = None,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Make a token and print it. This is the only time it can be seen: the registry keeps a digest.

    Example: *fleetpki token create grafana --role viewer --days 365*
    """
    valid_for = timedelta(days=days) if days else None
    token = lifecycle.create_token(Fleet.open(directory).context, name, role, valid_for=valid_for)
    present(as_json, {"name": name, "role": role, "token": token}, token)


@app.command(name="list")
def list_tokens(directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """List all tokens there are or were."""
    found = [views.token_data(token) for token in lifecycle.tokens(Fleet.open(directory).context)]
    people = views.token_table(found) if found else "No tokens yet. Make one with 'fleetpki token create'."
    present(as_json, found, people)


@app.command()
def revoke(name: Name, directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """End a token, at once and for good."""
    lifecycle.revoke_token(Fleet.open(directory).context, name)
    present(as_json, {"name": name, "revoked": True}, f"revoked token {name}")
