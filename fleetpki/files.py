# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are there completely, or not at all, also after a power cut."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleetpki.errors import FleetError

MAX_INPUT = 256 * 2**20
"""Bytes of a file somebody names: an allow-list of millions of devices is shorter."""


def read(path: Path) -> bytes:
    """What is in a file somebody names; one that never ends, like a device, is refused."""
    with path.open("rb") as file:
        content = file.read(MAX_INPUT + 1)
    if len(content) > MAX_INPUT:
        raise FleetError(f"{path} has more than {MAX_INPUT // 2**20} MiB", "is it the right file?", 2)
    return content


def check_absent(path: Path) -> None:
    """Refuse a place where something is; an empty directory is fine."""
    if path.is_symlink() or (path.exists() and not (path.is_dir() and not any(path.iterdir()))):
        raise FleetError(
            f"{path} exists already and was left as it is",
            "choose another directory; to start over, move this one away yourself",
            exit_code=2,
        )
    if not path.parent.is_dir():
        raise FleetError(f"{path.parent} is not a directory", "make it first", exit_code=2)


@contextmanager
def staging(target: Path) -> Iterator[Path]:
    """A temporary directory beside the target, removed unless it was renamed."""
    stage = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def write(path: Path, content: str | bytes, mode: int) -> None:
    """Write a new file; when that fails there is none."""
    data = content.encode() if isinstance(content, str) else content
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink()
        raise


def replace(path: Path, content: str | bytes, mode: int) -> None:
    """Write a file in place of any there is."""
    with staging(path) as stage:
        write(stage / path.name, content, mode)
        (stage / path.name).rename(path)
        sync_directory(path.parent)


def append_line(path: Path, line: str) -> None:
    """Add a line to a file that only its owner can read; it is durable when this returns, or not there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        end = os.fstat(descriptor).st_size
        rest = memoryview(f"{line}\n".encode())
        try:
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, end)
            raise


def sync_file(path: Path) -> None:
    """Make what was written to a file durable."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Make what was created or renamed in a directory durable."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
