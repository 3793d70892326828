# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The READMEs of the components show code that is built."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/own_app/main/own_app.c"


@pytest.mark.parametrize("component", ["cert_mgmt", "cert_port_esp"])
def test_what_an_application_writes_is_quoted_from_the_example(component: str) -> None:
    readme = (ROOT / "components" / component / "README.md").read_text()
    quotes = [
        code for code in re.findall(r"```c\n(.*?)```", readme, re.DOTALL) if "cert_port_esp_start" in code
    ]
    assert quotes
    assert all(quote in EXAMPLE.read_text() for quote in quotes)
