# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Backup of a fleet: a directory with a snapshot of the registry and the files that are not in it."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from fleetpki import files
from fleetpki.config import Layout, load_settings
from fleetpki.errors import FleetError
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import authorities
from fleetpki.registry import audit
from fleetpki.registry.database import reading
from fleetpki.registry.models import AuthorityState


def back_up(fleet: Fleet, to: Path) -> None:
    """Copy a fleet, running or not. The directory appears complete, or not at all."""
    layout = fleet.layout
    files.check_absent(to)
    if to.is_relative_to(layout.directory):
        raise FleetError(f"{to} is in the fleet directory", "choose a place elsewhere", exit_code=2)
    if fleet.settings.database_url is not None:
        raise FleetError(
            "the registry is in PostgreSQL, which makes its own backups",
            f"use pg_dump for the registry, and copy {layout.directory}",
            exit_code=2,
        )
    with files.staging(to) as stage:
        # The registry first: every key that it knows is then among the files copied after it.
        _copy_registry(layout.registry, stage / layout.registry.name)
        _copy_files(layout, stage)
        _commit(stage, to)


def restore_backup(backup: Path, directory: Path) -> None:
    """Make a fleet of a backup, if the registry is whole and has all its keys."""
    files.check_absent(directory)
    source = Layout(backup)
    load_settings(source)
    with files.staging(directory) as stage:
        _copy_registry(source.registry, stage / source.registry.name)
        _copy_files(source, stage)
        (stage / source.run.name).mkdir(mode=0o700)
        _check(Fleet.open(stage))
        _commit(stage, directory)


def _check(fleet: Fleet) -> None:
    with reading(fleet.sessions) as session:
        audit.verify(session)
        signing = [each for each in authorities.authorities(session) if each.key_uri is not None]
    for authority in signing:
        if authority.state in authorities.IN_USE and authority.state != AuthorityState.REVOKED:
            authorities.issuer(fleet.context, authority)
    fleet.sessions.kw["bind"].dispose()


def _copy_registry(source: Path, target: Path) -> None:
    """A consistent copy of a database that others may be writing to (SQLite's backup API)."""
    if not source.is_file():
        raise FleetError(f"{source} does not exist", "name a directory that 'ca backup' made", exit_code=2)
    target.touch(mode=0o600)
    with closing(sqlite3.connect(source)) as database, closing(sqlite3.connect(target)) as copy:
        try:
            database.backup(copy)
        except sqlite3.OperationalError as error:
            raise FleetError(f"cannot copy {source}: {error}", "look at the disk's space", 4) from error


def _copy_files(layout: Layout, stage: Path) -> None:
    shutil.copy2(layout.settings, stage / layout.settings.name)
    for part in (layout.ca, layout.services, layout.bootstrap):
        shutil.copytree(part, stage / part.name)
    (stage / layout.broker.name).mkdir(mode=0o700)
    for path in layout.broker.glob("broker.*"):
        shutil.copy2(path, stage / layout.broker.name / path.name)


def _commit(stage: Path, target: Path) -> None:
    """Make the copy durable, then let it appear."""
    for path in (*stage.rglob("*"), stage):
        if path.is_dir():
            files.sync_directory(path)
        else:
            files.sync_file(path)
    stage.rename(target)
    files.sync_directory(target.parent)
