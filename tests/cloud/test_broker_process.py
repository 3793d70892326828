# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What keeps ``fleetpki up`` from running, or ends it: told clearly, nothing left running."""

import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from fleetpki.broker import programs
from fleetpki.broker.configuration import render
from fleetpki.config import load_settings
from tests.cloud.broker_fixtures import (
    PATIENCE_S,
    await_,
    children_of,
    make_fleet,
    mosquitto_of,
    ready_line,
    run_cli,
    start_up,
)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_without_mosquitto_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = make_fleet(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "SYSTEM_PATHS", ())
    outcome = run_cli("up", "--dir", layout.directory)
    assert outcome.code == 4
    assert "Mosquitto is not installed" in outcome.stderr
    assert "apt-get install mosquitto" in outcome.stderr


def test_without_the_plugin_it_says_how_to_build_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = make_fleet(tmp_path)
    monkeypatch.setattr(programs, "PLUGIN_PATHS", (tmp_path / "fleetpki_broker.so",))
    outcome = run_cli("up", "--dir", layout.directory)
    assert outcome.code == 4
    assert "make build" in outcome.stderr


@pytest.mark.parametrize("setting", ["port", "bootstrap_port", "service_port"])
def test_a_taken_port_is_named(tmp_path: Path, setting: str) -> None:
    layout = make_fleet(tmp_path)
    port = getattr(load_settings(layout), setting)
    with socket.create_server(("127.0.0.1", port)):
        outcome = run_cli("up", "--dir", layout.directory)
    assert outcome.code == 4
    assert f"port {port} ({setting})" in outcome.stderr
    assert not (layout.run / "verdict.sock").exists()


def test_an_address_that_is_not_ours_is_named(tmp_path: Path) -> None:
    layout = make_fleet(tmp_path, bind="192.0.2.1")
    outcome = run_cli("up", "--dir", layout.directory)
    assert outcome.code == 4
    assert "192.0.2.1" in outcome.stderr


def test_a_broken_broker_certificate_ends_up_with_mosquittos_reason(tmp_path: Path) -> None:
    layout = make_fleet(tmp_path)
    (layout.broker / "broker.crt").write_text("no certificate")
    with start_up(layout) as process:
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 4
    assert "Mosquitto ended" in errors
    assert "broker.crt" in errors


def test_a_fleet_is_up_once_and_stops_cleanly(tmp_path: Path) -> None:
    layout = make_fleet(tmp_path)
    with start_up(layout) as process:
        assert ready_line(process).startswith("fleetpki: ready")
        mosquitto = mosquitto_of(process.pid)
        second = run_cli("up", "--dir", layout.directory)
        assert second.code == 4
        assert "up already" in second.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    assert not is_alive(mosquitto)
    assert not (layout.run / "verdict.sock").exists()


def test_when_mosquitto_dies_up_ends_and_says_so(tmp_path: Path) -> None:
    layout = make_fleet(tmp_path)
    with start_up(layout) as process:
        assert ready_line(process).startswith("fleetpki: ready")
        os.kill(mosquitto_of(process.pid), signal.SIGKILL)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 4
    assert "Mosquitto ended" in errors


def test_when_the_verdict_process_dies_up_ends_and_says_so(tmp_path: Path) -> None:
    layout = make_fleet(tmp_path, processes=1)
    with start_up(layout) as process:
        assert ready_line(process).startswith("fleetpki: ready")
        mosquitto = mosquitto_of(process.pid)
        verdicts = children_of(process.pid)[False]
        os.kill(verdicts, signal.SIGKILL)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "verdicts ended" in errors
    assert not is_alive(mosquitto)


def test_when_up_is_killed_all_its_processes_end(tmp_path: Path) -> None:
    layout = make_fleet(tmp_path)
    with start_up(layout) as process:
        assert ready_line(process).startswith("fleetpki: ready")
        children = children_of(process.pid).values()
        process.kill()
    await_(lambda: not any(is_alive(child) for child in children))


def test_what_mosquitto_gets_is_private(tmp_path: Path) -> None:
    layout = make_fleet(tmp_path)
    with start_up(layout) as process:
        assert ready_line(process).startswith("fleetpki: ready")
        process.terminate()
        process.wait(PATIENCE_S)
    for name in ("mosquitto.conf", "mosquitto.log", "broker.key"):
        assert stat.S_IMODE((layout.broker / name).stat().st_mode) == 0o600


def test_the_configuration_names_no_anonymous_way_in(tmp_path: Path) -> None:
    layout = make_fleet(tmp_path)
    lines = render(layout, load_settings(layout), Path("/plugin.so")).splitlines()
    assert "allow_anonymous false" in lines
    assert lines.count("require_certificate true") == 3
    assert sum(line.startswith("listener ") for line in lines) == 3
    assert not any(line.startswith("use_identity_as_username") for line in lines)
