# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Look at devices, allow and revoke them, certify their keys."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from fleetpki import files, lifecycle, views
from fleetpki.cli.common import (
    DEFAULT_DIR,
    DeviceId,
    Directory,
    Exit,
    Json,
    Reason,
    complain,
    present,
    read_text,
)
from fleetpki.errors import FleetError
from fleetpki.fleet import Fleet
from fleetpki.inputs import MAX_REENROLLMENT_MINUTES
from fleetpki.lifecycle import authorities
from fleetpki.lifecycle.devices import UNCHANGED
from fleetpki.registry import pages, queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import Device, DeviceState

app = typer.Typer()

MIN_ID = 8
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1)}


@app.command()
def devices(
    group: Annotated[str | None, typer.Option(help="Only of this group.")] = None,
    tag: Annotated[str | None, typer.Option(metavar="KEY=VALUE", help="Only with this tag.")] = None,
    batch: Annotated[str | None, typer.Option(help="Only of this batch.")] = None,
    state: Annotated[DeviceState | None, typer.Option(help="Only in this state.")] = None,
    expires_within: Annotated[
        str | None, typer.Option(metavar="30d", help="Only whose certificate ends within this time (d or h).")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    after: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Go on where the list before ended; it said so.")
    ] = None,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """List devices by id, or by the end of their certificates; each with the certificate it works with.

    Example: *fleetpki devices --group cellar --expires-within 30d*
    """
    fleet = Fleet.open(directory)
    with reading(fleet.sessions) as session:
        listed = pages.as_many(
            limit,
            after,
            lambda place, missing: pages.devices(
                session,
                after=place,
                limit=missing,
                state=state,
                group=group,
                batch=batch,
                tag=_tag(tag) if tag else None,
                expires_before=fleet.context.clock() + _duration(expires_within) if expires_within else None,
            ),
        )
        certificates = pages.certificate_ids(session, listed.rows)
        found = [views.device_data(device, certificates.get(device.device_id)) for device in listed.rows]
    people = (
        views.device_table(found)
        if found
        else "No devices yet, or none like this: they appear when they enrol."
    )
    present(as_json, found, people)
    if listed.next is not None:
        complain(f"there may be more: --after {listed.next}")


@app.command()
def tag(
    device_id: DeviceId,
    tags: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="KEY= removes a tag.")] = None,
    group: Annotated[
        str | None, typer.Option(help='Put the device into this group; "" takes it out.')
    ] = None,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Set tags of a device, or its group; other tags stay.

    Example: *fleetpki tag sensor-17 site=cellar --group pumps*
    """
    fleet = Fleet.open(directory)
    with reading(fleet.sessions) as session:
        device = _known(queries.device(session, device_id), device_id)
    changes = dict(_tag(text) for text in tags or [])
    wanted = {key: value for key, value in {**device.tags, **changes}.items() if value}
    changed = lifecycle.update_device(
        fleet.context,
        device_id,
        version=device.version,
        tags=wanted,
        group=UNCHANGED if group is None else group or None,
    )
    labels = " ".join(f"{key}={value}" for key, value in sorted(changed.tags.items()))
    present(
        as_json,
        {"device_id": device_id, "group": changed.group, "tags": changed.tags},
        f"{device_id}  group {changed.group or '-'}  {labels}",
    )


@app.command()
def suspend(
    device_id: DeviceId,
    reason: Reason = "unspecified",
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Keep a device out until it is resumed. Its live session ends at once; its certificates stay good.

    Example: *fleetpki suspend sensor-17 --reason "odd traffic"*
    """
    lifecycle.suspend_device(Fleet.open(directory).context, device_id, reason)
    present(
        as_json,
        {"device_id": device_id, "state": "suspended", "reason": reason},
        f"suspended {device_id}; `fleetpki resume {device_id}` lets it in again",
    )


@app.command()
def resume(device_id: DeviceId, directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """Let a suspended device in again.

    Example: *fleetpki resume sensor-17*
    """
    lifecycle.resume_device(Fleet.open(directory).context, device_id)
    present(as_json, {"device_id": device_id, "state": "active"}, f"resumed {device_id}")


@app.command()
def show(device_id: DeviceId, directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """Show one device: its certificates and its rotations, oldest first.

    Example: *fleetpki show sensor-17*
    """
    with reading(Fleet.open(directory).sessions) as session:
        known = _known(queries.device(session, device_id), device_id)
        device = views.device_data(known, pages.certificate_ids(session, [known]).get(device_id))
        certificates = [views.certificate_data(each) for each in queries.certificates(session, device_id)]
        rotations = [views.rotation_data(each) for each in queries.rotations(session, device_id)]
    present(
        as_json,
        {**device, "certificates": certificates, "rotations": rotations},
        views.device_page(device, certificates, rotations),
    )


@app.command()
def revoke(
    device_id: DeviceId,
    certificate: Annotated[
        str | None,
        typer.Option(
            metavar="CERTIFICATE",
            help=f"Revoke only this certificate: its id, or the first {MIN_ID} characters of it or more.",
        ),
    ] = None,
    reason: Reason = "unspecified",
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
        certificate = _certificate_id(fleet, device_id, certificate)
        lifecycle.revoke_certificate(fleet.context, certificate, reason)
    present(
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
    certificate = lifecycle.issue_for(fleet.context, device_id, read_text(csr))
    if output is not None:
        files.replace(output, certificate.signed_pem, mode=0o644)
    present(
        as_json,
        {
            "device_id": device_id,
            "certificate_id": certificate.certificate_id,
            "certificate": certificate.signed_pem,
            "chain": authorities.chain(fleet.context, certificate),
        },
        f"wrote certificate {certificate.certificate_id} to {output}"
        if output
        else certificate.signed_pem.rstrip(),
    )


@app.command()
def allow(
    device_id: DeviceId,
    within: Annotated[
        int, typer.Option(min=1, max=MAX_REENROLLMENT_MINUTES, help="For how many minutes.")
    ] = 60,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Let a device enrol once more, though it holds a certificate that works.

    For a device that lost its identity: after a factory reset, or a repair.

    Example: *fleetpki allow sensor-17 --within 30*
    """
    fleet = Fleet.open(directory)
    lifecycle.allow_reenrollment(fleet.context, device_id, timedelta(minutes=within))
    present(
        as_json,
        {"device_id": device_id, "within_minutes": within},
        f"{device_id} may enrol once within {within} minutes",
    )


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise FleetError(f"{text!r} is no tag", "write it as key=value", Exit.REFUSED)
    return key, value


def _duration(text: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdecimal() or len(number) > 5:
        raise FleetError(f"{text!r} is no time", "write it as 30d or 12h", Exit.REFUSED)
    return int(number) * _UNITS[unit]


def _known(device: Device | None, device_id: str) -> Device:
    if device is None:
        raise FleetError(f"no device {device_id!r}", "see 'fleetpki devices'", Exit.REFUSED)
    return device


def _certificate_id(fleet: Fleet, device_id: str, beginning: str) -> str:
    """The id of the one certificate of a device that begins like this."""
    with reading(fleet.sessions) as session:
        ids = [each.certificate_id or "" for each in queries.certificates(session, device_id)]
    found = [each for each in ids if each.startswith(beginning)]
    if len(found) != 1 or len(beginning) < MIN_ID:
        raise FleetError(
            f"{device_id} has no certificate {beginning}, or more than one",
            f"give {MIN_ID} or more characters of an id that 'fleetpki show {device_id}' prints",
            Exit.REFUSED,
        )
    return found[0]
