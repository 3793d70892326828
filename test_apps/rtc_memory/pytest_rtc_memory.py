# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The boot guard's memory: kept over every reset but a loss of power. See README.md."""

from collections.abc import Callable

import pytest
from pytest_embedded import Dut

pytestmark = pytest.mark.timeout(900)

CRASHES = ("abort", "task-watchdog", "interrupt-watchdog")


@pytest.fixture
def booted(dut: Dut) -> Dut:
    """A device that has booted for the first time."""
    dut.expect_exact("rtc_memory: boots=1")
    return dut


def test_boots_are_counted_over_restarts(booted: Dut) -> None:
    for boots in (2, 3, 4):
        booted.write("restart")
        booted.expect_exact(f"rtc_memory: boots={boots}")


@pytest.mark.chip
@pytest.mark.parametrize("how", CRASHES)
def test_boots_are_counted_over_crashes(booted: Dut, how: str) -> None:
    for boots in (2, 3, 4):
        booted.write(how)
        booted.expect_exact(f"rtc_memory: boots={boots}")


def test_a_loss_of_power_loses_the_count(booted: Dut, cut_power: Callable[[Dut], Dut]) -> None:
    booted.write("restart")
    booted.expect_exact("rtc_memory: boots=2")
    cut_power(booted).expect_exact("rtc_memory: boots=1")


def test_a_count_that_was_cleared_begins_anew(booted: Dut) -> None:
    booted.write("clear")
    booted.expect_exact("rtc_memory: cleared")
    booted.write("restart")
    booted.expect_exact("rtc_memory: boots=1")
