# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The monitor, alerts and health."""

import asyncio
import logging
from typing import Annotated

import typer

from fleetpki import views
from fleetpki.cli.common import DEFAULT_DIR, Directory, Json, present
from fleetpki.fleet import Fleet
from fleetpki.inputs import MAX_NUMBER
from fleetpki.lifecycle import alerts as lifecycle_alerts
from fleetpki.monitoring import health as checks
from fleetpki.monitoring.delivery import channels
from fleetpki.monitoring.rounds import keep_watch, one_round

app = typer.Typer()
alerts = typer.Typer()


@app.command()
def monitor(
    once: Annotated[bool, typer.Option("--once", help="One round, then end.")] = False,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Renew what nears its end, repeat what got lost, move campaigns on, tell alerts.

    **fleetpki up** does this all the time. Any number of monitors may run at once.

    Example: *fleetpki monitor --once --json*
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    fleet = Fleet.open(directory)
    if not once:
        asyncio.run(keep_watch(fleet))
        return
    done = asyncio.run(one_round(fleet, channels(fleet.settings.alerts))).to_json()
    people = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in done.items() if count)
    present(as_json, done, people or "nothing to do")


@app.command()
def health(directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """Check everything: registry, audit chain, authorities, CRLs, broker, verdicts, disk, clock.

    Exit code, as monitoring systems expect it of their plugins and unlike the other commands: 0 all is well,
    1 warning, 2 critical (also when the fleet cannot be opened), 4 the environment is to blame.
    """
    findings = checks.check(Fleet.open(directory))
    level = checks.worst(findings)
    table = views.TextTable("Check", "Level", "Finding")
    for finding in sorted(findings, key=lambda finding: -finding.level):
        table.add_texts(finding.check, finding.level.name, finding.message)
    data = {
        "level": level.name.lower(),
        "findings": [
            {"check": each.check, "level": each.level.name.lower(), "message": each.message}
            for each in findings
        ],
    }
    present(as_json, data, table)
    raise typer.Exit(level)


@alerts.command("list")
def list_alerts(
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """List what an operator should know, newest first."""
    found = lifecycle_alerts.list_alerts(Fleet.open(directory).context, include_cleared=everything)
    data = [views.alert_data(alert) for alert in found]
    present(as_json, data, views.alert_table(data) if data else "No alerts.")


@alerts.command()
def acknowledge(
    alert_id: Annotated[
        int, typer.Argument(min=1, max=MAX_NUMBER, metavar="ALERT", help="Its number, as listed.")
    ],
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Note that somebody takes care of an alert. It stays open until its cause is gone.

    Example: *fleetpki alerts acknowledge 7*
    """
    alert = lifecycle_alerts.acknowledge(Fleet.open(directory).context, alert_id)
    present(as_json, views.alert_data(alert), f"acknowledged alert {alert_id}")
