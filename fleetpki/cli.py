# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``fleetpki``.

Exit codes: 0 done; 1 the operation failed; 2 wrong usage or input, or refused; 3 still pending when the time
was up; 4 the environment is to blame (a program is missing, a port is taken, a disk is full).
"""

import json
import logging
import stat
import sys
import time
from datetime import timedelta
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console, RenderableType
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from fleetpki import fleet as fleets
from fleetpki import lifecycle, views
from fleetpki.config import LOOPBACK_NAMES, Layout, Settings, first_problem
from fleetpki.errors import Code, FleetError, Rejected
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import KeyRequest, PushedCredential
from fleetpki.mqtt import messages, topics
from fleetpki.mqtt.push import push as push_message
from fleetpki.registry import queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import Certificate, CertificateState, Device, Rotation, RotationState
from fleetpki.up import up as run_fleet


class Exit(IntEnum):
    """What the exit code means."""

    FAILED = 1
    REFUSED = 2
    PENDING = 3
    ENVIRONMENT = 4


app = typer.Typer(
    help="Device certificates for IoT fleets: enrolment, rotation and revocation over MQTT mutual TLS.",
    epilog="Start with: fleetpki init, then: fleetpki up",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
out = Console()
err = Console(stderr=True)

Directory = Annotated[
    Path, typer.Option("--dir", envvar="FLEETPKI_DIR", help="The fleet directory.", show_default=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
DeviceId = Annotated[str, typer.Argument(metavar="ID", help="The device id.")]

DEFAULT_DIR = Path("fleet")
POLL_S = 0.1

IN_THE_END = (
    RotationState.COMMITTED,
    RotationState.REJECTED,
    RotationState.ROLLED_BACK,
    RotationState.ABANDONED,
)


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
            hosts=hosts, bind=bind, port=port, bootstrap_port=bootstrap_port, service_port=service_port
        )
    except ValidationError as error:
        raise FleetError(first_problem(error), "see 'fleetpki init --help'", Exit.REFUSED) from error
    fleets.create(directory, root_dir, _passphrase(passphrase_file), settings, bootstrap_name)
    layout = Layout(directory.absolute())
    _show(
        as_json,
        {"directory": str(layout.directory), "root_directory": str(root_dir.absolute()), "hosts": hosts},
        f"Made a fleet in {layout.directory}.\n"
        f"The root key is in {root_dir.absolute()}: move that directory to a safe place, offline.\n"
        f"Devices need what is in {layout.bootstrap}.\n"
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
        data = settings.model_dump(include={"hosts", "bind", "port", "bootstrap_port", "service_port"})
        text = (
            f"fleetpki: ready for devices on {settings.bind} port {settings.port}, "
            f"for enrolment on port {settings.bootstrap_port}; Ctrl-C stops"
        )
        _show(as_json, {"ready": True, **data}, text)

    run_fleet(fleet, announce)


@app.command()
def devices(directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """List the devices, each with the certificate it works with."""
    with reading(Fleet.open(directory).sessions) as session:
        active = {
            certificate.device_id: certificate
            for certificate in session.scalars(
                select(Certificate).where(Certificate.state == CertificateState.ACTIVE)
            )
        }
        found = [
            views.device_data(device, active.get(device.device_id)) for device in queries.devices(session)
        ]
    people = views.device_table(found) if found else "No devices yet. They appear when they enrol."
    _show(as_json, found, people)


@app.command()
def show(device_id: DeviceId, directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """Show one device: its certificates and its rotations, oldest first."""
    with reading(Fleet.open(directory).sessions) as session:
        device = views.device_data(
            _known(queries.device(session, device_id), device_id),
            queries.active_certificate(session, device_id),
        )
        certificates = [views.certificate_data(each) for each in queries.certificates(session, device_id)]
        rotations = [views.rotation_data(each) for each in queries.rotations(session, device_id)]
    _show(
        as_json,
        {**device, "certificates": certificates, "rotations": rotations},
        views.device_page(device, certificates, rotations),
    )


@app.command()
def rotate(
    device_id: DeviceId,
    push: Annotated[
        bool, typer.Option("--push", help="Make the key here and send it; the device must be online.")
    ] = False,
    key: Annotated[KeyRequest, typer.Option(help="The new key.")] = KeyRequest.EC_P256,
    timeout: Annotated[float, typer.Option(min=0, help="How long to wait for the commit, in seconds.")] = 60,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return when the device was asked.")] = False,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Give a device a new certificate and wait until it is proven and committed.

    Normally the device makes the new key itself and only asks for a certificate. With **--push** the key is
    made here and sent once; it is stored nowhere on this side. **--key same** renews the certificate on the
    current key.

    Exit code: 0 committed, 1 rejected, rolled back or abandoned, 3 still under way after --timeout.

    Examples: *fleetpki rotate sensor-17*, *fleetpki rotate sensor-17 --push --key rsa-2048*
    """
    if push and key == KeyRequest.SAME:
        raise FleetError("--push makes a new key, --key same keeps the old one", "choose one", Exit.REFUSED)
    fleet = Fleet.open(directory)
    rotation = (
        _push(fleet, device_id, key) if push else lifecycle.start_rotation(fleet.context, device_id, key=key)
    )
    if no_wait:
        _show(as_json, _rotation_data(fleet, device_id, rotation.rotation_id), f"asked {device_id} to rotate")
        return
    result = _wait(fleet, device_id, rotation.rotation_id, timeout, quiet=as_json)
    reason = f" ({result['code']}: {result['message']})" if result["code"] else ""
    _show(as_json, result, f"{device_id}: {result['state']}{reason}")
    if result["state"] != RotationState.COMMITTED:
        raise typer.Exit(Exit.FAILED if result["state"] in IN_THE_END else Exit.PENDING)


