# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The commands about batches, allow-list, labels, suspension, audit chain and database of a real fleet."""

import os
from pathlib import Path

import pytest

from fleetpki import files
from fleetpki.account import account
from fleetpki.config import Layout
from fleetpki.errors import Code
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import suspend_device, utc_now
from fleetpki.registry.database import REVISION
from fleetpki.registry.models import Alert
from tests.cloud.broker_fixtures import make_fleet, run_cli
from tests.cloud.doubles import refused
from tests.cloud.postgres import PostgresServer
from tests.cloud.test_cli_commands import cli, enrolled


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    layout = make_fleet(tmp_path_factory.mktemp("cli"))
    for device_id in ("sensor-1", "sensor-2"):
        enrolled(layout, device_id)
    return layout


def test_a_closed_batch_takes_who_is_on_the_list(layout: Layout, tmp_path: Path) -> None:
    assert (
        cli(layout, "batch", "change", "bootstrap-1", "--closed", "--budget", "9", "--json").data["budget"]
        == 9
    )
    assert refused(lambda: enrolled(layout, "sensor-3")) == Code.NOT_ALLOWED
    allowed = tmp_path / "list.csv"
    allowed.write_text("device_id,group,tag:site\nsensor-3,cellar,north\n")
    assert cli(layout, "allow-list", "import", allowed, "--json").data == {"lines": 1, "changed": 1}
    assert cli(layout, "allow-list", "export").stdout == allowed.read_text().replace(
        "device_id,group,tag:site\nsensor-3,cellar,",
        "device_id,batch,group,certificate_id,tag:site\nsensor-3,,cellar,,",
    )
    enrolled(layout, "sensor-3")
    (found,) = cli(layout, "devices", "--tag", "site=north", "--group", "cellar", "--json").data
    assert (found["device_id"], found["tags"]) == ("sensor-3", {"site": "north"})
    assert cli(layout, "allow-list", "remove", "sensor-3", "--json").data == {"removed": 1}
    (batch,) = cli(layout, "batch", "list", "--json").data
    assert (batch["open"], batch["budget"]) == (False, 9)


