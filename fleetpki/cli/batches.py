# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Batches: what a bootstrap certificate is good for."""

from typing import Annotated

import typer

from fleetpki import lifecycle, views
from fleetpki.cli.common import DEFAULT_DIR, Directory, Json, present
from fleetpki.fleet import Fleet
from fleetpki.inputs import MAX_NUMBER
from fleetpki.lifecycle import BatchPolicy
from fleetpki.registry.models import Batch

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's name.")]
Open = Annotated[
    bool | None, typer.Option("--open/--closed", help="Devices that are not on the allow-list may enrol.")
]
Proof = Annotated[
    bool | None, typer.Option("--proof/--no-proof", help="Devices prove that they hold their factory secret.")
]
CloudKeys = Annotated[
    bool | None, typer.Option("--cloud-keys/--own-keys", help="Devices may have their keys made here.")
]
Budget = Annotated[
    int | None, typer.Option(min=0, max=MAX_NUMBER, help="How many devices may ever enrol; 0 is any number.")
]
Rate = Annotated[
    int | None,
    typer.Option(
        min=0, max=MAX_NUMBER, help="How many certificates may be made in a minute; 0 is any number."
    ),
]


@app.command("list")
def list_(directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """List the batches and what they permit."""
    found = [views.batch_data(batch) for batch in lifecycle.list_batches(Fleet.open(directory).context)]
    present(as_json, found, views.batch_table(found))


@app.command()
def create(
    name: Name,
    is_open: Open = False,
    proof: Proof = False,
    cloud_keys: CloudKeys = False,
    budget: Budget = None,
    rate: Rate = None,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Make a batch.

    Example: *fleetpki batch create 2026-07 --budget 5000 --proof*
    """
    policy = BatchPolicy(
        open=bool(is_open),
        proof=bool(proof),
        cloud_keys=bool(cloud_keys),
        budget=budget or None,
        rate_per_minute=rate or None,
    )
    _show(lifecycle.create_batch(Fleet.open(directory).context, name, policy), as_json)


@app.command()
def change(
    name: Name,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Whether anybody may enrol.")
    ] = None,
    is_open: Open = None,
    proof: Proof = None,
    cloud_keys: CloudKeys = None,
    budget: Budget = None,
    rate: Rate = None,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Change what a batch permits; what is not named stays.

    Example: *fleetpki batch change bootstrap-1 --closed*
    """
    flags = {"enabled": enabled, "open": is_open, "proof": proof, "cloud_keys": cloud_keys}
    limits = {"budget": budget, "rate_per_minute": rate}
    changes = {
        **{field: value for field, value in flags.items() if value is not None},
        **{field: value or None for field, value in limits.items() if value is not None},
    }
    _show(lifecycle.change_batch(Fleet.open(directory).context, name, changes), as_json)


def _show(batch: Batch, as_json: bool) -> None:
    data = views.batch_data(batch)
    present(as_json, data, views.batch_table([data]))
