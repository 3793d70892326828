# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""``fleetpki init``: everything, or nothing and a reason."""

import errno
import io
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fleetpki import files
from fleetpki.config import Layout, load_settings
from tests.cloud.broker_fixtures import Outcome, run_cli

PASSPHRASE = "correct horse battery"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "pass").write_text(PASSPHRASE + "\n")
    (tmp_path / "pass").chmod(0o600)
    return tmp_path


def init(workspace: Path, *args: str | Path) -> Outcome:
    return run_cli(
        "init",
        *("--dir", workspace / "fleet", "--root-dir", workspace / "root"),
        *("--passphrase-file", workspace / "pass"),
        *args,
    )


def openssl(*args: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["openssl", *args], capture_output=True, text=True, check=False)


def nothing_but_the_passphrase(workspace: Path) -> bool:
    return [path.name for path in workspace.iterdir()] == ["pass"]


def test_a_new_fleet_has_what_everyone_needs_and_secrets_are_private(workspace: Path) -> None:
    outcome = init(workspace, "--host", "mqtt.example.com", "--bind", "0.0.0.0", "--port", "18883")  # noqa: S104
    assert outcome.code == 0, outcome.stderr
    assert "move that directory to a safe place" in outcome.stdout
    layout = Layout(workspace / "fleet")
    settings = load_settings(layout)
    assert (settings.hosts[0], settings.bind, settings.port) == ("mqtt.example.com", "0.0.0.0", 18883)  # noqa: S104
    for directory in (workspace / "fleet", workspace / "root"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    secrets = [*workspace.rglob("*.key"), layout.registry]
    assert len(secrets) == 8
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}


def test_openssl_agrees_with_the_chain_and_the_names(workspace: Path) -> None:
    init(workspace, "--host", "mqtt.example.com")
    ca, broker = workspace / "fleet" / "ca", workspace / "fleet" / "broker" / "broker.crt"
    verified = openssl(
        *("verify", "-CAfile", ca / "root.crt", "-untrusted", ca / "issuing.crt"),
        *("-purpose", "sslserver", "-verify_hostname", "mqtt.example.com", broker),
    )
    assert verified.returncode == 0, verified.stderr
    address = openssl(
        "verify", "-CAfile", ca / "root.crt", "-untrusted", broker, "-verify_ip", "127.0.0.1", broker
    )
    assert address.returncode == 0, address.stderr


def test_the_root_key_opens_with_the_passphrase_only(workspace: Path) -> None:
    init(workspace)
    key = workspace / "root" / "root.key"
    assert openssl("pkey", "-noout", "-in", key, "-passin", f"pass:{PASSPHRASE}").returncode == 0
    assert openssl("pkey", "-noout", "-in", key, "-passin", "pass:wrong").returncode != 0


def test_a_second_init_is_refused_and_touches_nothing(workspace: Path) -> None:
    init(workspace)
    before = {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()}
    outcome = init(workspace)
    assert outcome.code == 2
    assert "exists already" in outcome.stderr
    assert {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()} == before


def test_a_directory_with_anything_in_it_is_left_alone(workspace: Path) -> None:
    (workspace / "root").mkdir()
    (workspace / "root" / "mine.txt").touch()
    assert init(workspace).code == 2
    assert sorted(path.name for path in workspace.iterdir()) == ["pass", "root"]


def test_an_empty_directory_is_used(workspace: Path) -> None:
    (workspace / "fleet").mkdir()
    assert init(workspace).code == 0
    assert (workspace / "fleet" / "fleet.toml").exists()


@pytest.mark.parametrize("passphrase", ["", "short", "aaaaaaaaaaaaaaaaaaaa"])
def test_a_weak_passphrase_is_refused(workspace: Path, passphrase: str) -> None:
    (workspace / "pass").write_text(passphrase)
    outcome = init(workspace)
    assert outcome.code == 2
    assert "too weak" in outcome.stderr
    assert nothing_but_the_passphrase(workspace)


def test_a_missing_passphrase_file_is_named(workspace: Path) -> None:
    outcome = init(workspace, "--passphrase-file", workspace / "absent")
    assert outcome.code == 2
    assert "absent" in outcome.stderr


