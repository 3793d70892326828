# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""An encrypted store, and what the device does with one it cannot read: see README.md."""

import pytest
from pytest_embedded import Dut

from fleetpki.factory.images import NvsKey, nvs_image
from tests.embedded.events import ONLINE, device_id_of, expect_id, expect_unusable_store
from tests.embedded.machines import CutPower, Qemu

pytestmark = [pytest.mark.chip, pytest.mark.burns_efuses, pytest.mark.timeout(900)]


def test_nothing_of_the_store_is_on_the_flash_in_the_clear(
    online: tuple[Dut, str], machine: Qemu, cut_power: CutPower, device_id: str
) -> None:
    dut, identity = online
    certs = machine.read_partition("certs")
    assert b"settings" not in certs
    assert device_id.encode() not in certs
    assert expect_id(cut_power(dut), ONLINE) == identity


@pytest.mark.parametrize("key", [None, NvsKey.random()], ids=["not encrypted", "other keys"])
def test_a_store_that_was_written_otherwise_is_left_alone(
    console: Dut, machine: Qemu, cut_power: CutPower, key: NvsKey | None
) -> None:
    foreign = nvs_image({"settings": bytes(100)}, len(machine.read_partition("certs")), key)
    dut = cut_power(console, lambda: machine.write_partition("certs", foreign))
    machine.await_console(dut)
    expect_unusable_store(dut, "other keys" if key else "not encrypted")
    assert machine.read_partition("certs") == foreign


def test_a_device_that_has_its_key_back_is_who_it_was(
    console: Dut, machine: Qemu, cut_power: CutPower
) -> None:
    name, certs = device_id_of(console), machine.read_partition("certs")
    dut = cut_power(console, machine.exchange_key5)
    machine.await_console(dut)
    expect_unusable_store(dut, "other keys")
    assert machine.read_partition("certs") == certs
    dut = cut_power(dut, machine.exchange_key5)
    machine.await_console(dut)
    assert device_id_of(dut) == name


def test_a_store_that_was_erased_is_that_of_a_new_device(
    console: Dut, machine: Qemu, cut_power: CutPower
) -> None:
    erased = b"\xff" * len(machine.read_partition("certs"))
    dut = cut_power(console, lambda: machine.write_partition("certs", erased))
    machine.await_console(dut)
    device_id_of(dut)
    assert machine.read_partition("certs") != erased
