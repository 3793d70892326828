# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Firmware that crashes on a new identity goes back to the one it had. See README.md."""

import re

import pytest
from pytest_embedded import Dut

from tests.embedded.events import BACK_ONLINE, expect_id
from tests.embedded.outside import Outside

pytestmark = [pytest.mark.chip, pytest.mark.timeout(900)]


@pytest.mark.parametrize("how", ["abort", "task-watchdog", "interrupt-watchdog"])
def test_three_crashes_on_trial_end_it(
    online: tuple[Dut, str], outside: Outside, device_id: str, how: str
) -> None:
    dut, old = online
    dut.write(f"sabotage {how}")
    dut.expect_exact(f"sabotage: {how}")
    outside.do(outside.cloud.ask_to_rotate(device_id))
    for boots in (1, 2):
        dut.expect(re.compile(rf"boot: id={device_id} .*trial=[AB] boots={boots}".encode()))
        dut.expect_exact("connecting: identity=trial")
    dut.expect_exact("rotation: rolled_back id=")
    assert expect_id(dut, BACK_ONLINE) == old
    outside.until("over", lambda: not outside.cloud.rotation_is_open(device_id))
    assert outside.world.active(device_id) == old
