# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The record of a run: every command, message and device line, with its time."""

import re
import time
from pathlib import Path
from typing import TextIO

_PRIVATE_KEY = re.compile(
    r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL
)


class Transcript:
    """A text file that grows by one line per event. Private keys are cut out of it."""

    def __init__(self, path: Path | None = None) -> None:
        """Write to ``path``; without one, nowhere."""
        self.path = path
        self._start = time.monotonic()
        self._file: TextIO | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8")

    def add(self, source: str, text: str) -> None:
        """Record what a source did or said."""
        if self._file is None:
            return
        seconds = time.monotonic() - self._start
        for line in _PRIVATE_KEY.sub(r"\1 (left out) \2", text).splitlines():
            self._file.write(f"{seconds:9.3f} {source:<12} {line}\n")
        self._file.flush()

    def close(self) -> None:
        """End the record."""
        if self._file is not None:
            self._file.close()
