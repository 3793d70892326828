# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""``fleetpki init`` on PostgreSQL: an attempt that fails, or is killed, is in nobody's way."""

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from sqlalchemy import inspect, text

from fleetpki import fleet as fleets
from fleetpki.config import Settings
from fleetpki.errors import FleetError
from fleetpki.fleet import Fleet
from fleetpki.registry.database import connect, open_registry
from tests.cloud.broker_fixtures import PASSPHRASE
from tests.cloud.postgres import PostgresServer


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    postgres.create("init")
    yield postgres.url("init")
    postgres.drop("init")


def make(workspace: Path, url: str) -> None:
    fleets.create(workspace / "fleet", workspace / "root", PASSPHRASE, Settings(database_url=url))


def tables(url: str) -> list[str]:
    engine = connect(url)
    try:
        return inspect(engine).get_table_names()
    finally:
        engine.dispose()


def fail(*_args: object, **_kwargs: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("step", ["_write_files", "install_list", "finish"])
def test_a_failed_attempt_leaves_no_tables(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(fleets, step, fail)
    with pytest.raises(FleetError, match="No space left"):
        make(tmp_path, url)
    assert tables(url) == []
    assert list(tmp_path.iterdir()) == []


def test_a_fleet_that_cannot_appear_leaves_no_tables(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(FleetError, match="No space left"):
        make(tmp_path, url)
    assert tables(url) == []


def test_after_a_killed_attempt_the_next_one_begins_anew(tmp_path: Path, url: str) -> None:
    process = os.fork()
    if process == 0:
        with mock.patch.object(fleets, "finish", side_effect=lambda _: os.kill(os.getpid(), signal.SIGKILL)):
            make(tmp_path, url)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    assert "authorities" in tables(url)
    with pytest.raises(FleetError, match="unfinished"):
        open_registry(url)
    make(tmp_path, url)
    Fleet.open(tmp_path / "fleet").check_registry()


def test_tables_of_others_are_left_alone(tmp_path: Path, url: str) -> None:
    engine = connect(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE precious (it int)"))
    engine.dispose()
    with pytest.raises(FleetError, match="has tables already"):
        make(tmp_path, url)
    assert tables(url) == ["precious"]


def test_another_fleet_is_left_alone(tmp_path: Path, url: str) -> None:
    make(tmp_path, url)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(FleetError, match="has tables already"):
        make(other, url)
    Fleet.open(tmp_path / "fleet").check_registry()
