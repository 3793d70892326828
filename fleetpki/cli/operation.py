# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Make a fleet, and run it."""

import logging
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from fleetpki import fleet as fleets
from fleetpki import lifecycle
from fleetpki.cli.common import DEFAULT_DIR, Directory, Exit, Json, complain, present
from fleetpki.cli.passphrase import passphrase
from fleetpki.config import LOOPBACK_NAMES, PORTS, Layout, Settings, first_problem
from fleetpki.errors import FleetError
from fleetpki.fleet import Fleet
from fleetpki.up import up as run_fleet

app = typer.Typer()


@app.command()
def init(
    directory: Directory = DEFAULT_DIR,
    root_dir: Annotated[
        Path, typer.Option(help="Where the root key goes. Take this directory away afterwards.")
    ] = Path("fleet-root"),
    passphrase_file: Annotated[
        Path | None, typer.Option(help="File with the passphrase for the root key; asked for when not given.")
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(
            help="Name or address devices reach the broker at; may be repeated. [default: localhost]"
        ),
    ] = None,
    bind: Annotated[str, typer.Option(help="Address the device listeners bind to.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port for devices.")] = 8883,
    bootstrap_port: Annotated[int, typer.Option(help="Port for devices that enrol.")] = 8884,
    service_port: Annotated[int, typer.Option(help="Port for our services, on 127.0.0.1.")] = 8885,
    bootstrap_name: Annotated[
        str, typer.Option(help="Common name of the bootstrap certificate, e.g. the production batch.")
    ] = "bootstrap-1",
    public_url: Annotated[
        str | None,
        typer.Option(help="Where the world reaches our HTTP port: the address of revocation lists and OCSP."),
    ] = None,
    ca_passphrase_file: Annotated[
        str | None,
        typer.Option(help="File, kept elsewhere, with a passphrase for the authorities' keys."),
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(help="An empty PostgreSQL database for the registry: postgresql://user@host/name."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a new fleet: authorities, certificates of broker, services and bootstrap, registry.

    The root key is encrypted and lies alone in its directory: move that to a safe place, nothing here needs
    it. What goes into the devices at the factory is in **bootstrap/**. An existing fleet is never touched.

    Example: *fleetpki init --host mqtt.example.com --bind 0.0.0.0 --passphrase-file root.pass*
    """
    hosts = list(dict.fromkeys([*(host or []), *LOOPBACK_NAMES]))
    try:
        settings = Settings(
            hosts=hosts,
            bind=bind,
            port=port,
            bootstrap_port=bootstrap_port,
            service_port=service_port,
            public_url=public_url,
            ca_passphrase_file=ca_passphrase_file,
            database_url=database_url,
        )
    except ValidationError as error:
        raise FleetError(first_problem(error), "see 'fleetpki init --help'", Exit.REFUSED) from error
    fleets.create(directory, root_dir, passphrase(passphrase_file, new=True), settings, bootstrap_name)
    layout = Layout(directory.absolute())
    present(
        as_json,
        {"directory": str(layout.directory), "root_directory": str(root_dir.absolute()), "hosts": hosts},
        f"Made a fleet in {layout.directory}.\n"
        f"The root key is in {root_dir.absolute()}: move that directory to a safe place, offline.\n"
        f"Devices need what is in {layout.bootstrap}.\n"
        f"{_open_batch(bootstrap_name)}\n"
        "Next: fleetpki up",
    )


@app.command()
def up(directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """Run the broker and the services in the foreground, until Ctrl-C or SIGTERM.

    Prints one line that starts with "fleetpki: ready" when devices can connect.

    Example: *fleetpki up --dir /srv/fleet*
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    fleet = Fleet.open(directory)
    settings = fleet.settings

    def announce() -> None:
        data = settings.model_dump(include={"hosts", "bind", "api_bind", *PORTS})
        text = (
            f"fleetpki: ready for devices on {settings.bind} port {settings.port}, "
            f"for enrolment on port {settings.bootstrap_port}; Ctrl-C stops"
        )
        if settings.api_port:
            text += f"\nfleetpki: dashboard at https://{settings.api_bind}:{settings.api_port}/"
        for batch in lifecycle.list_batches(fleet.context):
            if batch.enabled and batch.open:
                complain(f"fleetpki: {_open_batch(batch.name)}")
        present(as_json, {"ready": True, **data}, text)

    run_fleet(fleet, announce)


def _open_batch(name: str) -> str:
    return (
        f"Batch {name} is open: whoever holds its bootstrap certificate may enrol under any new name. "
        f"Once you have an allow-list: fleetpki batch change {name} --closed"
    )
