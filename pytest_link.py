# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A device whose network goes while it is running, and comes back.

How to run it where: tests/embedded/README.md.
"""

import re
import time

import pytest
from pytest_embedded import Dut

from tests.embedded.events import BACK_ONLINE, CERTIFICATE, expect_id
from tests.embedded.machines import Qemu
from tests.embedded.outside import Outside

pytestmark = [pytest.mark.cable, pytest.mark.timeout(900)]

NOTHING_HELD_AGAINST_IT = re.compile(
    rb"why=(refused|unknown|server_untrusted)|rolled_back|identity=bootstrap"
)

#: Several times the longest delay between two attempts to connect.
LONG_S = 15


def expect_offline(dut: Dut, device_id: str) -> None:
    """The device says that it has no network, and that nobody has refused it."""
    dut.write("status")
    dut.expect(
        re.compile(rf"status: id={device_id} phase=waiting .* refusals=0 last_failure=network".encode())
    )
    dut.expect_exact("network: waiting for an address")


def test_is_back_as_who_it_was_when_the_cable_is(
    online: tuple[Dut, str], machine: Qemu, outside: Outside, device_id: str
) -> None:
    dut, identity = online
    for _ in range(2):
        machine.set_cable(dut, plugged_in=False)
        dut.expect_exact("disconnected: identity=operational why=network")
        expect_offline(dut, device_id)
        machine.set_cable(dut, plugged_in=True)
        back = dut.expect(re.compile(BACK_ONLINE.encode()), not_matching=NOTHING_HELD_AGAINST_IT)
        assert back[1].decode() == identity
    assert len(outside.cloud.certificates(device_id)) == 1


def test_does_not_try_to_connect_while_the_cable_is_out(
    online: tuple[Dut, str], machine: Qemu, device_id: str
) -> None:
    dut, identity = online
    machine.set_cable(dut, plugged_in=False)
    dut.expect_exact("disconnected: identity=operational why=network")
    expect_offline(dut, device_id)
    time.sleep(LONG_S)
    dut.write("status")
    dut.expect_exact("network: waiting for an address", not_matching=re.compile(rb"connecting: "))
    machine.set_cable(dut, plugged_in=True)
    assert expect_id(dut, BACK_ONLINE) == identity


def test_finishes_a_rotation_when_the_cable_was_out_during_the_trial(
    online: tuple[Dut, str], machine: Qemu, outside: Outside, device_id: str
) -> None:
    dut, old = online
    outside.do(outside.cloud.ask_to_rotate(device_id))
    dut.expect_exact("connecting: identity=trial")
    machine.set_cable(dut, plugged_in=False)
    dut.expect_exact("disconnected: identity=trial why=network", not_matching=NOTHING_HELD_AGAINST_IT)
    dut.write("status")
    dut.expect(re.compile(rb"status: .* phase=waiting identity=trial .* trial=[AB] refusals=0 "))
    dut.expect_exact("network: waiting for an address")
    assert outside.world.active(device_id) == old
    machine.set_cable(dut, plugged_in=True)
    committed = re.compile(f"rotation: committed id=[0-9a-f-]+ {CERTIFICATE}".encode())
    new = dut.expect(committed, not_matching=NOTHING_HELD_AGAINST_IT)[1].decode()
    assert new != old
    outside.until("committed", lambda: outside.world.active(device_id) == new)
