# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""One device: the real C agent as a process, with a state directory of its own."""

import asyncio
import os
import re
from collections.abc import Mapping
from pathlib import Path

from fleetpki.sim.commands import SimError
from fleetpki.sim.transcript import Transcript

PROGRAM = Path("build/host/cert_agent.elf")
EVENT_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0


class Agent:
    """The process, its console, and the lines it printed."""

    def __init__(
        self, device_id: str, home: Path, factory: Path, transcript: Transcript, program: Path = PROGRAM
    ) -> None:
        """Prepare a device that keeps its state in ``home`` and came with the files in ``factory``."""
        self.device_id = device_id
        self.home = home
        self.lines: list[str] = []
        self.factory = factory
        self._transcript = transcript
        self._program = program
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self._position = 0
        self._closed = False

    @property
    def pid(self) -> int:
        """The running process."""
        return self._running().pid

    async def start(self) -> None:
        """Switch the device on."""
        if not self._program.is_file():
            raise SimError(f"{self._program} is not there; run `make build`")
        self.home.mkdir(parents=True, exist_ok=True)
        self._closed = False
        self._process = await asyncio.create_subprocess_exec(
            self._program.absolute(),
            env={
                **os.environ,
                "CERT_AGENT_HOME": str(self.home),
                "CERT_AGENT_BOOTSTRAP_DIR": str(self.factory),
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._read(self._process))

    async def configure(self, settings: Mapping[str, str | int]) -> None:
        """Set settings at the console and restart with them."""
        for key, value in settings.items():
            await self.write(f"config set {key} {value}")
        await self.write("restart")

    async def write(self, line: str) -> None:
        """Type a line at the console."""
        stdin = self._running().stdin
        assert stdin is not None  # noqa: S101 - made with a pipe
        self._transcript.add(self.device_id, f"> {line}")
        stdin.write(line.encode() + b"\n")
        await stdin.drain()

    async def expect(self, pattern: str, within: float = EVENT_TIMEOUT_S) -> re.Match[str]:
        """Wait for a line after those already expected; later calls look behind it."""
        expression = re.compile(pattern)
        try:
            async with asyncio.timeout(within), self._news:
                while True:
                    while self._position < len(self.lines):
                        self._position += 1
                        if match := expression.search(self.lines[self._position - 1]):
                            return match
                    if self._closed:
                        raise self._error(f"ended while waiting for {pattern!r}")
                    await self._news.wait()
        except TimeoutError:
            raise self._error(f"did not say {pattern!r} within {within:.0f} s") from None

    async def kill(self) -> None:
        """Pull the plug: SIGKILL."""
        process = self._running()
        process.kill()
        await self._ended(process)

    async def stop(self) -> None:
        """Switch the device off, if it is on."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._ended(process)
        except TimeoutError:
            await self.kill()

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            raise self._error("is not running")
        return self._process

    async def _ended(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        if self._reader is not None:
            await self._reader

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - made with a pipe
        while line := await process.stdout.readline():
            text = line.decode(errors="replace").rstrip()
            self._transcript.add(self.device_id, text)
            async with self._news:
                self.lines.append(text)
                self._news.notify_all()
        async with self._news:
            self._closed = True
            self._news.notify_all()

    def _error(self, what: str) -> SimError:
        return SimError("\n  ".join([f"device {self.device_id} {what}; its last lines:", *self.lines[-10:]]))
