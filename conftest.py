# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What pytest_cert_mgmt.py needs around its device: a cloud, and what differs from target to target."""

import asyncio
import shutil
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pytest_embedded import Dut, DutFactory

from fleetpki.sim.cloud import HOST, Cloud
from fleetpki.sim.transcript import Transcript
from fleetpki.sim.world import World

T = TypeVar("T")
LINUX = "linux"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fleetpki")
    group.addoption(
        "--fleet",
        type=Path,
        help="directory with 'fleet' and 'fleet-root', e.g. certs, instead of a new cloud: "
        "for firmware that has a bootstrap identity built in",
    )
    group.addoption(
        "--broker-host",
        default=HOST,
        help="where the device finds this machine: 10.0.2.2 in QEMU, an address of this machine for a board",
    )


class Outside:
    """The world around the device, for tests that are not asynchronous: its event loop runs in a thread."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cloud: Cloud = world.cloud
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="outside")
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run asynchronous work to its end."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="session")
def outside(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """A running cloud, and the means to look at it."""
    fleet: Path | None = request.config.getoption("--fleet")
    directory = fleet or tmp_path_factory.mktemp("cloud")
    outside = Outside(World(directory, Transcript(), seed=0))
    try:
        if fleet is None:
            outside.do(outside.cloud.init([request.config.getoption("--broker-host")]))
        outside.do(outside.world.__aenter__())
        try:
            outside.do(outside.world.cloud_up())
            yield outside
        finally:
            outside.do(outside.world.__aexit__(None, None, None))
    finally:
        outside.close()


@pytest.fixture
def device_id() -> str:
    """A name no other test uses, nor an earlier run on the same fleet."""
    return f"dut-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def device_environment(
    target: str, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a device has before it is switched on: on Linux a state directory and files from the factory."""
    if target == LINUX:
        factory = tmp_path / "factory"
        shutil.copytree(outside.cloud.layout.bootstrap, factory)
        monkeypatch.setenv("CERT_AGENT_HOME", str(tmp_path / "state"))
        monkeypatch.setenv("CERT_AGENT_BOOTSTRAP_DIR", str(factory))


@pytest.fixture
def device(
    device_environment: None, dut: Dut, outside: Outside, device_id: str, request: pytest.FixtureRequest
) -> Dut:
    """The device under test, set up for the cloud and restarted with its settings."""
    settings = outside.cloud.device_settings(device_id)
    settings["broker"] = request.config.getoption("--broker-host")
    for key, value in settings.items():
        dut.write(f"config set {key} {value}")
        dut.expect_exact(f"config: {key}={value}")
    dut.write("restart")
    dut.expect_exact(f"boot: id={device_id}")
    return dut


@pytest.fixture
def cut_power(target: str, app_path: str, build_dir: str) -> Callable[[Dut], Dut]:
    """Take the power from a running device and give it back; the device to go on with is the result."""

    def cut(dut: Dut) -> Dut:
        if target != LINUX:
            dut.serial.hard_reset()
            return dut
        dut.serial.kill()
        dut.serial.wait()
        return DutFactory.create(target=target, app_path=app_path, build_dir=build_dir)

    return cut
