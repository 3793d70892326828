# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Keys derived from an eFuse key by the HMAC peripheral: see README.md."""

from collections.abc import Callable

import pytest
from pytest_embedded import Dut

pytestmark = [pytest.mark.chip, pytest.mark.burns_efuses]

BOOT_S = 120


def public_key(dut: Dut) -> bytes:
    """What the chip derives from the app's salt, after its tests have passed."""
    dut.expect_exact("4 Tests 0 Failures 0 Ignored", timeout=BOOT_S)
    return dut.expect(rb"hmac_key: public=([0-9a-f]{64})", timeout=BOOT_S)[1]


def test_a_salt_gives_the_same_key_for_ever(dut: Dut, cut_power: Callable[[Dut], Dut]) -> None:
    before = public_key(dut)
    assert public_key(cut_power(dut)) == before
