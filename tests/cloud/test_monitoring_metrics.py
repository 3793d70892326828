# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The metrics tell the truth about the registry; dashboard and alert rules ask only for what there is."""

import json
import re
import shutil
import subprocess
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from fleetpki.errors import Rejected
from fleetpki.lifecycle import ceremony, monitor
from fleetpki.lifecycle.revocation_lists import publish_due
from fleetpki.monitoring import metrics
from fleetpki.registry.models import OutboxKind
from tests.cloud.doubles import Clock, FakeDevice, Fleet, new_key
from tests.cloud.test_lifecycle_health import ask_for_the_status_of

RULES = Path("monitoring/alert-rules.yml")
RULE_TESTS = Path("monitoring/alert-rules.test.yml")
DASHBOARD = Path("monitoring/dashboard.json")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, fleet: Fleet) -> None:
    monkeypatch.setattr(metrics, "CACHE_S", 0.0)
    metrics._FLEETS.clear()
    samples(fleet)


def samples(fleet: Fleet) -> dict[str, float]:
    """Every sample, by name and labels."""
    found = {}
    for family in text_string_to_metric_families(metrics.render(fleet.ctx).decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_devices_certificates_and_rotations_are_counted_by_state(fleet: Fleet) -> None:
    device = fleet.device("sensor-1")
    fleet.device("sensor-2").is_asked_to_rotate()
    device.rotates(device.is_asked_to_rotate(), new_key())
    seen = samples(fleet)
    assert seen["fleetpki_devices{state=active}"] == 2
    assert seen["fleetpki_devices{state=revoked}"] == 0
    assert seen["fleetpki_certificates{state=superseded}"] == 1
    assert seen["fleetpki_rotations{state=requested}"] == 1
    assert seen["fleetpki_rotations{state=committed}"] == 1
    assert seen["fleetpki_certificates_issued_total"] == 3
    assert seen["fleetpki_devices_created_total"] == 2


def test_what_is_left_of_the_certificates_is_a_histogram(fleet: Fleet, clock: Clock) -> None:
    before = samples(fleet)
    device = fleet.device("sensor-1")
    clock.now = fleet.certificate(device.certificate_id).not_after - timedelta(days=20)
    now = samples(fleet)
    name = "fleetpki_certificate_days_left_bucket"
    assert now[f"{name}{{le=14.0}}"] == before[f"{name}{{le=14.0}}"]
    assert now[f"{name}{{le=30.0}}"] == before[f"{name}{{le=30.0}}"] + 1
    assert now["fleetpki_monitor_backlog"] == 1


def test_refusals_are_counted_by_code(fleet: Fleet) -> None:
    device = FakeDevice(fleet, "sensor-1")
    device.enroll()
    other = FakeDevice(fleet, "sensor-2", device.key)
    for _ in range(2):
        with suppress(Rejected):
            other.enroll()
    assert samples(fleet)["fleetpki_requests_refused_total{code=weak_key,request=enroll}"] == 2


def test_the_outbox_has_a_depth_and_an_age(fleet: Fleet, clock: Clock) -> None:
    fleet.device("sensor-1").is_asked_to_rotate()
    clock.advance(timedelta(seconds=90))
    seen = samples(fleet)
    assert seen["fleetpki_outbox_messages"] == 1
    assert seen["fleetpki_outbox_oldest_seconds"] == 90
    assert [kind for kind, _ in fleet.delivered()] == [OutboxKind.ROTATE]
    assert samples(fleet)["fleetpki_outbox_oldest_seconds"] == 0


def test_open_alerts_are_counted(fleet: Fleet, clock: Clock) -> None:
    device = fleet.device("sensor-1")
    clock.now = fleet.certificate(device.certificate_id).not_after
    monitor.watch(fleet.ctx, 10)
    assert samples(fleet)["fleetpki_alerts_open{kind=expired,severity=critical}"] == 1


def test_a_retired_authority_has_no_lists_that_could_be_overdue(fleet: Fleet) -> None:
    ceremony.create_bootstrap_authority(fleet.ctx, "line-2")
    publish_due(fleet.ctx)
    due = "fleetpki_crl_next_update_seconds{authority=line-2}"
    assert due in samples(fleet)
    ceremony.retire(fleet.ctx, "line-2")
    assert due not in samples(fleet)


def test_an_ocsp_signer_makes_no_series(fleet: Fleet) -> None:
    before = set(samples(fleet))
    ask_for_the_status_of(fleet, fleet.device().certificate_id)
    assert set(samples(fleet)) == before


def test_the_number_of_series_does_not_grow_with_the_fleet(fleet: Fleet) -> None:
    before = set(samples(fleet))
    for number in range(5):
        fleet.device(f"sensor-{number}").is_asked_to_rotate()
    assert set(samples(fleet)) == before


def test_many_askers_cost_one_look(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "CACHE_S", 60.0)
    before = metrics.render(fleet.ctx)
    fleet.device("sensor-1")
    assert metrics.render(fleet.ctx) == before


def asked_for() -> set[str]:
    """The metrics in the dashboard and the alert rules."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    expressions = [rule["expr"] for group in groups for rule in group["rules"]]
    dashboard = json.loads(DASHBOARD.read_text())
    expressions += [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    return {name for text in expressions for name in re.findall(r"fleetpki_\w+", text)}


def test_everything_dashboard_and_rules_ask_for_exists(fleet: Fleet, clock: Clock) -> None:
    device = fleet.device("sensor-1")
    clock.now = fleet.certificate(device.certificate_id).not_after
    monitor.watch(fleet.ctx, 10)
    lines = metrics.render(fleet.ctx).decode().splitlines()
    described = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    described |= {f"{name}_bucket" for name in described}
    assert asked_for() <= described
    assert len(asked_for()) > 10


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_prometheus_accepts_the_rules_and_they_fire_when_they_should() -> None:
    for what, file in (("check", RULES), ("test", RULE_TESTS)):
        command = ["promtool", what, "rules", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
