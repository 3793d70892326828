# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Passphrases: from a file, or typed."""

import stat
import sys
from pathlib import Path

import typer

from fleetpki.cli.common import Exit, complain, read_text
from fleetpki.errors import FleetError


def passphrase(file: Path | None, *, new: bool) -> bytes:
    """The passphrase of the root key; a new one is typed twice."""
    if file is not None:
        text = read_text(file).rstrip("\r\n")
        if file.stat().st_mode & stat.S_IROTH:
            complain(f"warning: {file} can be read by every user of this machine")
        return text.encode()
    if not sys.stdin.isatty():
        raise FleetError(
            "no passphrase for the root key",
            "give --passphrase-file, or run this in a terminal",
            Exit.REFUSED,
        )
    typed: str = typer.prompt("Passphrase for the root key", hide_input=True, confirmation_prompt=new)
    return typed.encode()
