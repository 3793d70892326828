# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The commands on a registry, without a broker: results, messages, exit codes."""

from importlib.metadata import version
from pathlib import Path

import pytest

from fleetpki.config import Layout
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import Application, DeviceStatus, StatusState, enroll, record_status
from fleetpki.pki.identifiers import certificate_id
from tests.cloud.broker_fixtures import Outcome, make_fleet, run_cli
from tests.cloud.doubles import make_csr, new_key


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return make_fleet(tmp_path)


def cli(layout: Layout, command: str, *args: str | Path) -> Outcome:
    return run_cli(command, *args, "--dir", layout.directory)


def enrolled(layout: Layout, device_id: str) -> str:
    """Enrol a device; the id of its certificate, active."""
    from cryptography import x509

    ctx = Fleet.open(layout.directory).context
    bootstrap = x509.load_pem_x509_certificate((layout.bootstrap / "bootstrap.crt").read_bytes())
    csr_pem = make_csr(new_key(), device_id)
    answer = enroll(ctx, Application(device_id, certificate_id(bootstrap), "r-1", csr_pem))
    status = DeviceStatus(StatusState.CONNECTED, answer.certificate_id, 1)
    record_status(ctx, device_id=device_id, sender=answer.certificate_id, status=status)
    return answer.certificate_id


def test_devices_for_people_and_for_machines(layout: Layout) -> None:
    assert "No devices yet" in cli(layout, "devices").stdout
    assert cli(layout, "devices", "--json").data == []
    certificate = enrolled(layout, "sensor-1")
    people = cli(layout, "devices").stdout
    assert "sensor-1" in people
    assert certificate[:16] in people
    (device,) = cli(layout, "devices", "--json").data
    assert (device["device_id"], device["state"], device["certificate_id"]) == (
        "sensor-1",
        "active",
        certificate,
    )
    assert device["not_after"].endswith("Z")


def test_show_tells_certificates_and_rotations(layout: Layout) -> None:
    certificate = enrolled(layout, "sensor-1")
    cli(layout, "rotate", "sensor-1", "--no-wait")
    people = cli(layout, "show", "sensor-1").stdout
    assert "Certificates" in people
    assert "requested" in people
    shown = cli(layout, "show", "sensor-1", "--json").data
    assert [c["certificate_id"] for c in shown["certificates"]] == [certificate]
    assert [(r["mode"], r["state"]) for r in shown["rotations"]] == [("csr", "requested")]


@pytest.mark.parametrize(
    "command",
    [["show"], ["rotate"], ["rotate", "--push"], ["revoke"], ["allow"], ["issue", "--csr", "request.csr"]],
)
def test_an_unknown_device_is_named(
    layout: Layout, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(layout.directory)
    (layout.directory / "request.csr").write_text(make_csr(new_key(), "sensor-9"))
    outcome = cli(layout, *command, "sensor-9")
    assert outcome.code == 2
    assert "sensor-9" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_directory_without_a_fleet_is_named(tmp_path: Path) -> None:
    outcome = run_cli("devices", "--dir", tmp_path)
    assert outcome.code == 2
    assert "fleetpki init" in outcome.stderr


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("port = ", "not valid TOML"),
        ("port = 70000", "port"),
        ("prot = 8883", "prot"),
        ("port = 1\nservice_port = 1", "different"),
        ("bind = [1]", "bind"),
    ],
)
def test_a_corrupt_configuration_is_named(layout: Layout, text: str, complaint: str) -> None:
    layout.settings.write_text(text)
    outcome = cli(layout, "devices")
    assert outcome.code == 2
    assert "fleet.toml" in outcome.stderr
    assert complaint in outcome.stderr


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000])
def test_a_corrupt_registry_is_named(layout: Layout, content: bytes) -> None:
    layout.registry.write_bytes(content)
    outcome = cli(layout, "devices")
    assert outcome.code != 0
    assert "registry.db" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_missing_issuing_key_is_named(layout: Layout) -> None:
    enrolled(layout, "sensor-1")
    (layout.ca / "issuing.key").unlink()
    outcome = cli(layout, "rotate", "sensor-1", "--push", "--no-wait")
    assert outcome.code == 4
    assert "issuing.key" in outcome.stderr


