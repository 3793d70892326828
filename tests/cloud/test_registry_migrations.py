# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The migrations make exactly what the models say, and an old registry is not worked with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text

from fleetpki.errors import FleetError
from fleetpki.fleet import Fleet
from fleetpki.lifecycle.health import Level
from fleetpki.monitoring.health import check
from fleetpki.registry import migrations
from fleetpki.registry.database import (
    REVISION,
    Database,
    Sessions,
    connect,
    create_registry,
    engine_of,
    open_registry,
    revision,
)
from tests.cloud.broker_fixtures import make_fleet, run_cli

NewDatabase = Callable[[str], Database]


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> NewDatabase:
    """Makes the address of an empty database."""
    if request.param == "sqlite":
        return lambda name: tmp_path / f"{name}.db"
    server = request.getfixturevalue("postgres")

    def create(name: str) -> Database:
        name = f"schema_{name}"
        server.drop(name)
        server.create(name)
        return str(server.url(name))

    return create


def pretend(sessions: Sessions, found: str) -> None:
    """Let the registry say that it has another schema."""
    with sessions.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :found"), {"found": found})


def described(engine: Engine) -> dict[str, Any]:
    """Everything about the tables that matters."""
    found = inspect(engine)
    return {
        table: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in found.get_columns(table)
            ],
            "key": found.get_pk_constraint(table)["constrained_columns"],
            "foreign": sorted(
                (each["constrained_columns"], each["referred_table"])
                for each in found.get_foreign_keys(table)
            ),
            "unique": sorted(each["column_names"] for each in found.get_unique_constraints(table)),
            "indexes": sorted(
                (
                    str(each["name"]),
                    each["column_names"],
                    each["unique"],
                    str(each.get("dialect_options", {}).get(f"{engine.dialect.name}_where")),
                )
                for each in found.get_indexes(table)
            ),
        }
        for table in found.get_table_names()
    }


def test_the_migrations_make_what_the_models_say(new_database: NewDatabase) -> None:
    by_models = engine_of(create_registry(new_database("by_models")))
    by_migrations = connect(new_database("by_migrations"))
    migrations.upgrade(by_migrations)
    assert described(by_migrations) == described(by_models)
    for engine in (by_models, by_migrations):
        assert revision(engine) == REVISION == migrations.newest()
        engine.dispose()


def test_ids_of_messages_are_never_used_twice(tmp_path: Path) -> None:
    engine = connect(tmp_path / "registry.db")
    migrations.upgrade(engine)
    with engine.connect() as connection:
        made_by = "SELECT sql FROM sqlite_master WHERE name = 'outbox'"
        assert "AUTOINCREMENT" in connection.execute(text(made_by)).scalar_one()


def test_upgrading_what_is_up_to_date_changes_nothing(new_database: NewDatabase) -> None:
    engine = engine_of(create_registry(new_database("registry")))
    before = described(engine)
    migrations.upgrade(engine)
    assert described(engine) == before
    engine.dispose()


@pytest.mark.parametrize(
    ("found", "which", "what_to_do"),
    [("0000", "older", "fleetpki db upgrade"), ("9999", "newer", "install the version")],
)
def test_another_schema_names_what_helps(
    new_database: NewDatabase, found: str, which: str, what_to_do: str
) -> None:
    database = new_database("registry")
    sessions = create_registry(database)
    pretend(sessions, found)
    with pytest.raises(FleetError, match=f"has schema {found}, {which} than") as caught:
        open_registry(database)
    assert what_to_do in caught.value.hint


@pytest.mark.parametrize(("found", "why"), [("0000", "cannot be upgraded"), ("9999", "newer than")])
def test_a_schema_that_nobody_knows_is_not_upgraded(tmp_path: Path, found: str, why: str) -> None:
    layout = make_fleet(tmp_path)
    pretend(Fleet.open(layout.directory).sessions, found)
    refused = run_cli("db", "upgrade", "--dir", layout.directory)
    assert refused.code == 1
    assert why in refused.stderr


@pytest.mark.parametrize(("found", "what_to_do"), [("0000", "db upgrade"), ("9999", "install the version")])
def test_up_does_not_start_and_health_is_critical(tmp_path: Path, found: str, what_to_do: str) -> None:
    layout = make_fleet(tmp_path)
    pretend(Fleet.open(layout.directory).sessions, found)
    started = run_cli("up", "--dir", layout.directory)
    assert started.code == 1
    assert found in started.stderr
    assert what_to_do in started.stderr
    health = run_cli("health", "--dir", layout.directory, "--json")
    assert health.code == Level.CRITICAL
    registry = health.data["findings"][0]
    assert (registry["check"], registry["level"]) == ("registry", "critical")
    assert what_to_do in registry["message"]


def test_a_schema_that_changes_while_we_run_is_noticed(tmp_path: Path) -> None:
    fleet = Fleet.open(make_fleet(tmp_path).directory)
    assert check(fleet)[0].level == Level.OK
    pretend(fleet.sessions, "9999")
    assert check(fleet)[0].level == Level.CRITICAL


def test_a_server_that_is_away_is_the_surroundings_fault(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="cannot be used") as caught:
        open_registry(f"postgresql://somebody:secret@/registry?host={tmp_path}")
    assert caught.value.exit_code == 4
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("url", ["mysql://host/name", "no url at all"])
def test_another_kind_of_database(url: str) -> None:
    with pytest.raises(FleetError, match="no address of a PostgreSQL database"):
        open_registry(url)
