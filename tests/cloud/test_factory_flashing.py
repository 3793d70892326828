# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The manifest of a production run, and what flashing refuses before it touches a chip."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleetpki.errors import FleetError
from fleetpki.factory.flashing import discard_images, flash
from fleetpki.factory.manifest import NAME, Entry, Image, Manifest, Step

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTENT = b"flash image"


def made(directory: Path, device_id: str = "sensor-1", *, efuse_key: bool = False) -> Entry:
    """A device as the factory leaves it for flashing."""
    (directory / device_id).mkdir()
    (directory / device_id / "certs.bin").write_bytes(CONTENT)
    if efuse_key:
        (directory / device_id / "nvs_hmac.key").write_bytes(bytes(32))
    image = Image(file=f"{device_id}/certs.bin", offset=0x9000, sha256=hashlib.sha256(CONTENT).hexdigest())
    key = f"{device_id}/nvs_hmac.key" if efuse_key else None
    return Entry(device_id=device_id, step=Step.MADE, at=NOW, images=[image], efuse_key=key)


def test_a_manifest_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    entry = made(tmp_path)
    manifest.append(entry)
    assert Manifest(tmp_path).devices == {"sensor-1": entry}


def test_a_later_step_keeps_the_images_of_the_device(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    entry = made(tmp_path)
    manifest.append(entry)
    manifest.append(Entry(device_id="sensor-1", step=Step.FLASHED, at=NOW, mac="02:00:00:00:00:01"))
    again = Manifest(tmp_path).devices["sensor-1"]
    assert (again.step, again.images) == (Step.FLASHED, entry.images)


def test_the_half_line_of_a_killed_run_is_dropped_and_the_run_goes_on(tmp_path: Path) -> None:
    Manifest(tmp_path).append(made(tmp_path))
    with (tmp_path / NAME).open("a") as file:
        file.write('{"device_id":"sensor-2","st')
    manifest = Manifest(tmp_path)
    manifest.append(made(tmp_path, "sensor-3"))
    assert list(Manifest(tmp_path).devices) == ["sensor-1", "sensor-3"]


def test_a_damaged_manifest_is_refused_with_its_line(tmp_path: Path) -> None:
    Manifest(tmp_path).append(made(tmp_path))
    with (tmp_path / NAME).open("a") as file:
        file.write('{"device_id": 7}\n')
    with pytest.raises(FleetError, match="line 2 is no entry"):
        Manifest(tmp_path)


def test_a_device_that_is_not_in_the_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="not in the manifest"):
        flash(tmp_path, Manifest(tmp_path), "sensor-1", "/dev/null", None)


def test_a_device_is_flashed_once(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.append(made(tmp_path))
    manifest.append(Entry(device_id="sensor-1", step=Step.FLASHED, at=NOW, mac="02:00:00:00:00:01"))
    with pytest.raises(FleetError, match="flashed already, chip 02:00:00:00:00:01"):
        flash(tmp_path, manifest, "sensor-1", "/dev/null", None)


def test_an_image_that_was_changed_is_not_flashed(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.append(made(tmp_path))
    (tmp_path / "sensor-1" / "certs.bin").write_bytes(b"something else")
    with pytest.raises(FleetError, match="not what the manifest says"):
        flash(tmp_path, manifest, "sensor-1", "/dev/null", None)


@pytest.mark.parametrize(("efuse_key", "block"), [(True, None), (False, 1)])
def test_an_efuse_block_is_given_exactly_when_there_is_a_key_to_burn(
    tmp_path: Path, efuse_key: bool, block: int | None
) -> None:
    manifest = Manifest(tmp_path)
    manifest.append(made(tmp_path, efuse_key=efuse_key))
    with pytest.raises(FleetError, match="eFuse block"):
        flash(tmp_path, manifest, "sensor-1", "/dev/null", block)


def test_without_a_board_nothing_is_lost_and_the_port_is_named(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.append(made(tmp_path))
    port = str(tmp_path / "no-such-port")
    with pytest.raises(FleetError, match="cannot be flashed") as failure:
        flash(tmp_path, manifest, "sensor-1", port, None)
    assert port in failure.value.message
    assert failure.value.exit_code == 4
    assert Manifest(tmp_path).devices["sensor-1"].step == Step.MADE
    assert (tmp_path / "sensor-1" / "certs.bin").exists()


def test_a_flashed_devices_secrets_are_deleted_and_the_batchs_shared_image_stays(tmp_path: Path) -> None:
    entry = made(tmp_path, efuse_key=True)
    (tmp_path / "esp_secure_cert.bin").write_bytes(CONTENT)
    shared = Image(file="esp_secure_cert.bin", offset=0xD000, sha256="")
    discard_images(tmp_path, entry.model_copy(update={"images": [*entry.images, shared]}))
    assert not (tmp_path / "sensor-1").exists()
    assert (tmp_path / "esp_secure_cert.bin").exists()
