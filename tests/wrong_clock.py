# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A wall clock for programs that can be set while they run (libfaketime)."""

from datetime import timedelta
from pathlib import Path

import pytest

LIBFAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)

needs_libfaketime = pytest.mark.skipif(
    LIBFAKETIME is None, reason="libfaketime (Debian: libfaketime) is not installed"
)


class WrongClock:
    """A clock that is right until it is set."""

    def __init__(self, directory: Path) -> None:
        self._offset = directory / "clock"
        self.set(timedelta(0))

    @property
    def environment(self) -> dict[str, str]:
        """What a program that goes by this clock is started with."""
        return {
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "LD_PRELOAD": str(LIBFAKETIME),
        }

    def set(self, ahead: timedelta) -> None:
        """Set it ahead of the right time, or behind."""
        new = self._offset.with_suffix(".new")
        new.write_text(f"{ahead.total_seconds():+.0f}\n")
        new.replace(self._offset)  # at once: programs read it all the time
