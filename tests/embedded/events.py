# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What the device says at its console."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from pytest_embedded import Dut

#: How long a device may take to learn the time: a request that is lost is repeated after 15 s, 30 s, …
TIME_PATIENCE_S = 180

CERTIFICATE = "certificate=([0-9a-f]{64})"
ONLINE = f"connected: identity=(?:operational|trial) {CERTIFICATE}"
BACK_ONLINE = f"connected: identity=operational {CERTIFICATE}"


def expect_id(dut: Dut, pattern: str) -> str:
    """Wait for a line and return the id in it."""
    found: bytes = dut.expect(re.compile(pattern.encode()))[1]
    return found.decode()


def device_id_of(dut: Dut) -> str:
    """The name a device has, which is in its store."""
    dut.write("status")
    return expect_id(dut, r"status: id=(\S+) ")


def time_of(dut: Dut) -> tuple[datetime, str]:
    """What time it is by the device, and who says so."""
    dut.write("status")
    found = dut.expect(re.compile(rb"time: now=(\S+)Z(?: or later)? source=(\w+)"))
    return datetime.fromisoformat(found[1].decode()).replace(tzinfo=UTC), found[2].decode()


def await_time(dut: Dut, what: str, is_it: Callable[[datetime, str], bool]) -> None:
    """Wait until the device says of the time ``what`` is waited for."""
    deadline = time.monotonic() + TIME_PATIENCE_S
    while not is_it(*(now := time_of(dut))):
        if time.monotonic() > deadline:
            pytest.fail(f"the time is not {what}: {now}")
        time.sleep(1)


def expect_unusable_store(dut: Dut, why: str) -> None:
    """The device says that it cannot use its store, why, and what to do."""
    dut.write("status")
    dut.expect(re.compile(rf"store: error=0x\w+, nothing was changed; .*{why}.*erase the partition".encode()))
