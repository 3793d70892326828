# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Burning keys into virtual eFuses: see README.md."""

import pytest
from pytest_embedded import Dut

from tests.embedded.machines import CutPower, Qemu

pytestmark = [pytest.mark.chip, pytest.mark.flash_file, pytest.mark.timeout(900)]

BOOT_S = 300


def test_a_key_is_burned_once_and_the_chip_is_as_it_was(dut: Dut, machine: Qemu, cut_power: CutPower) -> None:
    efuses = machine.efuses.read_bytes()
    dut.expect_exact("3 Tests 0 Failures 0 Ignored", timeout=BOOT_S)
    dut = cut_power(dut)
    dut.expect_exact("1 Tests 0 Failures 0 Ignored", timeout=BOOT_S)
    assert machine.efuses.read_bytes() == efuses


def test_a_locked_read_protection_is_refused(dut: Dut, machine: Qemu, cut_power: CutPower) -> None:
    def lock() -> None:
        machine.lock_read_protection()
        machine.write_partition("efuse_em", b"\xff" * len(machine.read_partition("efuse_em")))

    dut = cut_power(dut, lock)
    dut.expect_exact("test_nothing_is_burned_when_the_read_protection_is_locked:PASS", timeout=BOOT_S)
