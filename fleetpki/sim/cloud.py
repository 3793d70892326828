# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A disposable cloud: ``fleetpki init`` and ``fleetpki up`` in a directory of its own, on free ports."""

import asyncio
import json
import random
import secrets
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fleetpki import lifecycle
from fleetpki.config import BROKER_PORTS, PORTS, Layout, Settings, load_settings
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import KeyRequest
from fleetpki.mqtt.bus import Bus
from fleetpki.registry import queries
from fleetpki.registry.database import Sessions, open_registry, reading
from fleetpki.registry.models import OPEN_ROTATION, Certificate, Rotation
from fleetpki.sim.commands import Result, Runner, SimError

PROGRAM = Path(sys.executable).with_name("fleetpki")
HOST = "127.0.0.1"
READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
PORT_ATTEMPTS = 5
POLL_S = 0.05

#: Below the range the kernel takes ports for outgoing connections from: nobody gets one of these by chance.
PORT_RANGE = range(10_000, 30_000)


class Cloud:
    """A fleet directory, its root directory, and the running ``fleetpki up``."""

    def __init__(self, directory: Path, runner: Runner) -> None:
        """Prepare a cloud below ``directory``."""
        self.layout = Layout(directory / "fleet")
        self.root_directory = directory / "fleet-root"
        self.passphrase_file = directory / "passphrase.txt"
        self.log = directory / "up.log"
        self._runner = runner
        self._process: asyncio.subprocess.Process | None = None
        self._sessions: Sessions | None = None

    @property
    def settings(self) -> Settings:
        """The fleet's settings."""
        return load_settings(self.layout)

    async def init(self, hosts: Sequence[str] = ()) -> None:
        """Make the fleet with the command an operator would use; ``hosts`` are more names of the broker."""
        more = [word for host in hosts for word in ("--host", host)]
        self.passphrase_file.touch(mode=0o600)
        self.passphrase_file.write_text(secrets.token_urlsafe(24) + "\n")
        result = await self.run(
            "init", "--root-dir", self.root_directory, "--passphrase-file", self.passphrase_file, *more
        )
        if result.code != 0:
            raise SimError(str(result))

    async def up(self, *, choose_ports: bool = True) -> None:
        """Start broker and services and wait until they are ready; on free ports, or on those set."""
        for _ in range(PORT_ATTEMPTS):
            if choose_ports:
                self.choose_ports()
            if await self._start():
                return
            if not choose_ports or "cannot listen" not in self._log_text():
                break  # otherwise somebody took a port since we looked: look again
        raise SimError(
            f"`fleetpki up` did not start; its log {self.log} ends with\n  {self._log_text()[-800:]}"
        )

    async def down(self) -> None:
        """Stop broker and services, if they run, and check that they ended well."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise SimError(f"`fleetpki up` did not stop within {STOP_TIMEOUT_S:.0f} s") from None
        if code != 0:
            raise SimError(
                f"`fleetpki up` ended with {code}; its log {self.log} ends with\n  {self._log_text()[-800:]}"
            )

    async def run(self, command: str, *arguments: str | Path) -> Result:
        """Run a ``fleetpki`` command on this fleet."""
        return await self._runner.run([PROGRAM, command, *arguments, "--dir", self.layout.directory])

    async def json(self, command: str, *arguments: str | Path) -> Any:
        """Run a ``fleetpki`` command that has to succeed; its answer."""
        result = await self.run(command, *arguments, "--json")
        if result.code != 0:
            raise SimError(str(result))
        return json.loads(result.stdout)

    async def ask_to_rotate(self, device_id: str) -> None:
        """Do what ``fleetpki rotate --no-wait`` does, without starting a program for it."""
        context = Fleet.open(self.layout.directory).context
        await asyncio.to_thread(lifecycle.start_rotation, context, device_id, key=KeyRequest.EC_P256)

    def device_settings(self, device_id: str) -> dict[str, str | int]:
        """What has to be set on a device to be part of this fleet; it retries fast."""
        settings = self.settings
        return {
            "id": device_id,
            "broker": HOST,
            "port": settings.port,
            "bootstrap-port": settings.bootstrap_port,
            "backoff-min-ms": 100,
            "backoff-max-ms": 2000,
        }

    def service_bus(self, name: str) -> Bus:
        """The service listener, for the holder of ``services/<name>``."""
        services = self.layout.services
        return self._bus(self.settings.service_port, services / f"{name}.crt", services / f"{name}.key")

    def bootstrap_bus(self) -> Bus:
        """The bootstrap listener, for the holder of the bootstrap certificate."""
        bootstrap = self.layout.bootstrap
        return self._bus(
            self.settings.bootstrap_port,
            bootstrap / "bootstrap.crt",
            bootstrap / "bootstrap.key",
        )

    def device_bus(self, certificate: Path, key: Path) -> Bus:
        """The operational listener, for the holder of a certificate."""
        return self._bus(self.settings.port, certificate, key)

    def certificates(self, device_id: str) -> list[Certificate]:
        """The registry's certificates of a device, oldest first; read from the database itself."""
        with reading(self._registry()) as session:
            return list(queries.certificates(session, device_id))

    def active_certificate(self, device_id: str) -> Certificate | None:
        """The certificate the registry says a device works with."""
        with reading(self._registry()) as session:
            return queries.active_certificate(session, device_id)

    def rotations(self, device_id: str) -> list[Rotation]:
        """The registry's rotations of a device, oldest first."""
        with reading(self._registry()) as session:
            return list(queries.rotations(session, device_id))

    def rotation_is_open(self, device_id: str) -> bool:
        """Whether the registry says that a rotation of the device is under way."""
        return any(rotation.state in OPEN_ROTATION for rotation in self.rotations(device_id))

    def broker_log(self) -> list[str]:
        """What Mosquitto and the plugin wrote down."""
        return (self.layout.broker / "mosquitto.log").read_text(errors="replace").splitlines()

    def _registry(self) -> Sessions:
        if self._sessions is None:
            self._sessions = open_registry(self.layout.registry)
        return self._sessions

    def _bus(self, port: int, certificate: Path, key: Path) -> Bus:
        return Bus(HOST, port, self.layout.ca / "root.crt", certificate, key)

    def choose_ports(self) -> None:
        """Set the broker's ports to some that are free; devices on MQTT do without the rest."""
        ports = {**dict.fromkeys(PORTS, 0), **dict(zip(BROKER_PORTS, free_ports(3), strict=True))}
        settings = self.settings.model_copy(update=ports)
        self.layout.settings.write_text(settings.to_toml())

    async def _start(self) -> bool:
        with self.log.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                PROGRAM, "up", "--dir", self.layout.directory,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._process = process
        for _ in range(int(READY_TIMEOUT_S / POLL_S)):
            if "fleetpki: ready" in self._log_text():
                return True
            if process.returncode is not None:
                return False
            await asyncio.sleep(POLL_S)
        return False

    def _log_text(self) -> str:
        return self.log.read_text(errors="replace")


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.choice(PORT_RANGE)  # noqa: S311 - any will do
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports
