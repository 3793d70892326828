# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The connections of a process, as the kernel sees them."""

import contextlib
import re
from pathlib import Path

_ESTABLISHED = "01"
_SOCKET = re.compile(r"socket:\[(\d+)\]")


def connections(pid: int, port: int) -> set[str]:
    """The established TCP connections of a process to a port; each has a name of its own (its inode)."""
    return _sockets(pid) & _established(port)


def _sockets(pid: int) -> set[str]:
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            if match := _SOCKET.fullmatch(str(descriptor.readlink())):
                found.add(match[1])
    return found


def _established(port: int) -> set[str]:
    """Fields of /proc/net/tcp: number, local, remote, state, …, inode at index 9."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == _ESTABLISHED and int(row[2].rpartition(":")[2], 16) == port}
