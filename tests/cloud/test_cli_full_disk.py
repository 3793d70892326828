# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""No space is left for what a command is to write: it says so, leaves nothing, and succeeds the next time."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetpki import files
from tests.cloud.broker_fixtures import PASSPHRASE, make_fleet, run_cli
from tests.cloud.doubles import make_csr, new_key
from tests.cloud.small_disk import filled, small_disk
from tests.cloud.test_factory_production import TABLE
from tests.cloud.web_fixtures import running_web

#: ``{disk}`` is what is full, ``{here}`` where everything else is.
COMMANDS = {
    "init": "init --dir {disk}/fleet --root-dir {disk}/root --passphrase-file {here}/passphrase",
    "init, the root": "init --dir {here}/new --root-dir {disk}/root --passphrase-file {here}/passphrase",
    "issue": "issue sensor-1 --csr {here}/csr --out {disk}/out --dir {here}/fleet",
    "person certify": "person certify alice --role viewer --csr {here}/alice.csr --out {disk}/out"
    " --dir {here}/fleet",
    "ca request": "ca request issuing-2 --out {disk}/out --dir {here}/fleet",
    "ca root-crl": "ca root-crl --root-dir {here}/root --passphrase-file {here}/passphrase --out {disk}/out",
    "ca backup": "ca backup {disk}/backup --dir {here}/fleet",
    "ca restore": "ca restore {here}/backup --dir {disk}/fleet",
    "factory make": "factory make --batch bootstrap-1 --count 1 --prefix made --partition-table {here}/table"
    " --out {disk}/out --dir {here}/fleet",
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("here")
    (here / "passphrase").write_bytes(PASSPHRASE)
    (here / "csr").write_text(make_csr(new_key(), "sensor-1"))
    (here / "alice.csr").write_text(make_csr(new_key(), "alice"))
    (here / "table").write_text(TABLE)
    with running_web(here) as web:
        web.enrolled("sensor-1")
    assert run_cli("ca", "backup", here / "backup", "--dir", here / "fleet").code == 0
    return here


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_what_a_command_writes_is_there_completely_or_not_at_all(
    here: Path, disk: Path, command: str
) -> None:
    words = [word.format(disk=disk, here=here) for word in command.split()]
    with filled(disk):
        refused = run_cli(*words)
        assert [path.name for path in disk.rglob("*") if path.is_file()] == ["filler"]
    assert refused.code == 4, refused
    assert "No space left on device" in refused.stderr or "disk is full" in refused.stderr
    done = run_cli(*words)
    assert done.code == 0, done.stderr


def test_a_fleet_whose_disk_is_full_does_not_come_up_and_keeps_everything(disk: Path) -> None:
    layout = make_fleet(disk)
    with filled(disk, layout.registry):
        refused = run_cli("up", "--dir", layout.directory)
    assert refused.code == 4
    assert "whether its disk is full" in refused.stderr
    assert run_cli("audit", "verify", "--dir", layout.directory).code == 0


def test_a_key_for_which_there_is_no_space_is_made_anew_the_next_time(disk: Path) -> None:
    layout = make_fleet(disk)
    request = ("ca", "request", "issuing-2", "--out", disk / "out", "--dir", layout.directory)
    with contextlib.closing(sqlite3.connect(layout.registry)) as somebody:
        somebody.execute("SELECT * FROM devices").fetchall()  # it is in use, so it can be read
        with filled(disk, layout.registry):
            refused = run_cli(*request)
    assert refused.code == 4
    assert "No space left on device" in refused.stderr
    assert run_cli(*request).code == 0


def test_half_a_line_is_no_line(disk: Path) -> None:
    journal = disk / "journal"
    files.append_line(journal, "x" * 4090)
    before = journal.read_bytes()
    with filled(disk), pytest.raises(OSError, match="No space left on device"):
        files.append_line(journal, "more than the page has left")
    assert journal.read_bytes() == before
