# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A disk of its own, so small that it can be filled."""

import contextlib
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_SIZE = "16m"


@contextlib.contextmanager
def small_disk(at: Path) -> Iterator[Path]:
    """A small disk, in memory; the test is skipped where that takes privileges nobody has."""
    at.mkdir()
    mount: list[str | Path] = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", at]
    if (mounted := subprocess.run(mount, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"a disk that can be filled takes root: {mounted.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", at], check=True)


@contextlib.contextmanager
def filled(disk: Path, registry: Path | None = None) -> Iterator[None]:
    """Not a byte is left on a disk, nor in the journal of a registry there."""
    if registry is not None:
        _truncate_journal(registry)
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    try:
        yield
    finally:
        filler.unlink()


def _truncate_journal(registry: Path) -> None:
    with contextlib.closing(sqlite3.connect(registry)) as connection:
        busy = True
        while busy:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