def test_without_a_terminal_the_passphrase_needs_a_file(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    outcome = run_cli("init", "--dir", workspace / "fleet", "--root-dir", workspace / "root")
    assert outcome.code == 2
    assert "--passphrase-file" in outcome.stderr


def test_at_a_terminal_a_weak_passphrase_is_asked_for_again(workspace: Path) -> None:
    where = ("--dir", workspace / "fleet", "--root-dir", workspace / "root")
    terminal, its_end = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "fleetpki.cli", "init", *where],
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        start_new_session=True,
    )
    shown = b""
    for typed in ("short", "short", PASSPHRASE, PASSPHRASE):
        while not shown.endswith((b"at least 12 characters: ", b"confirmation: ")):
            shown += os.read(terminal, 1024)
        os.write(terminal, f"{typed}\n".encode())
        shown += b"\n"
    assert process.wait() == 0
    os.close(its_end)
    os.close(terminal)
    assert shown.count(b"too weak") == 1
    assert (workspace / "fleet").is_dir()


def test_a_passphrase_everybody_can_read_is_warned_about(workspace: Path) -> None:
    (workspace / "pass").chmod(0o644)
    outcome = init(workspace)
    assert outcome.code == 0
    assert "can be read by every user" in outcome.stderr


def test_a_parent_that_is_missing_is_named(workspace: Path) -> None:
    outcome = init(workspace, "--dir", workspace / "absent" / "fleet")
    assert outcome.code == 2
    assert "absent is not a directory" in outcome.stderr
    assert nothing_but_the_passphrase(workspace)


def test_a_place_that_cannot_be_written_is_named(workspace: Path) -> None:
    outcome = init(workspace, "--dir", "/proc/fleet")
    assert outcome.code == 4
    assert "/proc/fleet" in outcome.stderr
    assert nothing_but_the_passphrase(workspace)


@pytest.mark.parametrize("full_at", [0, 1, 2, 9, 16])
def test_a_full_disk_leaves_nothing_behind(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, full_at: int
) -> None:
    real, calls = files.write, iter(range(100))

    def write(*args: Any, **kwargs: Any) -> None:
        if next(calls) == full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(*args, **kwargs)

    monkeypatch.setattr(files, "write", write)
    outcome = init(workspace)
    assert outcome.code == 4
    assert "No space left on device" in outcome.stderr
    assert nothing_but_the_passphrase(workspace)


def test_if_the_fleet_cannot_appear_the_root_does_not_either(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if target.name == "fleet":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    assert init(workspace).code == 4
    assert nothing_but_the_passphrase(workspace)


@pytest.mark.parametrize("port", ["0", "65536", "abc"])
def test_an_impossible_port_is_refused(workspace: Path, port: str) -> None:
    assert init(workspace, "--port", port).code == 2
    assert nothing_but_the_passphrase(workspace)


def test_the_same_port_twice_is_refused(workspace: Path) -> None:
    outcome = init(workspace, "--port", "9000", "--bootstrap-port", "9000")
    assert outcome.code == 2
    assert "different" in outcome.stderr
    assert nothing_but_the_passphrase(workspace)


def test_the_bootstrap_certificate_can_be_named(workspace: Path) -> None:
    init(workspace, "--bootstrap-name", "batch-2026-06")
    subject = openssl(
        "x509", "-noout", "-subject", "-in", workspace / "fleet" / "bootstrap" / "bootstrap.crt"
    )
    assert "batch-2026-06" in subject.stdout


@pytest.mark.parametrize(
    "option", [("--bootstrap-name", ""), ("--bootstrap-name", "x" * 65), ("--host", "a b")]
)
def test_an_impossible_name_is_refused(workspace: Path, option: tuple[str, str]) -> None:
    outcome = init(workspace, *option)
    assert outcome.code == 2
    assert "Traceback" not in outcome.stderr
    assert nothing_but_the_passphrase(workspace)


def test_the_result_for_machines(workspace: Path) -> None:
    assert init(workspace, "--json").data == {
        "directory": str(workspace / "fleet"),
        "root_directory": str(workspace / "root"),
        "hosts": ["localhost", "127.0.0.1"],
    }
