# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The registry's database: which schema it has, and how to bring that up to date."""

import typer

from fleetpki.cli.common import DEFAULT_DIR, Directory, Json, present
from fleetpki.fleet import Fleet
from fleetpki.registry import migrations
from fleetpki.registry.database import REVISION, connect, name_of, require_known_schema, revision

app = typer.Typer(no_args_is_help=True)


@app.command()
def current(directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """Show which schema the registry has, and which one this program works with."""
    engine = connect(Fleet.open(directory).database)
    found = revision(engine)
    present(
        as_json,
        {"database": name_of(engine), "schema": found, "needed": REVISION},
        f"{name_of(engine)}: schema {found}; this program works with {REVISION}",
    )


@app.command()
def upgrade(directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """Bring the registry's schema up to date. Stop `fleetpki up` and make a backup before."""
    engine = connect(Fleet.open(directory).database)
    before = revision(engine)
    require_known_schema(engine, before)
    migrations.upgrade(engine)
    after = revision(engine)
    present(as_json, {"before": before, "after": after}, f"{name_of(engine)}: schema {before} -> {after}")
