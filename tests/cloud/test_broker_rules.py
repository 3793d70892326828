# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The plugin's rules without a broker: runs the C unit tests that are built with the plugin."""

import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2] / "build" / "broker" / "test_broker_rules"


@pytest.mark.skipif(not TESTS.exists(), reason="built with the plugin when cmocka is installed")
def test_the_rules_of_the_plugin() -> None:
    result = subprocess.run([TESTS], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
