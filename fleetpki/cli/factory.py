# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Make devices in the factory: images, manifest, flashing."""

from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from fleetpki.cli.common import DEFAULT_DIR, Directory, Exit, Json, err, present, read_text
from fleetpki.config import LOOPBACK_NAMES
from fleetpki.errors import FleetError
from fleetpki.factory.manifest import Manifest, Step
from fleetpki.factory.order import Encryption, Order
from fleetpki.fleet import Fleet
from fleetpki.lifecycle.context import OPERATOR

app = typer.Typer(no_args_is_help=True)

Production = Annotated[Path, typer.Option("--out", help="The production directory: images and manifest.")]

DEFAULT_PRODUCTION = Path("production")
TOOLS = ("esptool", "esp_secure_cert", "esp_idf_nvs_partition_gen")


@app.command()
def make(
    batch: Annotated[str, typer.Option(help="The batch these devices belong to.")] = "bootstrap-1",
    ids: Annotated[Path | None, typer.Option(help="File with device ids, one a line.")] = None,
    count: Annotated[int, typer.Option(min=0, help="Or: so many devices, numbered.")] = 0,
    prefix: Annotated[str, typer.Option(help="What the numbered ids begin with.")] = "device-",
    host: Annotated[
        str | None, typer.Option(help="Where devices find the broker. [default: first of the fleet]")
    ] = None,
    time_server: Annotated[
        str | None,
        typer.Option(help="Whom devices ask for the time. [default: what the firmware was built with]"),
    ] = None,
    encryption: Annotated[
        Encryption,
        typer.Option(
            help="How the device's store is encrypted: hmac burns the key into eFuses, "
            "flash keeps it in the partition nvs_keys, for chips with flash encryption."
        ),
    ] = Encryption.NONE,
    own_bootstrap: Annotated[
        bool,
        typer.Option(
            "--own-bootstrap",
            help="Give each device a bootstrap certificate of its own, as an esp_secure_cert image, "
            "instead of the batch's in the firmware.",
        ),
    ] = False,
    group: Annotated[str | None, typer.Option(help="The group the devices will be in.")] = None,
    partition_table: Annotated[Path, typer.Option(help="The firmware's partition table.")] = Path(
        "partitions.csv"
    ),
    output: Production = DEFAULT_PRODUCTION,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Make flash images for devices, and put them on the allow-list.

    Run it again after an interruption: what is made is not made twice. The images hold secrets; **factory
    flash** deletes each device's when it is flashed.

    Example: *fleetpki factory make --ids line-7.txt --encryption hmac --own-bootstrap*
    """
    _require_tools()
    from fleetpki.factory.production import Line

    fleet = Fleet.open(directory)
    wanted = _device_ids(ids, count, prefix)
    public_names = [name for name in fleet.settings.hosts if name not in LOOPBACK_NAMES]
    order = Order(
        batch=batch,
        host=host or next(iter(public_names), LOOPBACK_NAMES[1]),
        encryption=encryption,
        own_bootstrap=own_bootstrap,
        partition_table=partition_table,
        batch_secret=fleet.context.batch_secret(batch),
        group=group,
        time_server=time_server,
    )
    line = Line(fleet, order, output, actor=OPERATOR)
    for _ in track(line.make(wanted), "making devices", total=len(wanted), console=err, disable=as_json):
        pass
    present(
        as_json,
        {"directory": str(output.absolute()), "devices": wanted},
        f"{len(wanted)} devices are in {output}. Next: fleetpki factory flash ID --port PORT",
    )


@app.command()
def status(output: Production = DEFAULT_PRODUCTION, as_json: Json = False) -> None:
    """Show how far a production run is."""
    devices = Manifest(output).devices
    if not devices:
        hint = "begin one with 'fleetpki factory make'"
        raise FleetError(f"no production run in {output}", hint, Exit.REFUSED)
    counts = Counter(entry.step for entry in devices.values())
    present(
        as_json,
        {
            "counts": {step: counts[step] for step in Step},
            "devices": [entry.model_dump(mode="json", exclude_none=True) for entry in devices.values()],
        },
        ", ".join(f"{counts[step]} {step}" for step in Step),
    )


@app.command()
def flash(
    port: Annotated[str, typer.Option(help="The serial port of the board, e.g. /dev/ttyUSB0.")],
    device_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Which device. [default: the next not flashed]")
    ] = None,
    burn_block: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=5,
            help="eFuse key block to burn the store's key into, empty and the one the firmware is built for. "
            "**Cannot be undone.**",
        ),
    ] = None,
    output: Production = DEFAULT_PRODUCTION,
    as_json: Json = False,
) -> None:
    """Make the chip at a serial port one of the devices, then delete that device's images.

    The chip must be new, or erased; the firmware comes afterwards, as its first start may lock the chip.
    After an interruption run it again with the same board.

    Example: *fleetpki factory flash --port /dev/ttyUSB0 --burn-block 1*
    """
    _require_tools()
    from fleetpki.factory import flashing

    manifest = Manifest(output)
    chosen = device_id or next(
        (name for name, entry in manifest.devices.items() if entry.step != Step.FLASHED), None
    )
    if chosen is None:
        hint = "see 'fleetpki factory status'"
        raise FleetError(f"no device in {output} waits to be flashed", hint, Exit.REFUSED)
    with err.status(f"flashing {chosen}"):
        entry = flashing.flash(output, manifest, chosen, port, burn_block)
    present(as_json, entry.model_dump(mode="json", exclude_none=True), f"{chosen} is chip {entry.mac}")


def _require_tools() -> None:
    """Espressif's tools are many and slow to load: an extra of the package, loaded only here."""
    missing = [name for name in TOOLS if find_spec(name) is None]
    if missing:
        raise FleetError(
            f"{', '.join(missing)} not installed", "run: pip install 'fleetpki[factory]'", Exit.ENVIRONMENT
        )


def _device_ids(file: Path | None, count: int, prefix: str) -> list[str]:
    if (file is None) == (count == 0):
        raise FleetError("which devices?", "give either --ids or --count", Exit.REFUSED)
    if file is None:
        digits = max(4, len(str(count)))
        return [f"{prefix}{number:0{digits}}" for number in range(1, count + 1)]
    names = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise FleetError(f"{file} names {twice} twice", "every device has its own id", Exit.REFUSED)
    return names
