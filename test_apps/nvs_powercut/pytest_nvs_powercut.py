# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The identity store on the real NVS, with the power cut at every step: see README.md."""

import re

import pytest
from pytest_embedded import Dut

SWEEP_S = 3600


@pytest.mark.linux
@pytest.mark.timeout(SWEEP_S)
def test_no_cut_loses_an_identity(dut: Dut) -> None:
    result = dut.expect(
        re.compile(rb"nvs_powercut: (\d+) cut points, (\d+) pairs, (\d+) lost"), timeout=SWEEP_S
    )
    assert int(result[1]) > 0
    assert int(result[2]) > 0
    assert int(result[3]) == 0
