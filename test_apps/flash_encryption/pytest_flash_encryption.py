# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A device whose flash is encrypted, with the keys of its store in a partition: see README.md."""

import secrets
from pathlib import Path

import pytest
from pytest_embedded import Dut

from fleetpki.factory.images import NvsKey
from tests.embedded.events import CERTIFICATE, ONLINE, device_id_of, expect_id, expect_unusable_store
from tests.embedded.machines import CutPower, Qemu
from tests.embedded.outside import Outside

pytestmark = [
    pytest.mark.chip,
    pytest.mark.burns_efuses,
    pytest.mark.flash_file,
    pytest.mark.timeout(1800),  # the first start encrypts the flash
]

PARTITIONS = Path(__file__).parents[2] / "partitions.prod.csv"


def is_key(image: bytes) -> bool:
    """Whether a partition `nvs_keys` could be used as it is: key and checksum."""
    return NvsKey(image[:64]).partition_image()[:68] == image[:68]


def test_nothing_is_on_the_flash_in_the_clear(
    online: tuple[Dut, str], machine: Qemu, cut_power: CutPower, device_id: str
) -> None:
    dut, identity = online
    flash = machine.flash.read_bytes()
    assert b"PRIVATE KEY" in machine.command_line.build.flash_image(), "the bootstrap key, in the firmware"
    for secret in (b"PRIVATE KEY", b"CERTIFICATE", b"settings", device_id.encode()):
        assert secret not in flash
    keys = machine.read_partition("nvs_keys")
    assert keys.strip(b"\xff"), "the device has made keys"
    assert not is_key(keys)
    dut = cut_power(dut)
    assert expect_id(dut, ONLINE) == identity
    assert machine.read_partition("nvs_keys") == keys


@pytest.mark.parametrize(
    ("keys", "why"),
    [(secrets.token_bytes(4096), "cannot be used"), (b"\xff" * 4096, "there are no")],
    ids=["destroyed", "erased"],
)
def test_without_its_keys_the_store_is_left_alone_until_they_are_back(
    console: Dut, machine: Qemu, cut_power: CutPower, keys: bytes, why: str
) -> None:
    name, own, certs = (
        device_id_of(console),
        machine.read_partition("nvs_keys"),
        machine.read_partition("certs"),
    )
    dut = cut_power(console, lambda: machine.write_partition("nvs_keys", keys))
    machine.await_console(dut)
    expect_unusable_store(dut, why)
    assert machine.read_partition("nvs_keys") == keys
    assert machine.read_partition("certs") == certs
    dut = cut_power(dut, lambda: machine.write_partition("nvs_keys", own))
    machine.await_console(dut)
    assert device_id_of(dut) == name


def test_keys_whose_making_was_cut_short_are_made_again(
    console: Dut, machine: Qemu, cut_power: CutPower
) -> None:
    half_written = secrets.token_bytes(4096)

    def first_start_is_cut() -> None:
        machine.write_partition("nvs_keys", half_written)
        machine.write_partition("certs", b"\xff" * len(machine.read_partition("certs")))

    dut = cut_power(console, first_start_is_cut)
    dut.expect_exact("first start: making the NVS encryption keys")
    machine.await_console(dut)
    device_id_of(dut)
    assert machine.read_partition("nvs_keys") != half_written


@pytest.fixture
def images(outside: Outside, device_id: str) -> dict[str, bytes]:
    """What the factory makes for the device, by partition."""
    return outside.factory_images(device_id, PARTITIONS, "--encryption", "flash")


@pytest.fixture
def from_the_factory(machine: Qemu, images: dict[str, bytes]) -> None:
    """The factory's images in the flash of a device that has never been on."""
    assert is_key(images["nvs_keys"])
    for name, image in images.items():
        machine.write_partition(name, image)


def test_a_device_from_the_factory_enrols_with_its_keys_encrypted(
    from_the_factory: None,
    dut: Dut,
    machine: Qemu,
    outside: Outside,
    device_id: str,
    images: dict[str, bytes],
) -> None:
    dut.expect_exact(f"boot: id={device_id}")
    issued = expect_id(dut, f"enroll: accepted {CERTIFICATE}")
    assert expect_id(dut, ONLINE) == issued
    outside.until("activated", lambda: outside.world.active(device_id) == issued)
    assert not is_key(machine.read_partition("nvs_keys"))
    assert images["nvs_keys"][:64] not in machine.flash.read_bytes()
