# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The audit chain: verify it, look at it, take it elsewhere."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fleetpki.audit_files import Format, plain, verify_file, write_entries
from fleetpki.cli.common import DEFAULT_DIR, Directory, Json, present
from fleetpki.fleet import Fleet
from fleetpki.registry import audit
from fleetpki.registry.audit import Head
from fleetpki.registry.database import reading
from fleetpki.views import visible

app = typer.Typer(no_args_is_help=True)


@app.command()
def verify(
    head: Annotated[
        str | None,
        typer.Option(metavar="SEQ:HASH", help="The head of an earlier time; it must still be there."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Verify an exported chain instead of the registry.")
    ] = None,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Find any edit, deletion or reordering. Prints the head of the chain: write it down elsewhere.

    Only a head that was kept elsewhere shows that the newest entries were cut off, or the chain made anew.

    Example: *fleetpki audit verify --head 1042:9f86d081…*
    """
    expected = Head.parse(head) if head else None
    first = 1
    if file is not None:
        first, found = verify_file(file, expected)
    else:
        with reading(Fleet.open(directory).sessions) as session:
            found = audit.verify(session, expected)
    present(
        as_json,
        {"first": first, "entries": found.seq - first + 1, "head": str(found)},
        f"entries {first} to {found.seq} are intact\nhead: {found}",
    )


@app.command()
def export(
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="From this time (UTC) on."),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="One JSON object a line, or CSV.")] = Format.JSONL,
    directory: Directory = DEFAULT_DIR,
) -> None:
    """Write the chain to standard output; **audit verify --file** checks it without the registry.

    Example: *fleetpki audit export --since 2026-07-01 > july.jsonl*
    """
    start = since.replace(tzinfo=UTC) if since else None
    with reading(Fleet.open(directory).sessions) as session:
        write_entries(audit.entries(session, since=start), form, sys.stdout)


@app.command()
def tail(
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, max=1000, help="How many.")] = 20,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Show the newest entries, the newest last."""
    with reading(Fleet.open(directory).sessions) as session:
        found = [plain(entry) for entry in audit.newest(session, lines)]
    present(as_json, found, "\n".join(_line(entry) for entry in found))


def _line(entry: dict[str, Any]) -> str:
    detail = [f"{name}={value}" for name, value in entry["detail"].items() if value is not None]
    what = [entry["actor"], entry["action"], entry["subject"], *detail]
    return "  ".join([str(entry["seq"]), f"{entry['at'][:19]}Z", *map(visible, what)])