def test_lines_that_are_not_on_the_list_are_named_and_nothing_is_removed(
    layout: Layout, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_text("device_id\nsensor-8\n")
    cli(layout, "allow-list", "import", tmp_path / "list.csv")
    outcome = cli(layout, "allow-list", "remove", "sensor-8", "nope", "neither")
    assert outcome.code == 2
    assert "no line for nope, neither" in outcome.stderr
    assert cli(layout, "allow-list", "remove", "sensor-8", "--json").data == {"removed": 1}


def test_a_campaign_for_an_authority_by_name_or_id(layout: Layout) -> None:
    issuer = cli(layout, "ca", "show", "issuing", "--json").data["authority_id"]
    for named in ("issuing", issuer):
        begun = cli(layout, "campaign", "create", "--issuer", named, "--json").data
        assert begun["selector"] == {"issuer_id": issuer}
        cli(layout, "campaign", "cancel", begun["campaign_id"])
    outcome = cli(layout, "campaign", "create", "--issuer", "nobody")
    assert outcome.code == 2
    assert "no authority nobody" in outcome.stderr


@pytest.mark.parametrize("command", [["ca", "backup", ""], ["ca", "restore", ""]])
def test_no_name_is_not_the_current_directory(layout: Layout, command: list[str]) -> None:
    outcome = run_cli(*command, "--dir", layout.directory)
    assert outcome.code == 2
    assert "which directory?" in outcome.stderr


def test_labels(layout: Layout) -> None:
    assert cli(layout, "tag", "sensor-1", "site=south", "line=2", "--group", "pumps").code == 0
    cli(layout, "tag", "sensor-1", "line=")
    (found,) = cli(layout, "devices", "--group", "pumps", "--json").data
    assert found["tags"] == {"site": "south"}
    assert cli(layout, "tag", "sensor-1", "nonsense").code == 2
    assert cli(layout, "devices", "--expires-within", "soon").code == 2


def test_pages(layout: Layout) -> None:
    first = cli(layout, "devices", "--limit", "1", "--json")
    assert first.data[0]["device_id"] == "sensor-1"
    assert "--after sensor-1" in first.stderr
    assert (
        cli(layout, "devices", "--limit", "1", "--after", "sensor-1", "--json").data[0]["device_id"]
        == "sensor-2"
    )


def test_suspend_and_resume(layout: Layout) -> None:
    assert cli(layout, "suspend", "sensor-2", "--reason", "odd traffic").code == 0
    assert [each["device_id"] for each in cli(layout, "devices", "--state", "suspended", "--json").data] == [
        "sensor-2"
    ]
    assert cli(layout, "resume", "sensor-2").code == 0
    assert cli(layout, "devices", "--state", "suspended", "--json").data == []


def test_the_audit_chain(layout: Layout, tmp_path: Path) -> None:
    head = cli(layout, "audit", "verify", "--json").data["head"]
    assert cli(layout, "audit", "verify", "--head", head).code == 0
    assert cli(layout, "audit", "verify", "--head", head.split(":")[0] + ":" + "0" * 64).code == 1
    exported = tmp_path / "audit.csv"
    exported.write_text(cli(layout, "audit", "export", "--format", "csv").stdout)
    assert cli(layout, "audit", "verify", "--file", exported, "--json").data["head"] == head
    assert cli(layout, "audit", "tail", "-n", "1").stdout.startswith(head.split(":")[0])


def test_the_chain_names_the_account_that_was_at_the_command_line(layout: Layout) -> None:
    cli(layout, "suspend", "sensor-1")
    cli(layout, "resume", "sensor-1")
    suspended, resumed = cli(layout, "audit", "tail", "-n", "2", "--json").data
    assert suspended["actor"] == resumed["actor"] == f"operator:{account()}"


@pytest.mark.parametrize("reason", ["", "x" * 201, "\x1b[31mred", "one\n99  forged", "\x9b31m"])
@pytest.mark.parametrize(
    "command", [["suspend", "sensor-1"], ["person", "revoke", "a"], ["campaign", "create"]]
)
def test_a_reason_is_a_line_of_printable_text(layout: Layout, command: list[str], reason: str) -> None:
    head = cli(layout, "audit", "verify").stdout
    outcome = run_cli(*command, "--reason", reason, "--dir", layout.directory)
    assert (outcome.code, outcome.stderr) == (2, "fleetpki: a reason has 1 to 200 printable characters\n")
    assert cli(layout, "audit", "verify").stdout == head


def test_what_is_in_the_chain_cannot_forge_lines_or_command_a_terminal(layout: Layout) -> None:
    suspend_device(Fleet.open(layout.directory).context, "sensor-2", "\x1b[31mred\n99  forged")
    (line,) = cli(layout, "audit", "tail", "-n", "1").stdout.splitlines()
    assert line.endswith(r"reason=\x1b[31mred\n99  forged")
    assert cli(layout, "resume", "sensor-2").code == 0


def test_tables_show_texts_as_they_are(layout: Layout) -> None:
    with Fleet.open(layout.directory).context.writing() as session:
        session.add(
            Alert(kind="odd", subject="[/red]", severity="info", message="\x1b[2J", raised_at=utc_now())
        )
    shown = cli(layout, "alerts", "list").stdout
    assert "[/red]" in shown
    assert r"\x1b[2J" in shown


@pytest.mark.parametrize(
    "command",
    [
        ["allow", "sensor-1", "--within", "{}"],
        ["token", "create", "big", "--role", "viewer", "--days", "{}"],
        ["batch", "create", "big", "--budget", "{}"],
        ["batch", "change", "bootstrap-1", "--rate", "{}"],
        ["campaign", "create", "--all", "--rate", "{}"],
        ["alerts", "acknowledge", "{}"],
        ["quarantine", "approve", "{}"],
    ],
)
@pytest.mark.parametrize("number", [99999999999, 99999999999999999999])
def test_a_number_beyond_all_bounds_is_refused(layout: Layout, command: list[str], number: int) -> None:
    outcome = run_cli(*(each.format(number) for each in command), "--dir", layout.directory)
    assert outcome.code == 2
    assert "less than or equal to" in outcome.stderr


@pytest.mark.parametrize("command", [["show"], ["suspend", "sensor-1", "--reason"]])
def test_what_the_terminal_encodes_in_its_own_way_is_refused(layout: Layout, command: list[str]) -> None:
    outcome = run_cli(*command, os.fsdecode(b"ger\xe4t"), "--dir", layout.directory)
    assert outcome.code == 2
    assert outcome.stderr.startswith(r"fleetpki: 'ger\udce4t' cannot be read in the encoding")


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b'{"seq": 1}\n', b'{"a":' * 50_000, b"seq,hash\n1,0\n", b"{\xff"]
)
def test_a_file_that_is_no_chain_is_refused(layout: Layout, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "chain").write_bytes(content)
    outcome = cli(layout, "audit", "verify", "--file", tmp_path / "chain")
    assert outcome.code == 2
    assert f"{tmp_path / 'chain'}" in outcome.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["person", "certify", "alice", "--role", "viewer", "--out", "alice.crt", "--csr"],
        ["issue", "sensor-1", "--csr"],
        ["allow-list", "import"],
        ["campaign", "create", "--ids"],
        ["ca", "install-crl"],
        ["audit", "verify", "--file"],
    ],
)
def test_a_file_that_never_ends_is_refused(
    layout: Layout, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_INPUT", 2**20)
    outcome = run_cli(*command, "/dev/zero", "--dir", layout.directory)
    assert outcome.code == 2
    assert "fleetpki: /dev/zero" in outcome.stderr


def test_the_quarantine_is_empty(layout: Layout) -> None:
    assert cli(layout, "quarantine", "list", "--json").data == []
    assert cli(layout, "quarantine", "approve", "7").code == 2


def test_the_database(layout: Layout) -> None:
    data = cli(layout, "db", "current", "--json").data
    assert (data["schema"], data["needed"]) == (REVISION, REVISION)
    assert cli(layout, "db", "upgrade").code == 0
    assert Fleet.open(layout.directory).sessions


def test_a_fleet_on_a_server(postgres: PostgresServer, tmp_path: Path) -> None:
    postgres.create("fleet")
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("a long and secret text")
    paths = ("--dir", tmp_path / "fleet", "--root-dir", tmp_path / "root", "--passphrase-file", passphrase)
    url = postgres.url("fleet")
    assert run_cli("init", *paths, "--database-url", url).code == 0
    layout = Layout(tmp_path / "fleet")
    assert not layout.registry.exists()
    enrolled(layout, "sensor-1")
    assert cli(layout, "devices", "--json").data[0]["device_id"] == "sensor-1"
    again = ("--dir", tmp_path / "again", "--root-dir", tmp_path / "root-2", "--passphrase-file", passphrase)
    refusal = run_cli("init", *again, "--database-url", url)
    assert refusal.code == 2
    assert "has tables already" in refusal.stderr
    assert not (tmp_path / "again").exists()
