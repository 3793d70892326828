# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Sign revocation lists."""

from typing import Annotated

import typer

from fleetpki.cli import authority_views
from fleetpki.cli.common import DEFAULT_DIR, Directory, Json, present
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import revocation_lists

app = typer.Typer()


@app.command()
def crl(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Sign all lists, not only those due.")] = False,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Sign the revocation lists that are due. A running fleet does so by itself, every few seconds.

    Example: *fleetpki crl --rebuild*
    """
    context = Fleet.open(directory).context
    signed = revocation_lists.publish(context) if rebuild else revocation_lists.publish_due(context)
    data = [authority_views.revocation_list_data(each) for each in signed]
    present(as_json, data, f"signed {len(data)} lists")
