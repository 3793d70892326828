# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What SQLite is to believe about the indexes, so that it goes the same ways in every registry.

Left alone it takes any value of an index's first column for rare: it would look for the certificates of a
hundred devices among all that are active. PostgreSQL looks at its tables by itself.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, Enum, Index, MetaData

_ROWS = 1_000_000
_ALIKE = 10
_STATES = 4


def tell(connection: Connection, tables: MetaData) -> None:
    """Write it where SQLite keeps what ANALYZE finds."""
    if connection.dialect.name != "sqlite":
        return
    connection.exec_driver_sql("ANALYZE sqlite_schema")  # makes the table of statistics, and reads it
    connection.exec_driver_sql("DELETE FROM sqlite_stat1")
    for index in _indexes(tables):
        found = (index.table.name if index.table is not None else None, index.name, _found(index))
        connection.exec_driver_sql("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", found)
    connection.exec_driver_sql("ANALYZE sqlite_schema")


def _indexes(tables: MetaData) -> Iterator[Index]:
    for table in tables.sorted_tables:
        yield from sorted(table.indexes, key=lambda index: str(index.name))


def _found(index: Index) -> str:
    """How many rows there are, then how many have the same first column, first two columns, and so on."""
    left = [_ROWS]
    for column in index.columns:
        left.append(max(1, left[-1] // _STATES) if isinstance(column.type, Enum) else min(left[-1], _ALIKE))
    if index.unique or (index.table is not None and set(index.table.primary_key) <= set(index.columns)):
        left[-1] = 1
    return " ".join(map(str, left))
