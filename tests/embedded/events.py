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
