# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a device's images into a chip, with Espressif's esptool and espefuse."""

import contextlib
import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import esptool
from serial import SerialException

from fleetpki.errors import FleetError
from fleetpki.factory.efuses import KeyBlock
from fleetpki.factory.manifest import Entry, Manifest, Step

_SECTOR = 0x1000
_ERASED = b"\xff" * _SECTOR


def flash(directory: Path, manifest: Manifest, device_id: str, port: str, burn_block: int | None) -> Entry:
    """Make the chip at the serial port this device, then delete its images: the chip alone holds its secrets.

    ``burn_block`` is the eFuse key block for the key of its encrypted store. Burning cannot be undone; what
    is about to be done, and to which chip, is noted first, so that a run can be repeated.
    """
    entry = _waiting(manifest, device_id, burn_block)
    images = _read_images(directory, entry)
    key = _read(directory / entry.efuse_key) if entry.efuse_key is not None else None
    with _chip(port) as chip:
        _refuse_locked(chip)
        mac = ":".join(f"{byte:02x}" for byte in chip.read_mac())
        note = partial(_note, manifest, device_id, mac, burn_block)
        _refuse_wrong_chip(manifest, entry, mac)
        if burn_block is not None and key is not None and _is_burned(chip, entry, burn_block, key):
            key = None
        stub = esptool.run_stub(chip)
        esptool.attach_flash(stub)
        if entry.step == Step.MADE:  # one that was begun may have started in between, and changed its store
            _refuse_used_flash(stub, images, mac, port)
        if burn_block is not None and key is not None:
            note(Step.BURNING)
            KeyBlock(stub, burn_block).burn(key)
        note(Step.FLASHING)
        esptool.write_flash(stub, images)
        note(Step.FLASHED)
        with contextlib.suppress(esptool.FatalError, SerialException):
            esptool.reset_chip(stub)  # a chip that stays in its boot loader is the device all the same
    discard_images(directory, entry)
    return manifest.devices[device_id]


def _waiting(manifest: Manifest, device_id: str, burn_block: int | None) -> Entry:
    """The device, if it waits to be flashed with this block."""
    entry = manifest.devices.get(device_id)
    if entry is None:
        raise FleetError(f"{device_id} is not in the manifest", "see 'fleetpki factory status'", exit_code=2)
    if entry.step == Step.FLASHED:
        raise FleetError(f"{device_id} was flashed already, chip {entry.mac}", exit_code=2)
    if (entry.efuse_key is None) != (burn_block is None):
        raise FleetError(
            "an encrypted store needs an eFuse block to burn its key into, any other none",
            "give or leave out --burn-block",
            exit_code=2,
        )
    if entry.efuse_block not in (None, burn_block):
        raise FleetError(
            f"the key of {device_id} goes into eFuse block {entry.efuse_block}, where its burning was begun",
            f"give --burn-block {entry.efuse_block}",
            exit_code=2,
        )
    return entry


def _refuse_locked(chip: esptool.ESPLoader) -> None:
    """What is written into an encrypted flash from outside is read as garbage; esptool would write it."""
    if chip.secure_download_mode:  # first, as nothing else it says could be relied on
        lock = "secure download mode"
    elif chip.get_flash_encryption_enabled():
        lock = "flash encryption"
    elif chip.get_secure_boot_enabled():
        lock = "secure boot"
    else:
        return
    raise FleetError(
        f"this chip cannot become a device: {lock} is on",
        "connect another board, on which no firmware has switched that on yet",
        exit_code=2,
    )


def _refuse_wrong_chip(manifest: Manifest, entry: Entry, mac: str) -> None:
    """One chip for each device and one device for each chip, whatever an interrupted run has left."""
    if entry.mac not in (None, mac):
        raise FleetError(
            f"{entry.device_id} was begun with another chip, {entry.mac}",
            "connect that one; if it is broken, give the id of another device",
            exit_code=2,
        )
    others = (
        name for name, other in manifest.devices.items() if name != entry.device_id and other.mac == mac
    )
    owner = next(others, None)
    if owner is not None:
        raise FleetError(f"chip {mac} belongs to {owner}", "connect the next board", exit_code=2)


def _refuse_used_flash(stub: esptool.ESPLoader, images: list[tuple[int, bytes]], mac: str, port: str) -> None:
    """What lies where the images go may be another device; firmware lies elsewhere."""
    for start, image in images:
        size = -(-len(image) // _SECTOR) * _SECTOR
        present, wanted = esptool.read_flash(stub, start, size, no_progress=True), image.ljust(size, b"\xff")
        for at in range(0, size, _SECTOR):
            if present[at : at + _SECTOR] not in (_ERASED, wanted[at : at + _SECTOR]):
                raise FleetError(
                    f"chip {mac} has something in its flash at {start + at:#x}, where an image goes",
                    "connect a new board; or, if this one is no device and holds nothing you need: "
                    f"esptool --port {port} erase-flash",
                    exit_code=2,
                )


def _note(manifest: Manifest, device_id: str, mac: str, burn_block: int | None, step: Step) -> None:
    """Before each change of a chip, so that a run that breaks off in it is known to have begun."""
    manifest.append(
        Entry(device_id=device_id, step=step, at=datetime.now(UTC), mac=mac, efuse_block=burn_block)
    )


def _is_burned(chip: esptool.ESPLoader, entry: Entry, number: int, key: bytes) -> bool:
    """Whether an earlier run has burned the key, and else whether the block can take it."""
    block = KeyBlock(chip, number)
    begun = entry.efuse_block == number
    if begun and block.sealed:
        return True
    block.require_room(begun=key if begun else None)
    return False


def discard_images(directory: Path, entry: Entry) -> None:
    """Delete what a device was made from; a batch's shared images stay until the batch is done."""
    for name in (*(image.file for image in entry.images), entry.efuse_key):
        if name is not None and name.startswith(f"{entry.device_id}/"):
            (directory / name).unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        (directory / entry.device_id).rmdir()


def _read_images(directory: Path, entry: Entry) -> list[tuple[int, bytes]]:
    images = []
    for image in entry.images:
        content = _read(directory / image.file)
        if hashlib.sha256(content).hexdigest() != image.sha256:
            raise FleetError(
                f"{directory / image.file} is not what the manifest says",
                "make the device again with 'fleetpki factory make'",
                exit_code=2,
            )
        images.append((image.offset, content))
    return images


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FleetError(f"cannot read {path}: {error.strerror}", exit_code=2) from error


@contextlib.contextmanager
def _chip(port: str) -> Iterator[esptool.ESPLoader]:
    """A connection to the chip's boot loader; what Espressif's tools print goes nowhere."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            with esptool.detect_chip(port) as chip:
                yield chip
        except (esptool.FatalError, SerialException) as error:
            raise FleetError(
                f"the chip at {port} cannot be flashed: {error}",
                "check cable and port, and hold BOOT while the board resets",
                exit_code=4,
            ) from error
