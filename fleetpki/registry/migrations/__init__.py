# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The history of the schema: brings an older registry up to date."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine

from fleetpki.errors import FleetError
from fleetpki.registry import statistics
from fleetpki.registry.database import name_of
from fleetpki.registry.models import Base

_HERE = Path(__file__).parent


def newest() -> str:
    """The revision this program works with."""
    revision = ScriptDirectory(str(_HERE)).get_current_head()
    if revision is None:
        raise RuntimeError("the package was installed without its migrations")
    return revision


def upgrade(engine: Engine) -> None:
    """Bring a registry up to date, or make the tables of a new one; in one transaction."""
    try:
        with engine.begin() as connection:
            command.upgrade(config(connection), "head")
            statistics.tell(connection, Base.metadata)
    except CommandError as error:
        raise FleetError(
            f"{name_of(engine)} cannot be upgraded: {error}", "restore it from a backup"
        ) from error


def config(connection: Connection) -> Config:
    """Alembic's settings, for work over this connection."""
    settings = Config()
    settings.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    settings.attributes["connection"] = connection
    return settings
