# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The allow-list: which devices may enrol in a batch that is not open."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fleetpki import lifecycle
from fleetpki.allow_files import csv_text, read_allow_list
from fleetpki.cli.common import DEFAULT_DIR, Directory, Json, present, read_text
from fleetpki.errors import NotFound
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import allow_list

app = typer.Typer(no_args_is_help=True)


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV with a header, or JSON when its name ends in .json.")
    ],
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Add the devices in a file, or replace their lines. A file with a mistake changes nothing.

    Columns: device_id, and if you like batch, group, certificate_id (of the one bootstrap certificate the
    device may come with) and tag:<key>.

    Example: *fleetpki allow-list import batch-7.csv*
    """
    entries = read_allow_list(file.name, read_text(file))
    changed = lifecycle.allow_devices(Fleet.open(directory).context, entries)
    present(
        as_json,
        {"lines": len(entries), "changed": changed},
        f"{len(entries)} devices may enrol; {changed} lines are new or were changed",
    )


@app.command()
def export(directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """Print the whole list, as it can be imported again."""
    entries = list(lifecycle.allowed_devices(Fleet.open(directory).context))
    present(as_json, [asdict(entry) for entry in entries], csv_text(entries).rstrip("\n"))


@app.command()
def remove(
    device_ids: Annotated[list[str], typer.Argument(metavar="ID", help="The device ids.")],
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Take devices off the list. Those that have enrolled stay what they are."""
    context = Fleet.open(directory).context
    missing = allow_list.without_line(context, device_ids)
    if missing:
        hint = "nothing was removed; 'fleetpki allow-list export' shows the list"
        raise NotFound(f"no line for {', '.join(missing)}", hint)
    removed = lifecycle.disallow_devices(context, device_ids)
    present(as_json, {"removed": removed}, f"removed {removed} lines")
