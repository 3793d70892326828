# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Rotate one device and wait for the outcome."""

import time
from typing import Annotated

import typer

from fleetpki import lifecycle, views
from fleetpki.cli.common import DEFAULT_DIR, DeviceId, Directory, Exit, Json, err, present
from fleetpki.errors import FleetError
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import KeyRequest
from fleetpki.mqtt.pushed_key import push_new_key
from fleetpki.registry import queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import RotationState

app = typer.Typer()

POLL_S = 0.1

IN_THE_END = (
    RotationState.COMMITTED,
    RotationState.REJECTED,
    RotationState.ROLLED_BACK,
    RotationState.ABANDONED,
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
        push_new_key(fleet.context, fleet.operator_bus(), device_id, key)
        if push
        else lifecycle.start_rotation(fleet.context, device_id, key=key)
    )
    if no_wait:
        present(
            as_json, _rotation_data(fleet, device_id, rotation.rotation_id), f"asked {device_id} to rotate"
        )
        return
    result = _wait(fleet, device_id, rotation.rotation_id, timeout, quiet=as_json)
    reason = f" ({result['code']}: {result['message']})" if result["code"] else ""
    present(as_json, result, f"{device_id}: {result['state']}{reason}")
    if result["state"] != RotationState.COMMITTED:
        raise typer.Exit(Exit.FAILED if result["state"] in IN_THE_END else Exit.PENDING)


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
