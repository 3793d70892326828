# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The manifest of a production run: one JSON object a line, appended and synced, so a run can go on where it
stopped. It names devices and files and holds no secret."""

import os
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from fleetpki import files
from fleetpki.errors import FleetError

NAME = "manifest.jsonl"


class Step(StrEnum):
    """How far a device has come."""

    MADE = "made"
    BURNING = "burning"
    FLASHING = "flashing"
    FLASHED = "flashed"


class Image(BaseModel):
    """A file for the flash."""

    model_config = ConfigDict(frozen=True)

    file: str
    offset: int
    sha256: str


class Entry(BaseModel):
    """One step of one device."""

    model_config = ConfigDict(frozen=True)

    device_id: str
    step: Step
    at: datetime
    images: list[Image] = []
    efuse_key: str | None = None
    """File with the key to burn into an eFuse block of purpose HMAC_UP."""
    mac: str | None = None
    """Of the chip, from before the first change to it."""
    efuse_block: int | None = None
    """The chip's key block for that key, from before it is burned."""


class Manifest:
    """The manifest in a production directory."""

    def __init__(self, directory: Path) -> None:
        """Read what was done so far. The half line of a run that was killed while it wrote is dropped."""
        self._path = directory / NAME
        self.devices: dict[str, Entry] = {}
        for entry in self._read():
            self._take(entry)

    def append(self, entry: Entry) -> None:
        """Note a step; it is on the disk on return."""
        files.append_line(self._path, entry.model_dump_json(exclude_none=True))
        self._take(entry)

    def _take(self, entry: Entry) -> None:
        before = self.devices.get(entry.device_id)
        kept = {"images": before.images, "efuse_key": before.efuse_key} if before else {}
        self.devices[entry.device_id] = entry if entry.images else entry.model_copy(update=kept)

    def _read(self) -> list[Entry]:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        complete, _, torn = text.rpartition("\n")
        if torn:
            os.truncate(self._path, len(text.encode()) - len(torn.encode()))
        entries = []
        for number, line in enumerate(complete.splitlines(), start=1):
            try:
                entries.append(Entry.model_validate_json(line))
            except ValidationError as error:
                raise FleetError(
                    f"{self._path}, line {number} is no entry of a manifest",
                    "restore the file, or begin a new production directory",
                    exit_code=2,
                ) from error
        return entries
