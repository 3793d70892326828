# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Writing many rows at once, without a session that keeps track of each."""

from collections.abc import Sequence

from sqlalchemy import insert, inspect
from sqlalchemy.orm import Session

from fleetpki.registry.models import Base


def insert_all(session: Session, rows: Sequence[Base]) -> None:
    """Insert new objects of one kind, made alike, with one statement; they stay outside of the session."""
    if not rows:
        return
    kind = type(rows[0])
    given = [column.key for column in inspect(kind).column_attrs if column.key in vars(rows[0])]
    session.execute(insert(kind), [{name: getattr(row, name) for name in given} for row in rows])
