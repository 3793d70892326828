# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``fleetpki``: one module for each group of commands.

Exit codes: 0 done; 1 the operation failed; 2 wrong usage or input, or refused; 3 still pending when the time
was up; 4 the environment is to blame (a program is missing, a port is taken, a disk is full).
"""

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from fleetpki.cli import (
    allow_list,
    audit,
    batches,
    ca,
    campaign,
    crl,
    database,
    devices,
    factory,
    monitor,
    operation,
    person,
    quarantine,
    rotate,
    token,
)
from fleetpki.cli.common import Exit, complain
from fleetpki.errors import FleetError, RegistryUnavailable, Rejected

app = typer.Typer(
    help="Device certificates for IoT fleets: enrolment, rotation and revocation over MQTT mutual TLS.",
    epilog="Start with: fleetpki init, then: fleetpki up",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

for commands in (operation, devices, rotate, monitor, crl):
    app.add_typer(commands.app)
app.add_typer(campaign.app, name="campaign", help="Rotate many devices, so many a minute.")
app.add_typer(monitor.alerts, name="alerts", help="What an operator should know.")
app.add_typer(batches.app, name="batch", help="What the bootstrap certificate of a batch is good for.")
app.add_typer(allow_list.app, name="allow-list", help="Which devices may enrol in a batch that is not open.")
app.add_typer(quarantine.app, name="quarantine", help="Claims to be a device at work: decide.")
app.add_typer(audit.app, name="audit", help="Who did what to whom, when and why: verify, export, look.")
app.add_typer(ca.app, name="ca", help="The authorities: ceremonies, rollover, backup.")
app.add_typer(database.app, name="db", help="The registry's database: bring its schema up to date.")
app.add_typer(factory.app, name="factory", help="Make devices: flash images, allow-list, flashing.")
app.add_typer(token.app, name="token", help="Who may use the API and the dashboard.")
app.add_typer(
    person.app,
    name="person",
    help="Who may use the API and the dashboard with a certificate instead of a token.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fleetpki {version('fleetpki')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options of the command itself."""


def main() -> None:
    """Run the command; what goes wrong is told in one or two lines and an exit code."""
    try:
        _require_readable(sys.argv[1:])
        app()
    except FleetError as error:
        _fail(error)
    except RegistryUnavailable as unavailable:
        hint = f"is its disk full, or is another program at it? {unavailable.__cause__ or ''}"
        _fail(FleetError(unavailable.message, hint, Exit.ENVIRONMENT))
    except Rejected as rejected:
        if isinstance(rejected.__cause__, FleetError):
            _fail(rejected.__cause__)
        _fail(FleetError(f"refused ({rejected.code}): {rejected.message}", exit_code=Exit.REFUSED))
    except SQLAlchemyError as error:
        _fail(FleetError(f"the registry cannot be used: {error}", "", Exit.ENVIRONMENT))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(FleetError(f"{where}{error.strerror or error}", "", Exit.ENVIRONMENT))


def _require_readable(arguments: list[str]) -> None:
    """Refuse what the locale's encoding does not know: Python has put lone surrogates in its place."""
    for text in arguments:
        if not text.isascii() and any("\ud800" <= each <= "\udfff" for each in text):
            problem = f"{text!a} cannot be read in the encoding of the terminal"
            raise FleetError(problem, "use UTF-8, as in LC_ALL=C.UTF-8", Exit.REFUSED)


def _fail(error: FleetError) -> None:
    complain(f"fleetpki: {error.message}")
    if error.hint:
        complain(f"  {error.hint}")
    sys.exit(error.exit_code)
