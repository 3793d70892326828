# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Runs Mosquitto: writes its configuration, starts it, notices when it ends, stops it."""

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fleetpki.broker import programs
from fleetpki.broker.configuration import BOOTSTRAP_CA, OPERATIONAL_CA, render
from fleetpki.config import Layout, Settings
from fleetpki.errors import FleetError

#: Mosquitto closes its sessions and exits well within this time; then it is killed.
STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Anchors:
    """Whom the listeners trust (PEM)."""

    operational: str
    bootstrap: str


class Mosquitto:
    """A Mosquitto process that serves one fleet."""

    def __init__(self, layout: Layout, settings: Settings, anchors: Callable[[], Anchors]) -> None:
        """Prepare to run the broker of a fleet; whom its listeners trust is asked for at each start."""
        self._layout = layout
        self._settings = settings
        self._anchors = anchors
        self._process: asyncio.subprocess.Process | None = None

    @property
    def log_path(self) -> Path:
        """Where Mosquitto's messages go; the log of the run before is kept beside it."""
        return self._layout.broker / "mosquitto.log"

    def check(self) -> None:
        """FleetError when a program is missing or a port is taken."""
        programs.find_mosquitto()
        programs.find_plugin()
        self._check_ports()

    async def start(self) -> None:
        """Start the broker."""
        configuration = self._write_configuration()
        with contextlib.suppress(FileNotFoundError):
            self.log_path.rename(self.log_path.with_suffix(".log.1"))
        # A session of its own: Ctrl-C in the terminal is for us, and we stop Mosquitto when we are ready to.
        with _create(self.log_path) as log:
            self._process = await asyncio.create_subprocess_exec(
                *_dying_with_us(),
                programs.find_mosquitto(),
                "-c",
                configuration,
                cwd=self._layout.run,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def ended(self) -> FleetError:
        """Wait until the process ends by itself; what that means for whoever waits."""
        assert self._process is not None  # noqa: S101 - only asked about a started broker
        code = await self._process.wait()
        ending = f"signal {-code}" if code < 0 else f"exit code {code}"
        reason = next((line for line in self._log_tail() if "Error:" in line), ending)
        return FleetError(f"Mosquitto ended: {reason}", f"its log is {self.log_path}", exit_code=4)

    async def stop(self) -> None:
        """End the process, if it runs."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def _check_ports(self) -> None:
        """Try every port first: Mosquitto's own message does not say which one is taken."""
        settings = self._settings
        _check_port(settings.bind, settings.bootstrap_port, "bootstrap_port")
        _check_port(settings.bind, settings.port, "port")
        _check_port("127.0.0.1", settings.service_port, "service_port")

    def _write_configuration(self) -> Path:
        layout = self._layout
        anchors = self._anchors()
        (layout.broker / OPERATIONAL_CA).write_text(anchors.operational)
        (layout.broker / BOOTSTRAP_CA).write_text(anchors.bootstrap)
        path = layout.broker / "mosquitto.conf"
        with _create(path) as file:
            file.write(render(layout, self._settings, programs.find_plugin()).encode())
        return path

    def _log_tail(self) -> list[str]:
        return self.log_path.read_text(errors="replace").splitlines()[-20:]


def _check_port(host: str, port: int, setting: str) -> None:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        raise FleetError(
            f"cannot listen on {host} port {port} ({setting}): {error.strerror}",
            f"stop whatever uses the port, or change {setting} or bind in fleet.toml",
            exit_code=4,
        ) from error


def _create(path: Path) -> BinaryIO:
    """Open a file for writing that only we can read."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _dying_with_us() -> list[str]:
    """A prefix that ends Mosquitto should we be killed: else it would go on, alone, and hold the ports."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []
