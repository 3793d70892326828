# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Backup and restore: a whole fleet comes back, or nothing and a reason."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from fleetpki.config import Layout
from tests.cloud.broker_fixtures import Outcome, make_fleet, run_cli


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backup")
    make_fleet(folder)
    return folder


@pytest.fixture
def layout(pristine: Path, tmp_path: Path) -> Layout:
    shutil.copytree(pristine, tmp_path, dirs_exist_ok=True)
    return Layout(tmp_path / "fleet")


def backup(layout: Layout) -> Path:
    target = layout.directory.parent / "backup"
    outcome = run_cli("ca", "backup", target, "--dir", layout.directory)
    assert outcome.code == 0, outcome.stderr
    return target


def restore(layout: Layout, source: Path) -> Outcome:
    return run_cli("ca", "restore", source, "--dir", layout.directory.parent / "restored")


def test_a_restored_fleet_is_the_fleet_that_was_backed_up(layout: Layout) -> None:
    assert restore(layout, backup(layout)).code == 0
    restored = layout.directory.parent / "restored"
    shown = [run_cli("ca", "list", "--json", "--dir", each).data for each in (layout.directory, restored)]
    assert shown[0] == shown[1]
    assert run_cli("audit", "verify", "--dir", restored).code == 0
    assert run_cli("crl", "--rebuild", "--dir", restored).code == 0  # the keys are there


def test_a_backup_is_consistent_while_somebody_writes(layout: Layout) -> None:
    with sqlite3.connect(layout.registry) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM authorities")
        source = backup(layout)
        writer.rollback()
    assert restore(layout, source).code == 0


def test_nothing_is_overwritten(layout: Layout) -> None:
    source = backup(layout)
    assert run_cli("ca", "backup", source, "--dir", layout.directory).code == 2
    assert restore(layout, source).code == 0
    before = (layout.directory.parent / "restored" / "registry.db").stat().st_mtime_ns
    assert restore(layout, source).code == 2
    assert (layout.directory.parent / "restored" / "registry.db").stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["registry.db", "ca/issuing.key", "fleet.toml"])
def test_an_incomplete_backup_restores_nothing(layout: Layout, damage: str) -> None:
    source = backup(layout)
    (source / damage).unlink()
    outcome = restore(layout, source)
    assert outcome.code != 0
    assert "Traceback" not in outcome.stderr
    assert sorted(path.name for path in layout.directory.parent.iterdir()) == ["backup", "fleet", "root"]


def test_an_edited_backup_restores_nothing(layout: Layout) -> None:
    source = backup(layout)
    with sqlite3.connect(source / "registry.db") as database:
        database.execute("UPDATE audit SET actor = 'nobody' WHERE seq = 2")
    outcome = restore(layout, source)
    assert outcome.code == 1
    assert "audit chain is broken" in outcome.stderr
    assert not (layout.directory.parent / "restored").exists()


def test_a_backup_of_secrets_is_private(layout: Layout) -> None:
    source = backup(layout)
    assert source.stat().st_mode & 0o077 == 0
    for secret in [*source.rglob("*.key"), source / "registry.db"]:
        assert secret.stat().st_mode & 0o077 == 0
