# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Runs other programs and keeps what they said."""

import asyncio
import contextlib
import shlex
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetpki.sim.transcript import Transcript

TIMEOUT_S = 60.0


class SimError(Exception):
    """Something did not happen as it should; the text says what was expected and what was seen instead."""


@dataclass(frozen=True)
class Result:
    """How a program ended."""

    command: str
    code: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        """The command and its last words."""
        words = (self.stderr.strip() or self.stdout.strip()).splitlines()[-5:]
        return "\n  ".join([f"`{self.command}` ended with {self.code}", *words])


class Runner:
    """Runs programs, a few at a time, and records them."""

    def __init__(self, transcript: Transcript, at_once: int = 8) -> None:
        """Record in ``transcript``; run at most ``at_once`` programs side by side."""
        self._transcript = transcript
        self._slots = asyncio.Semaphore(at_once)

    async def run(self, arguments: Sequence[str | Path], *, stdin: bytes = b"") -> Result:
        """Run a program to its end, whatever its exit code."""
        words = [str(argument) for argument in arguments]
        async with self._slots, self.process(words) as process:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    out, err = await process.communicate(stdin)
            except TimeoutError:
                raise SimError(f"`{shlex.join(words)}` did not end within {TIMEOUT_S:.0f} s") from None
        assert process.returncode is not None  # noqa: S101 - communicate() waited for it
        result = Result(
            shlex.join(words), process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
        )
        self._transcript.add("run", f"{result.command} -> {result.code}")
        self._transcript.add("  stdout", result.stdout)
        self._transcript.add("  stderr", result.stderr)
        return result

    async def check(self, arguments: Sequence[str | Path], *, stdin: bytes = b"") -> str:
        """Run a program that has to succeed; its standard output."""
        result = await self.run(arguments, stdin=stdin)
        if result.code != 0:
            raise SimError(str(result))
        return result.stdout

    @contextlib.asynccontextmanager
    async def process(self, words: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
        """A running program with pipes; killed when the block is left before it ended."""
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
