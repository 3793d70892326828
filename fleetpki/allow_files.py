# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Allow-lists in files: CSV with a header, or JSON. Tags are columns named ``tag:<key>`` in CSV."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fleetpki.config import first_problem
from fleetpki.errors import FleetError
from fleetpki.lifecycle import AllowedEntry

TAG = "tag:"
COLUMNS = ("device_id", "batch", "group", "certificate_id")
_MAX_PROBLEMS = 20

_ENTRY = TypeAdapter(AllowedEntry)
_Line = tuple[str, Any]
"""Where it is in the file, and what it says."""


def read_allow_list(name: str, text: str) -> list[AllowedEntry]:
    """Read a file by its name's ending; every line that is wrong is named, and then nothing is taken."""
    lines = _json_lines(name, text) if name.endswith(".json") else _csv_lines(name, text)
    entries: dict[str, AllowedEntry] = {}
    problems = []
    for where, data in lines:
        try:
            _add(entries, data)
        except FleetError as error:
            problems.append(": ".join(filter(None, (where, error.message, error.hint))))
    if problems:
        shown = problems[:_MAX_PROBLEMS]
        more = [f"and {len(problems) - len(shown)} more"] if len(problems) > len(shown) else []
        raise FleetError("\n".join([*shown, *more]), "nothing was imported; correct the file", exit_code=2)
    return list(entries.values())


def csv_text(entries: Iterable[AllowedEntry]) -> str:
    """The list as CSV."""
    rows = list(entries)
    tags = sorted({key for entry in rows for key in entry.tags})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COLUMNS, *(TAG + key for key in tags)])
    for entry in rows:
        values = [getattr(entry, column) or "" for column in COLUMNS]
        writer.writerow([*values, *(entry.tags.get(key, "") for key in tags)])
    return out.getvalue()


def _csv_lines(name: str, text: str) -> Iterator[_Line]:
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        header = [column.strip() for column in next(reader, [])]
        _check_header(name, header)
        for row in reader:
            if row:
                where = f"{name}, line {reader.line_num}"
                yield where, _csv_fields(where, header, row)
    except csv.Error as error:
        raise FleetError(
            f"{name}, line {reader.line_num}: {error}", "correct the file", exit_code=2
        ) from error


def _check_header(name: str, header: list[str]) -> None:
    unknown = [column for column in header if column not in COLUMNS and not column.startswith(TAG)]
    if "device_id" not in header or unknown or len(set(header)) < len(header):
        raise FleetError(
            f"{name}, line 1: the header is not made of {', '.join(COLUMNS)} and {TAG}<key>",
            "only device_id has to be there",
            exit_code=2,
        )


def _csv_fields(where: str, header: list[str], row: list[str]) -> dict[str, Any]:
    if len(row) != len(header):
        problem = f"{where}: {len(row)} fields, the header has {len(header)}"
        raise FleetError(problem, "correct the file", exit_code=2)
    values = {column: value.strip() for column, value in zip(header, row, strict=True) if value.strip()}
    fields = {column: value for column, value in values.items() if column in COLUMNS}
    tags = {column.removeprefix(TAG): value for column, value in values.items() if column not in COLUMNS}
    return {"device_id": "", **fields, "tags": tags}


def _json_lines(name: str, text: str) -> Iterator[_Line]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FleetError(f"{name} is not JSON: {error}", "correct the file", exit_code=2) from error
    if not isinstance(data, list):
        raise FleetError(f"{name} is no list", 'write [{"device_id": "sensor-1"}, …]', exit_code=2)
    for number, item in enumerate(data, 1):
        yield f"{name}, entry {number}", item


def _add(entries: dict[str, AllowedEntry], data: Any) -> None:
    try:
        entry = _ENTRY.validate_json(json.dumps(data), strict=True, extra="forbid")
    except ValidationError as error:
        raise FleetError(first_problem(error)) from error
    entry.check()
    if entry.device_id in entries:
        raise FleetError(f"{entry.device_id} is listed twice")
    entries[entry.device_id] = entry
