# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Every command in the operations handbook exists, with the options it is shown with."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from fleetpki.cli import app
from fleetpki.config import Settings

HANDBOOK = Path("docs/operations.md").read_text()
BLOCKS = re.findall(r"^ *```(\w+)\n(.*?)^ *```", HANDBOOK, re.MULTILINE | re.DOTALL)
LINES = [line.strip() for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line.strip()]
PROSE = re.sub(r"^ *```.*?^ *```", "", HANDBOOK, flags=re.MULTILINE | re.DOTALL)
MENTIONS = sorted(set(re.findall(r"`(fleetpki [^`…]+)`", PROSE)))


def resolved(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words name, and what is left of them for it."""
    command: Any = typer.main.get_command(app)
    names, rest = [], words[1:]
    while hasattr(command, "commands"):
        assert rest, f"{' '.join(words)} is a group of commands, not a command"
        names.append(rest[0])
        found = command.commands.get(rest[0])
        assert found is not None, f"there is no command {' '.join(names)}"
        command, rest = found, rest[1:]
    return command, rest


@pytest.mark.parametrize("line", LINES)
def test_a_command_line_can_be_typed_as_it_is(line: str) -> None:
    words = shlex.split(line)
    if words[0] == "openssl":
        return
    assert words[0] == "fleetpki"
    command, arguments = resolved(words)
    command.make_context(words[1], arguments).close()  # it complains about everything it does not know


@pytest.mark.parametrize("mention", MENTIONS)
def test_a_command_that_is_mentioned_exists(mention: str) -> None:
    command, arguments = resolved(shlex.split(mention))
    known = {name for parameter in command.params for name in parameter.opts + parameter.secondary_opts}
    assert {word for word in arguments if word.startswith("-")} <= known


def test_the_settings_shown_are_settings() -> None:
    for kind, text in BLOCKS:
        if kind == "toml":
            Settings.model_validate(tomllib.loads(text))


def test_links_within_the_handbook_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", HANDBOOK, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", HANDBOOK)) <= anchors