@app.command()
def revoke(
    device_id: DeviceId,
    certificate: Annotated[
        str | None, typer.Option(metavar="CERTIFICATE_ID", help="Revoke only this certificate of the device.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the registry.")] = "unspecified",
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Revoke a device, or one of its certificates. Its live session ends, and it does not get in again.

    Example: *fleetpki revoke sensor-17 --reason stolen*
    """
    fleet = Fleet.open(directory)
    if certificate is None:
        lifecycle.revoke_device(fleet.context, device_id, reason)
    else:
        _check_owner(fleet, device_id, certificate)
        lifecycle.revoke_certificate(fleet.context, certificate, reason)
    _show(
        as_json,
        {"device_id": device_id, "certificate_id": certificate, "revoked": True, "reason": reason},
        f"revoked {device_id}"
        if certificate is None
        else f"revoked certificate {certificate} of {device_id}",
    )


@app.command()
def issue(
    device_id: DeviceId,
    csr: Annotated[Path, typer.Option(help="File with the certification request (PEM).")],
    output: Annotated[Path | None, typer.Option("--out", help="Where the certificate goes.")] = None,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Certify a key made elsewhere, for a rotation that somebody else pushes to the device.

    The certificate becomes the device's when the device has connected with it.

    Example: *fleetpki issue sensor-17 --csr new.csr --out new.crt*
    """
    fleet = Fleet.open(directory)
    certificate = lifecycle.issue_for(fleet.context, device_id, _read_text(csr))
    if output is not None:
        output.write_text(certificate.signed_pem)
    _show(
        as_json,
        {
            "device_id": device_id,
            "certificate_id": certificate.certificate_id,
            "certificate": certificate.signed_pem,
            "chain": fleet.context.issuer.chain_pem,
        },
        f"wrote certificate {certificate.certificate_id} to {output}"
        if output
        else certificate.signed_pem.rstrip(),
    )


@app.command()
def allow(
    device_id: DeviceId,
    within: Annotated[int, typer.Option(min=1, help="For how many minutes.")] = 60,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Let a device enrol once more, though it holds a certificate that works.

    For a device that lost its identity: after a factory reset, or a repair.
    """
    fleet = Fleet.open(directory)
    lifecycle.allow_reenrollment(fleet.context, device_id, timedelta(minutes=within))
    _show(
        as_json,
        {"device_id": device_id, "within_minutes": within},
        f"{device_id} may enrol once within {within} minutes",
    )


def main() -> None:
    """Run the command; what goes wrong is told in one or two lines and an exit code."""
    try:
        app()
    except FleetError as error:
        _fail(error)
    except Rejected as rejected:
        _fail(FleetError(f"refused ({rejected.code}): {rejected.message}", exit_code=Exit.REFUSED))
    except SQLAlchemyError as error:
        _fail(FleetError(f"the registry cannot be used: {error}", "", Exit.ENVIRONMENT))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(FleetError(f"{where}{error.strerror or error}", "", Exit.ENVIRONMENT))


def _fail(error: FleetError) -> None:
    _complain(f"fleetpki: {error.message}")
    if error.hint:
        _complain(f"  {error.hint}")
    sys.exit(error.exit_code)


def _complain(text: str) -> None:
    err.print(text, markup=False, highlight=False, soft_wrap=True)


def _show(as_json: bool, data: Any, people: RenderableType) -> None:
    """Print the result. Plain text bypasses rich, which would wrap and colour it."""
    if as_json:
        print(json.dumps(data, indent=2), flush=True)
    elif isinstance(people, str):
        print(people, flush=True)
    else:
        out.print(people)


def _passphrase(file: Path | None) -> bytes:
    if file is not None:
        passphrase = _read_text(file).rstrip("\r\n")
        if file.stat().st_mode & stat.S_IROTH:
            _complain(f"warning: {file} can be read by every user of this machine")
        return passphrase.encode()
    if not sys.stdin.isatty():
        raise FleetError(
            "no passphrase for the root key",
            "give --passphrase-file, or run this in a terminal",
            Exit.REFUSED,
        )
    typed: str = typer.prompt("Passphrase for the root key", hide_input=True, confirmation_prompt=True)
    return typed.encode()


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise FleetError(f"{path} is not a text file", "", Exit.REFUSED) from None
    except OSError as error:
        raise FleetError(f"cannot read {path}: {error.strerror}", "", Exit.REFUSED) from error


def _known(device: Device | None, device_id: str) -> Device:
    if device is None:
        raise FleetError(f"no device {device_id!r}", "see 'fleetpki devices'", Exit.REFUSED)
    return device


def _check_owner(fleet: Fleet, device_id: str, certificate_id: str) -> None:
    with reading(fleet.sessions) as session:
        certificate = queries.certificate(session, certificate_id)
        if certificate is None or certificate.device_id != device_id:
            raise FleetError(
                f"{device_id} has no certificate {certificate_id}",
                f"see 'fleetpki show {device_id} --json' for the full ids",
                Exit.REFUSED,
            )


def _push(fleet: Fleet, device_id: str, key: KeyRequest) -> Rotation:
    """Send a new key to a device that is online. If it is not, the key is gone and the rotation over."""
    rotation, credential = lifecycle.push_rotation(fleet.context, device_id, key=key)
    topic = topics.certs(device_id, "rotate")
    delivered = False
    try:
        delivered = push_message(
            fleet.operator_bus(), topic, _push_message(rotation, credential).to_payload()
        )
    finally:
        if not delivered:
            lifecycle.abandon_rotation(
                fleet.context,
                device_id,
                rotation.rotation_id,
                Code.BUSY,
                "the device did not get the new key",
            )
    if not delivered:
        raise FleetError(f"{device_id} is offline; nothing was sent to it", "try again when it is online")
    return rotation


def _push_message(rotation: Rotation, credential: PushedCredential) -> messages.PushedRotation:
    return messages.PushedRotation(
        new_certificate=credential.certificate_pem,
        new_private_key=credential.private_key_pem,
        chain=credential.chain_pem,
        rotation_id=rotation.rotation_id,
    )


def _wait(fleet: Fleet, device_id: str, rotation_id: str, timeout_s: float, *, quiet: bool) -> views.Data:
    """Follow a rotation until it ends or the time is up; for people, name every state it passes through."""
    deadline = time.monotonic() + timeout_s
    state = ""
    with err.status(f"rotating {device_id}") as status:
        while True:
            rotation = _rotation_data(fleet, device_id, rotation_id)
            if rotation["state"] != state:
                state = rotation["state"]
                status.update(f"rotating {device_id}: {state}")
                if not quiet:
                    err.print(f"{device_id}: {state}", highlight=False)
            if state in IN_THE_END or time.monotonic() >= deadline:
                return rotation
            time.sleep(POLL_S)


def _rotation_data(fleet: Fleet, device_id: str, rotation_id: str) -> views.Data:
    with reading(fleet.sessions) as session:
        rotation = queries.rotation(session, device_id, rotation_id)
        if rotation is None:
            raise FleetError(f"rotation {rotation_id} of {device_id} is gone from the registry")
        return views.rotation_data(rotation)


if __name__ == "__main__":
    main()
