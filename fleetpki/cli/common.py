# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What all commands share: options, output and exit codes."""

import json
import re
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

from fleetpki import files
from fleetpki.errors import FleetError
from fleetpki.inputs import MAX_REASON, PRINTABLE
from fleetpki.views import visible

out = Console()
err = Console(stderr=True)


class Exit(IntEnum):
    """What the exit code means."""

    FAILED = 1
    REFUSED = 2
    PENDING = 3
    ENVIRONMENT = 4


def printable(what: str, longest: int) -> Callable[[str], str]:
    """The parser of a text that others will read."""

    def parse(text: str) -> str:
        if not 1 <= len(text) <= longest or re.fullmatch(PRINTABLE, text) is None:
            raise FleetError(f"{what} has 1 to {longest} printable characters", "", Exit.REFUSED)
        return text

    return parse


Directory = Annotated[
    Path, typer.Option("--dir", envvar="FLEETPKI_DIR", help="The fleet directory.", show_default=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
DeviceId = Annotated[str, typer.Argument(metavar="ID", help="The device id.")]
REASON = typer.Option(
    parser=printable("a reason", MAX_REASON), metavar="TEXT", help="Why; kept in the registry."
)
Reason = Annotated[str, REASON]

DEFAULT_DIR = Path("fleet")


def complain(text: str) -> None:
    """Tell people about a problem."""
    err.print(_visible_lines(text), markup=False, highlight=False, soft_wrap=True)


def present(as_json: bool, data: Any, people: RenderableType) -> None:
    """Print the result. Plain text bypasses rich, which would wrap and colour it."""
    if as_json:
        print(json.dumps(data, indent=2), flush=True)
    elif isinstance(people, str):
        print(_visible_lines(people), flush=True)
    else:
        out.print(people)


def _visible_lines(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))


def read_text(path: Path) -> str:
    """A text file an operator names."""
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError:
        raise FleetError(f"{path} is not a text file", "", Exit.REFUSED) from None


def read_bytes(path: Path) -> bytes:
    """A file an operator names."""
    try:
        return files.read(path)
    except OSError as error:
        raise FleetError(f"cannot read {path}: {error.strerror}", "", Exit.REFUSED) from error
