# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What the device says at its console."""

import re

from pytest_embedded import Dut

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


def expect_unusable_store(dut: Dut, why: str) -> None:
    """The device says that it cannot use its store, why, and what to do."""
    dut.write("status")
    dut.expect(re.compile(rf"store: error=0x\w+, nothing was changed; .*{why}.*erase the partition".encode()))
