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


def read_partitions(path: Path) -> dict[str, Partition]:
    """The partitions by name. Offsets must be written out: an image has to go where the firmware looks."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FleetError(f"cannot read the partition table {path}: {error}", exit_code=2) from error
    rows = csv.reader(line if not line.lstrip().startswith("#") else "" for line in lines)
    found: dict[str, Partition] = {}
    for number, row in enumerate(rows, start=1):
        if row:
            partition = _partition(row, f"{path}, line {number}")
            found[partition.name] = partition
    return found


def require(partitions: dict[str, Partition], name: str, path: Path) -> Partition:
    """The partition of that name."""
    if name not in partitions:
        raise FleetError(
            f"{path} has no partition {name}", "give the partition table of your firmware", exit_code=2
        )
    return partitions[name]


def _partition(row: list[str], where: str) -> Partition:
    cells = [cell.strip() for cell in row]
    if len(cells) < _COLUMNS:
        raise FleetError(f"{where}: expected name, type, subtype, offset, size", exit_code=2)
    return Partition(cells[0], _bytes(cells[3], f"{where}: offset"), _bytes(cells[4], f"{where}: size"))


def _bytes(text: str, where: str) -> int:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise FleetError(
            f"{where}: {text!r} is not a number", "write it out, for example 0x9000 or 64K", exit_code=2
        )
    return int(match[1], 0) * _UNITS[match[2].lower()]
