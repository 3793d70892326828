# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates of people, and of programs, that use the API."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from fleetpki import files, views
from fleetpki.cli.common import DEFAULT_DIR, Directory, Json, Reason, present, read_text
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import authorities, people
from fleetpki.registry.models import ApiRole

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Who it is; the audit chain says so.")]


@app.command()
def certify(
    name: Name,
    role: Annotated[ApiRole, typer.Option(help="What it permits; each role includes those before it.")],
    csr: Annotated[Path, typer.Option(help="Their request; its common name is NAME. The key stays theirs.")],
    out: Annotated[Path, typer.Option(help="Where the certificate goes, with its chain.")],
    days: Annotated[int, typer.Option(min=1, max=825, help="How long it is good.")] = 365,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Certify the key of somebody who is to use the API, or the dashboard, without a token.

    Example: *fleetpki person certify alice --role viewer --csr alice.csr --out alice.crt*
    """
    ctx = Fleet.open(directory).context
    certificate = people.certify_person(ctx, name, role, read_text(csr), validity=timedelta(days=days))
    files.replace(out, certificate.signed_pem + authorities.chain(ctx, certificate), mode=0o644)
    present(as_json, views.certificate_data(certificate), f"wrote {out}: {name} is {role}")


@app.command(name="list")
def list_people(directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """List the certificates that permit something at the API, also those that are over."""
    found = [views.person_data(each) for each in people.people(Fleet.open(directory).context)]
    present(as_json, found, views.person_table(found))


@app.command()
def revoke(
    name: Name,
    reason: Reason = "unspecified",
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """End all certificates of a person, at once and for good."""
    people.revoke_person(Fleet.open(directory).context, name, reason)
    present(as_json, {"name": name, "revoked": True}, f"revoked the certificates of {name}")
