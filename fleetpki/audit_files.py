# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The audit chain in files, to be kept elsewhere and verified without the registry."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from fleetpki.errors import FleetError
from fleetpki.registry.audit import Head, verify_entries
from fleetpki.times import rfc3339

FIELDS = ("seq", "at", "actor", "action", "subject", "detail", "previous", "hash")
_MAX_LINE = 2**20


class Format(StrEnum):
    """How entries are written."""

    JSONL = "jsonl"
    CSV = "csv"


def write_entries(entries: Iterable[Mapping[Any, Any]], form: Format, out: TextIO) -> None:
    """Write entries, one a line."""
    if form == Format.JSONL:
        for entry in entries:
            out.write(json.dumps(plain(entry)) + "\n")
        return
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    for entry in entries:
        values = {**plain(entry), "detail": json.dumps(entry["detail"])}
        writer.writerow([values[name] for name in FIELDS])


def verify_file(path: Path, expected: Head | None = None) -> tuple[int, Head]:
    """Check an exported chain; returns the number of its first entry, and its head."""
    with path.open(encoding="utf-8", newline="") as file:
        entries = _read(file, path)
        first = next(entries, None)
        if first is None:
            raise FleetError(f"{path} has no entries", "export it again", exit_code=2)
        start = Head(first["seq"] - 1, first["previous"])
        head = verify_entries(chain([first], entries), expected, start)
    return first["seq"], head


def plain(entry: Mapping[Any, Any]) -> dict[str, Any]:
    """An entry with its time as text."""
    return {**entry, "at": rfc3339(entry["at"], "microseconds")}


def _read(file: TextIO, path: Path) -> Iterator[dict[str, Any]]:
    last = 0
    try:
        lines = iter(partial(file.readline, _MAX_LINE), "")
        start = next(lines, "")
        lines = chain([start], lines)
        for entry in map(json.loads, lines) if start[:1] == "{" else map(_of_csv, csv.DictReader(lines)):
            fields = {name: entry[name] for name in FIELDS}
            yield {**fields, "seq": int(entry["seq"]), "at": datetime.fromisoformat(entry["at"])}
            last = int(entry["seq"])
    except (ValueError, KeyError, TypeError, RecursionError, csv.Error) as error:
        where = f"{path}: what comes after entry {last}"
        hint, exit_code = "the file is damaged, or no export", 1 if last else 2
        raise FleetError(f"{where} cannot be read", hint, exit_code) from error


def _of_csv(row: dict[str, str]) -> dict[str, Any]:
    return {**row, "detail": json.loads(row["detail"])}
