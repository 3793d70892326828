# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The scripts a person runs by hand: each mistake they promise to catch, they catch."""

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from fleetpki.lifecycle import utc_now
from fleetpki.pki.hierarchy import Hierarchy, make_hierarchy
from fleetpki.sim.workshop import Forger

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
DEVICE = "sensor-1"


def run(script: str, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    words = [sys.executable, SCRIPTS / script, *arguments]
    return subprocess.run(words, input=stdin, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def hierarchy() -> Hierarchy:
    return make_hierarchy(hosts=["localhost"], now=utc_now())


class Files:
    """A good certificate with key and chain, to be spoilt."""

    def __init__(self, directory: Path, hierarchy: Hierarchy) -> None:
        self.directory = directory
        self.forger = Forger(hierarchy.issuing.certificate, hierarchy.issuing.key)  # type: ignore[arg-type]
        self.root = hierarchy.root.certificate_pem
        self.use(*self.forger.device(DEVICE), self.forger.chain)

    def use(self, certificate: str, key: str, chain: str) -> None:
        for name, content in (("crt", certificate), ("key", key), ("chain", chain)):
            (self.directory / name).write_text(content)

    def push_rotation(self, device: str = DEVICE, *more: str | Path) -> subprocess.CompletedProcess[str]:
        where = self.directory
        return run(
            "push_rotation.py", device, "--certificate", where / "crt", "--key", where / "key",
            "--chain", where / "chain", "--dir", where, *more,
        )  # fmt: skip


@pytest.fixture
def files(tmp_path: Path, hierarchy: Hierarchy) -> Files:
    return Files(tmp_path, hierarchy)


def test_the_message_has_every_part_with_unix_line_ends(files: Files) -> None:
    certificate = (files.directory / "crt").read_text()
    (files.directory / "crt").write_bytes(b"Bag Attributes\r\n" + certificate.replace("\n", "\r\n").encode())
    made = files.push_rotation(DEVICE, "--rotation-id", "r-1")
    assert made.returncode == 0, made.stderr
    message = json.loads(made.stdout)
    assert message["new_certificate"] == certificate
    assert message["chain"] == files.forger.chain
    assert message["rotation_id"] == "r-1"
    assert "\n" not in made.stdout.rstrip("\n")


def test_the_output_file_is_private_and_replaced_as_a_whole(files: Files) -> None:
    output = files.directory / "message.json"
    output.write_text("old")
    output.chmod(0o644)
    assert files.push_rotation(DEVICE, "--output", output).returncode == 0
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert json.loads(output.read_text())["new_private_key"]


def another_key(files: Files) -> None:
    (files.directory / "key").write_text(files.forger.device(DEVICE)[1])


def expired(files: Files) -> None:
    files.use(*files.forger.device(DEVICE, end=timedelta(seconds=-1)), files.forger.chain)


def foreign_chain(files: Files) -> None:
    (files.directory / "chain").write_text(Forger.with_own_authority("fleetpki issuing CA").chain)


def chain_with_root(files: Files) -> None:
    (files.directory / "chain").write_text(files.forger.chain + files.root)


def no_chain(files: Files) -> None:
    (files.directory / "chain").write_text("")


def passphrase(files: Files) -> None:
    key = files.directory / "key"
    command = ["openssl", "pkey", "-in", str(key), "-aes128", "-passout", "pass:secret"]
    key.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)


def no_key(files: Files) -> None:
    (files.directory / "key").write_text("hello")


def missing_file(files: Files) -> None:
    (files.directory / "crt").unlink()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (another_key, "belongs to another certificate"),
        (expired, "has expired"),
        (foreign_chain, "did not issue"),
        (chain_with_root, "leave the root out"),
        (no_chain, "no PEM certificate"),
        (passphrase, "has a passphrase"),
        (no_key, "no PEM private key"),
        (missing_file, "No such file"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_made(
    files: Files, spoil: Callable[[Files], None], complaint: str
) -> None:
    spoil(files)
    output = files.directory / "message.json"
    refused = files.push_rotation(DEVICE, "--output", output)
    assert refused.returncode == 2
    assert complaint in refused.stderr
    assert not output.exists()


def test_another_devices_certificate_is_refused(files: Files) -> None:
    refused = files.push_rotation("sensor-2")
    assert refused.returncode == 2
    assert "is for sensor-1, not for sensor-2" in refused.stderr


def test_publishing_without_a_fleet_says_so(files: Files) -> None:
    refused = files.push_rotation(DEVICE, "--publish")
    assert refused.returncode == 2
    assert "no fleet" in refused.stderr


def test_the_test_pki_is_complete_private_and_not_replaced_by_accident(tmp_path: Path) -> None:
    assert run("make_test_pki.py", "--directory", tmp_path).returncode == 0
    for name in ("bootstrap.key", "fleet/ca/issuing.key", "fleet-root/root.key", "fleet-root/passphrase.txt"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
    anchors = (tmp_path / "trust_anchors.pem").read_text()
    again = run("make_test_pki.py", "--directory", tmp_path)
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert (tmp_path / "trust_anchors.pem").read_text() == anchors
    assert run("make_test_pki.py", "--directory", tmp_path, "--force").returncode == 0
    assert (tmp_path / "trust_anchors.pem").read_text() != anchors
