# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Passphrases: from a file, or typed."""

import stat
import sys
from pathlib import Path

import typer

from fleetpki.cli.common import Exit, complain, read_text
from fleetpki.errors import FleetError
from fleetpki.pki.roots import MIN_PASSPHRASE, check_passphrase


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
    return _new() if new else _typed("Passphrase for the root key")


def _new() -> bytes:
    while True:
        typed = _typed(f"New passphrase for the root key, at least {MIN_PASSPHRASE} characters", twice=True)
        try:
            check_passphrase(typed)
        except FleetError as error:
            complain(f"{error.message}: {error.hint}")
        else:
            return typed


def _typed(prompt: str, *, twice: bool = False) -> bytes:
    typed: str = typer.prompt(prompt, hide_input=True, confirmation_prompt=twice)
    return typed.encode()