def test_a_second_rotation_is_refused_while_one_is_under_way(layout: Layout) -> None:
    enrolled(layout, "sensor-1")
    assert cli(layout, "rotate", "sensor-1", "--no-wait").code == 0
    outcome = cli(layout, "rotate", "sensor-1", "--no-wait")
    assert outcome.code == 2
    assert "busy" in outcome.stderr


def test_a_push_without_a_broker_says_so_and_leaves_no_open_rotation(layout: Layout) -> None:
    enrolled(layout, "sensor-1")
    outcome = cli(layout, "rotate", "sensor-1", "--push")
    assert outcome.code == 4
    assert "fleetpki up" in outcome.stderr
    assert cli(layout, "show", "sensor-1", "--json").data["rotations"][0]["state"] == "abandoned"


def test_a_push_cannot_keep_the_key(layout: Layout) -> None:
    enrolled(layout, "sensor-1")
    assert cli(layout, "rotate", "sensor-1", "--push", "--key", "same").code == 2


def test_revoke_one_certificate_only_of_its_own_device(layout: Layout) -> None:
    mine, other = enrolled(layout, "sensor-1"), enrolled(layout, "sensor-2")
    assert cli(layout, "revoke", "sensor-1", "--certificate", other).code == 2
    assert cli(layout, "revoke", "sensor-1", "--certificate", mine).code == 0
    assert cli(layout, "show", "sensor-1", "--json").data["certificates"][0]["state"] == "revoked"
    assert cli(layout, "show", "sensor-2", "--json").data["certificates"][0]["state"] == "active"


def test_a_certificate_to_revoke_can_be_named_by_how_it_begins(layout: Layout) -> None:
    mine, other = enrolled(layout, "sensor-1"), enrolled(layout, "sensor-2")
    for beginning in (mine[:7], other[:16], ""):
        assert cli(layout, "revoke", "sensor-1", "--certificate", beginning).code == 2
    shown = cli(layout, "show", "sensor-1").stdout
    assert mine[:16] in shown
    outcome = cli(layout, "revoke", "sensor-1", "--certificate", mine[:16], "--json")
    assert outcome.data["certificate_id"] == mine
    assert cli(layout, "show", "sensor-1", "--json").data["certificates"][0]["state"] == "revoked"


def test_issue_prints_or_writes_a_certificate(layout: Layout, tmp_path: Path) -> None:
    enrolled(layout, "sensor-1")
    (tmp_path / "new.csr").write_text(make_csr(new_key(), "sensor-1"))
    printed = cli(layout, "issue", "sensor-1", "--csr", tmp_path / "new.csr")
    assert printed.stdout.startswith("-----BEGIN CERTIFICATE-----\n")


@pytest.mark.parametrize("content", [None, b"nonsense", b"\xff\xfe"])
def test_issue_refuses_what_is_no_request(layout: Layout, tmp_path: Path, content: bytes | None) -> None:
    enrolled(layout, "sensor-1")
    if content is not None:
        (tmp_path / "new.csr").write_bytes(content)
    outcome = cli(layout, "issue", "sensor-1", "--csr", tmp_path / "new.csr")
    assert outcome.code == 2
    assert "Traceback" not in outcome.stderr


def test_the_directory_can_come_from_the_environment(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETPKI_DIR", str(layout.directory))
    assert run_cli("devices", "--json").data == []


def test_the_version() -> None:
    outcome = run_cli("--version")
    assert (outcome.code, outcome.stdout) == (0, f"fleetpki {version('fleetpki')}\n")


@pytest.mark.parametrize("command", ["init", "up", "devices", "show", "rotate", "revoke", "issue", "allow"])
def test_every_command_explains_itself(command: str) -> None:
    outcome = run_cli(command, "--help")
    assert outcome.code == 0
    assert "--json" in outcome.stdout
    assert "--dir" in outcome.stdout
