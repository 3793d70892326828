# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What all commands share: options, output and exit codes."""

import json
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

from fleetpki.errors import FleetError

out = Console()
err = Console(stderr=True)


class Exit(IntEnum):
    """What the exit code means."""

    FAILED = 1
    REFUSED = 2
    PENDING = 3
    ENVIRONMENT = 4


Directory = Annotated[
    Path, typer.Option("--dir", envvar="FLEETPKI_DIR", help="The fleet directory.", show_default=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
DeviceId = Annotated[str, typer.Argument(metavar="ID", help="The device id.")]

DEFAULT_DIR = Path("fleet")


def complain(text: str) -> None:
    """Tell people about a problem."""
    err.print(text, markup=False, highlight=False, soft_wrap=True)


def present(as_json: bool, data: Any, people: RenderableType) -> None:
    """Print the result. Plain text bypasses rich, which would wrap and colour it."""
    if as_json:
        print(json.dumps(data, indent=2), flush=True)
    elif isinstance(people, str):
        print(people, flush=True)
    else:
        out.print(people)


def read_text(path: Path) -> str:
    """A text file an operator names."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise FleetError(f"{path} is not a text file", "", Exit.REFUSED) from None
    except OSError as error:
        raise FleetError(f"cannot read {path}: {error.strerror}", "", Exit.REFUSED) from error
