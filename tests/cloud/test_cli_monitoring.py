# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The commands of monitor, campaigns, alerts and health, on a registry and on a running fleet."""

from datetime import timedelta
from pathlib import Path

import pytest

from fleetpki.config import Layout
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import monitor, utc_now
from fleetpki.lifecycle.campaigns import DEFAULT_FAILURE_LIMIT_PERCENT
from fleetpki.lifecycle.context import OPERATOR
from fleetpki.registry.models import Certificate
from tests.cloud.broker_fixtures import Outcome, RunningFleet, live, make_fleet, run_cli
from tests.cloud.test_cli_commands import enrolled

__all__ = ["live"]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return make_fleet(tmp_path)


def cli(layout: Layout, *command: str | Path) -> Outcome:
    return run_cli(*command, "--dir", layout.directory)


def let_expire(layout: Layout, device_id: str, left: timedelta) -> None:
    """Let the certificate of a device have only so much time left, and be due."""
    with Fleet.open(layout.directory).sessions.begin() as session:
        certificate = session.query(Certificate).filter_by(device_id=device_id).one()
        certificate.not_before = utc_now() - timedelta(days=364)
        certificate.not_after = utc_now() + left
        certificate.look_at = utc_now()


class TestMonitor:
    def test_one_round_says_what_it_found_and_did(self, layout: Layout) -> None:
        enrolled(layout, "sensor-1")
        quiet = cli(layout, "monitor", "--once", "--json").data
        assert (quiet["renewals"], quiet["backlog"]) == (0, 0)
        let_expire(layout, "sensor-1", timedelta(days=1))
        done = cli(layout, "monitor", "--once", "--json").data
        assert (done["looked_at"], done["renewals"], done["raised"], done["backlog"]) == (1, 1, 1, 0)
        shown = cli(layout, "show", "sensor-1", "--json").data
        assert [(each["initiator"], each["state"]) for each in shown["rotations"]] == [
            ("monitor", "requested")
        ]
        assert cli(layout, "monitor", "--once", "--json").data["renewals"] == 0

    def test_for_people_it_is_a_line(self, layout: Layout) -> None:
        enrolled(layout, "sensor-1")
        let_expire(layout, "sensor-1", timedelta(days=1))
        assert "1 renewals" in cli(layout, "monitor", "--once").stdout


class TestAlerts:
    def test_they_are_listed_and_taken_care_of(self, layout: Layout) -> None:
        assert "No alerts" in cli(layout, "alerts", "list").stdout
        enrolled(layout, "sensor-1")
        let_expire(layout, "sensor-1", timedelta(days=1))
        monitor.watch(Fleet.open(layout.directory).context, 10)
        (alert,) = cli(layout, "alerts", "list", "--json").data
        assert (alert["subject"], alert["kind"], alert["severity"]) == ("sensor-1", "expiring", "critical")
        assert "sensor-1" in cli(layout, "alerts", "list").stdout
        taken = cli(layout, "alerts", "acknowledge", str(alert["id"]), "--json").data
        assert taken["acknowledged_by"] == OPERATOR
        assert taken["cleared_at"] is None

    def test_an_unknown_one_is_named(self, layout: Layout) -> None:
        outcome = cli(layout, "alerts", "acknowledge", "7")
        assert outcome.code == 2
        assert "no alert 7" in outcome.stderr


class TestCampaign:
    def test_its_life(self, layout: Layout, tmp_path: Path) -> None:
        assert "No campaigns" in cli(layout, "campaign", "list").stdout
        for number in range(3):
            enrolled(layout, f"sensor-{number}")
        (tmp_path / "ids").write_text("sensor-0\nsensor-2\n")
        begun = cli(layout, "campaign", "create", "--ids", tmp_path / "ids", "--rate", "1", "--json").data
        assert (begun["state"], begun["progress"]["total"]) == ("running", 2)
        name = begun["campaign_id"]
        assert cli(layout, "monitor", "--once", "--json").data["campaign_rotations"] == 1
        assert name in cli(layout, "campaign", "list").stdout
        assert cli(layout, "campaign", "pause", name).stdout == f"{name} is paused\n"
        assert cli(layout, "campaign", "resume", name).code == 0
        cancelled = cli(layout, "campaign", "cancel", name, "--json").data
        assert cancelled["progress"]["abandoned"] == 1
        assert cli(layout, "campaign", "resume", name).code == 2
        watched = cli(layout, "campaign", "show", name, "--watch", "--json")
        assert watched.code == 1
        assert watched.data["state"] == "cancelled"

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            (["--group", "nowhere"], "no device is selected"),
            (["--tag", "rack"], "KEY=VALUE"),
            (["--ids", "/nowhere/ids"], "/nowhere/ids"),
            (["--all", "--group", "north"], "which devices?"),
        ],
    )
    def test_what_makes_no_sense_is_named(self, layout: Layout, options: list[str], complaint: str) -> None:
        outcome = cli(layout, "campaign", "create", *options)
        assert outcome.code == 2
        assert complaint in outcome.stderr

    def test_the_whole_fleet_rotates_only_when_it_is_named(self, layout: Layout) -> None:
        enrolled(layout, "sensor-1")
        outcome = cli(layout, "campaign", "create")
        assert outcome.code == 2
        assert "--group" in outcome.stderr
        assert "--all" in outcome.stderr
        assert cli(layout, "campaign", "list", "--json").data == []
        begun = cli(layout, "campaign", "create", "--all", "--json").data
        assert (begun["selector"], begun["progress"]["total"]) == ({}, 1)
        assert begun["failure_limit_percent"] == DEFAULT_FAILURE_LIMIT_PERCENT


class TestHealth:
    def test_a_fleet_that_is_down_is_critical(self, layout: Layout) -> None:
        outcome = cli(layout, "health", "--json")
        assert outcome.code == 2
        levels = {finding["check"]: finding["level"] for finding in outcome.data["findings"]}
        assert levels["registry"] == levels["audit"] == levels["clock"] == levels["outbox"] == "ok"
        assert levels["broker"] == levels["verdicts"] == "critical"
        assert "CRITICAL" in cli(layout, "health").stdout

    def test_an_operators_certificate_that_is_elsewhere_is_named(self, layout: Layout) -> None:
        (layout.services / "operator.crt").unlink()
        outcome = cli(layout, "health", "--json")
        assert outcome.code == 2
        messages = {finding["check"]: finding["message"] for finding in outcome.data["findings"]}
        assert "operator.crt" in messages["verdicts"]
        assert "disk" in messages

    def test_a_registry_that_is_damaged_is_critical(self, layout: Layout) -> None:
        layout.registry.write_bytes(b"garbage" * 1000)
        outcome = cli(layout, "health", "--json")
        assert outcome.code == 2
        assert outcome.data["findings"][0]["level"] == "critical"

    def test_a_fleet_that_is_up_is_not(self, live: RunningFleet) -> None:
        outcome = live.cli("health")
        bad = [finding for finding in outcome.data["findings"] if finding["level"] == "critical"]
        assert not bad
        assert outcome.code < 2
