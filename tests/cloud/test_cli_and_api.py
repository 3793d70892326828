# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Everything the CLI does the API does, but for what the handbook says it does not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from fleetpki.cli import app
from fleetpki.web.api.app import PREFIX, api_without_fleet

OPERATIONS = {
    "alerts acknowledge": "POST /alerts/{alert_id}/acknowledge",
    "alerts list": "GET /alerts",
    "allow": "POST /devices/{device_id}/allow-reenrollment",
    "allow-list export": "GET /allow-list",
    "allow-list import": "POST /allow-list",
    "allow-list remove": "DELETE /allow-list/{device_id}",
    "audit export": "GET /audit/export",
    "audit tail": "GET /audit",
    "audit verify": "GET /audit/verification",
    "batch change": "PATCH /batches/{name}",
    "batch create": "POST /batches",
    "batch list": "GET /batches",
    "ca activate": "POST /authorities/{name}/activate",
    "ca bootstrap": "POST /authorities/bootstrap",
    "ca install": "POST /authorities/{name}/installation",
    "ca install-crl": "POST /roots/revocation-lists",
    "ca install-root": "POST /roots",
    "ca list": "GET /authorities",
    "ca renew": "POST /own-certificates/{own}/renewal",
    "ca request": "POST /authorities/requests",
    "ca retire": "POST /authorities/{name}/retire",
    "ca show": "GET /authorities/{name}",
    "ca trust-send": "POST /trust-updates",
    "campaign cancel": "POST /campaigns/{campaign_id}/cancel",
    "campaign create": "POST /campaigns",
    "campaign list": "GET /campaigns",
    "campaign pause": "POST /campaigns/{campaign_id}/pause",
    "campaign resume": "POST /campaigns/{campaign_id}/resume",
    "campaign show": "GET /campaigns/{campaign_id}",
    "crl": "POST /authorities/{name}/revocation-lists",
    "devices": "GET /devices",
    "health": "GET /health",
    "issue": "POST /devices/{device_id}/certificates",
    "person certify": "POST /people",
    "person list": "GET /people",
    "person revoke": "DELETE /people/{name}",
    "quarantine approve": "POST /claims/{claim_id}/approve",
    "quarantine deny": "POST /claims/{claim_id}/deny",
    "quarantine list": "GET /claims",
    "resume": "POST /devices/{device_id}/resume",
    "revoke": "POST /devices/{device_id}/revoke",
    "rotate": "POST /devices/{device_id}/rotations",
    "show": "GET /devices/{device_id}",
    "suspend": "POST /devices/{device_id}/suspend",
    "tag": "PATCH /devices/{device_id}",
    "token create": "POST /tokens",
    "token list": "GET /tokens",
    "token revoke": "DELETE /tokens/{name}",
}
HANDBOOK = Path("docs/operations.md").read_text()
NOT_THERE = HANDBOOK.partition("### What the API does not do\n")[2].partition("\n## ")[0]


def commands(group: Any, *names: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *names, name)
        else:
            yield " ".join((*names, name))


@pytest.mark.parametrize("command", sorted(commands(typer.main.get_command(app))))
def test_a_command_is_an_operation_or_the_handbook_says_why_not(command: str) -> None:
    assert (command in OPERATIONS) != (f"`{command}`" in NOT_THERE)


def test_the_operations_are_there() -> None:
    paths = api_without_fleet().openapi()["paths"]
    there = {
        f"{method.upper()} {path.removeprefix(PREFIX)}"
        for path, operations in paths.items()
        for method in operations
    }
    assert set(OPERATIONS.values()) <= there
