# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The migrations make exactly what the models say, and an old registry is not worked with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text

from fleetpki.errors import FleetError
from fleetpki.registry import migrations
from fleetpki.registry.database import (
    REVISION,
    Database,
    connect,
    create_registry,
    engine_of,
    open_registry,
    revision,
)

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


def test_an_old_schema_names_the_command_that_helps(new_database: NewDatabase) -> None:
    database = new_database("registry")
    with create_registry(database).begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(FleetError, match="has schema 0000") as caught:
        open_registry(database)
    assert "fleetpki db upgrade" in caught.value.hint


def test_a_server_that_is_away_is_the_surroundings_fault(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="cannot be used") as caught:
        open_registry(f"postgresql://somebody:secret@/registry?host={tmp_path}")
    assert caught.value.exit_code == 4
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("url", ["mysql://host/name", "no url at all"])
def test_another_kind_of_database(url: str) -> None:
    with pytest.raises(FleetError, match="no address of a PostgreSQL database"):
        open_registry(url)
