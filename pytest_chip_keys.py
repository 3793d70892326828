# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A device whose private key the chip protects: firmware built with sdkconfig.ci.key_hmac or key_ds."""

import pytest
from pytest_embedded import Dut

from tests.embedded.events import CERTIFICATE, ONLINE, expect_id
from tests.embedded.machines import CommandLine, CutPower
from tests.embedded.outside import Outside

pytestmark = [pytest.mark.chip, pytest.mark.burns_efuses, pytest.mark.timeout(1800)]


@pytest.fixture
def backend(command_line: CommandLine) -> str:
    """How the firmware under test keeps its keys."""
    for name in ("hmac", "ds"):
        if command_line.build.setting(f"CERT_MGMT_KEY_BACKEND_{name.upper()}"):
            return name
    pytest.skip("needs firmware that keeps its keys in the chip: sdkconfig.ci.key_hmac or key_ds")


def expect_key_in_chip(dut: Dut, backend: str) -> bytes:
    """Ask the device for its key; the eFuse block that protects it."""
    dut.write("keys")
    dut.expect_exact(f"keys: backend={backend} identity={backend}")
    block: bytes = dut.expect(rb"keys: identity_efuse=(KEY\d)")[1]
    return block


def expect_committed(dut: Dut, outside: Outside, device_id: str) -> str:
    """Wait for the end of a rotation, on both sides; the new certificate."""
    new = expect_id(dut, f"rotation: committed id=.* {CERTIFICATE}")
    outside.until("committed", lambda: outside.world.active(device_id) == new)
    return new


def test_renews_on_the_key_it_has_and_keeps_it_over_a_loss_of_power(
    backend: str,
    online: tuple[Dut, str],
    cut_power: CutPower,
    outside: Outside,
    device_id: str,
) -> None:
    dut, old = online
    block = expect_key_in_chip(dut, backend)
    outside.do(outside.cloud.json("rotate", device_id, "--key", "same", "--no-wait"))
    new = expect_committed(dut, outside, device_id)
    assert new != old
    dut = cut_power(dut)
    assert expect_id(dut, ONLINE) == new
    assert expect_key_in_chip(dut, backend) == block


def test_a_new_key_takes_no_efuse_or_is_refused(
    backend: str, online: tuple[Dut, str], outside: Outside, device_id: str
) -> None:
    dut, old = online
    block = expect_key_in_chip(dut, backend)
    outside.do(outside.cloud.json("rotate", device_id, "--no-wait"))
    if backend == "ds":
        dut.expect_exact("rotation: rejected code=unsupported")
        assert outside.world.active(device_id) == old
    else:
        assert expect_committed(dut, outside, device_id) != old
    assert expect_key_in_chip(dut, backend) == block
