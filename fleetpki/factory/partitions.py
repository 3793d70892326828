# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the partition table of a firmware, in ESP-IDF's CSV form."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from fleetpki.errors import FleetError

CERTS = "certs"
NVS_KEYS = "nvs_keys"
SECURE_CERT = "esp_secure_cert"

_NUMBER = re.compile(r"(0x[0-9a-f]+|[0-9]+)([km]?)", re.IGNORECASE)
_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}
_COLUMNS = 5


@dataclass(frozen=True)
class Partition:
    """A region of the flash; numbers in bytes."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class Row:
    """A line of the table as it is written. ESP-IDF fills in offsets that are left out."""

    cells: list[str]
    where: str


def read_partitions(path: Path) -> dict[str, Row]:
    """The rows of the table by the partition's name."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FleetError(f"cannot read the partition table {path}: {error}", exit_code=2) from error
    rows = csv.reader(line if not line.lstrip().startswith("#") else "" for line in lines)
    numbered = enumerate(([cell.strip() for cell in row] for row in rows), start=1)
    return {cells[0]: Row(cells, f"{path}, line {number}") for number, cells in numbered if cells}


def require(table: dict[str, Row], name: str, path: Path) -> Partition:
    """The partition of that name. Its offset must be written out: its image has to go where it is."""
    if name not in table:
        raise FleetError(
            f"{path} has no partition {name}", "give the partition table of your firmware", exit_code=2
        )
    row = table[name]
    if len(row.cells) < _COLUMNS:
        raise FleetError(f"{row.where}: expected name, type, subtype, offset, size", exit_code=2)
    return Partition(
        name, _bytes(row.cells[3], f"{row.where}: offset"), _bytes(row.cells[4], f"{row.where}: size")
    )


def _bytes(text: str, where: str) -> int:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise FleetError(
            f"{where}: {text!r} is not a number", "write it out, for example 0x9000 or 64K", exit_code=2
        )
    return int(match[1], 0) * _UNITS[match[2].lower()]
