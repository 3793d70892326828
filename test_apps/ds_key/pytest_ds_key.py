# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""An RSA key in the Digital Signature peripheral: see README.md."""

from collections.abc import Callable

import pytest
from pytest_embedded import Dut

pytestmark = [pytest.mark.chip, pytest.mark.burns_efuses]

KEY_S = 900
"""An RSA key takes minutes in an emulator on a busy machine."""

PASSED = "6 Tests 0 Failures 0 Ignored"


@pytest.mark.timeout(2 * KEY_S)
def test_a_key_is_made_once_and_outlives_a_loss_of_power(dut: Dut, cut_power: Callable[[Dut], Dut]) -> None:
    dut.expect(rb"ds_key: made_ms=\d+", timeout=KEY_S)
    dut.expect_exact(PASSED, timeout=KEY_S)
    cut_power(dut).expect_exact(PASSED, timeout=KEY_S)
