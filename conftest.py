# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of the firmware (pytest_*.py) have around their device: a machine to run on, and a cloud."""

import contextlib
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_embedded import Dut

from tests.embedded.build import Build
from tests.embedded.events import ONLINE, expect_id
from tests.embedded.machines import CommandLine, CutPower, Linux, Machine, Qemu, machine_type, nothing
from tests.embedded.output import POLL_S, wait_for_output
from tests.embedded.outside import Outside
from tests.embedded.time_server import ADDRESS, TimeServer

MARKERS = {
    "chip": "needs a chip, real or emulated: what it tests does not exist on the target linux",
    "linux": "needs the target linux: what it tests cannot be done to a chip",
    "burns_efuses": "burns eFuses: only where they are a file",
    "flash_file": "exchanges the flash while the device is off: only where it is a file",
    "clock": "needs a device that knows the time; in QEMU the test is its time server",
    "time_server(moment)": "needs a device whose only time server is the test: in QEMU",
    "cable": "unplugs the network while the device is running: only QEMU can",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fleetpki")
    group.addoption(
        "--fleet",
        type=Path,
        help="directory with the 'fleet' whose bootstrap identity is built into the firmware "
        "(default: the one the build says it was taken from); it is copied",
    )
    group.addoption(
        "--broker-host",
        help="where the device finds this machine (default: 10.0.2.2 in QEMU, 127.0.0.1 on Linux, "
        "for a board the first name of the fleet's broker)",
    )


def pytest_configure(config: pytest.Config) -> None:
    wait_for_output()
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def reason(marker: str) -> str:
    """Why a test with that marker is skipped."""
    return next(text for name, text in MARKERS.items() if name.partition("(")[0] == marker)


def pytest_runtest_setup(item: pytest.Item) -> None:
    option = item.config.getoption
    for name in machine_type(option("embedded_services"), option("target")).cannot_run:
        if item.get_closest_marker(name):
            pytest.skip(reason(name))
    build = Build(Path(option("app_path")), Path(option("build_dir")))
    if item.get_closest_marker("flash_file") and not build.has_partitions:
        pytest.skip(reason("flash_file"))


def patient(dut: Dut, machine: Machine) -> Dut:
    """A device that is waited for as long as it may take, and without taking the processor from it."""
    dut.pexpect_proc.timeout = machine.patience_s
    dut.pexpect_proc.delayafterread = POLL_S
    return dut


@pytest.fixture(scope="session")
def command_line(pytestconfig: pytest.Config) -> CommandLine:
    """What pytest was told about the device."""
    option = pytestconfig.getoption
    return CommandLine(
        services=option("embedded_services"),
        target=option("target"),
        build=Build(Path(option("app_path")), Path(option("build_dir"))),
        qemu_program=option("qemu_prog_path"),
        qemu_extra_args=option("qemu_extra_args"),
        espemu_program=option("espemu_prog_path"),
        has_port=option("port") is not None,
    )


@pytest.fixture(scope="session")
def outside(
    command_line: CommandLine, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outside]:
    """A running cloud, and the means to look at it."""
    kind = machine_type(command_line.services, command_line.target)
    fleet: Path | None = pytestconfig.getoption("--fleet")
    if fleet is None and kind is not Linux:
        fleet = command_line.build.bootstrap_dir
    host: str | None = pytestconfig.getoption("--broker-host") or kind.host
    with Outside.running(tmp_path_factory.mktemp("cloud"), fleet, host, kind.patience_s) as outside:
        yield outside


@pytest.fixture
def device_id() -> str:
    """A name no other test uses, nor an earlier run on the same board."""
    return f"dut-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def machine(command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """What the device runs on."""
    machine = machine_type(command_line.services, command_line.target)(command_line, tmp_path)
    if machine.missing:
        pytest.skip(machine.missing)
    for name, value in machine.environment.items():
        monkeypatch.setenv(name, value)
    return machine


# These take the place of fixtures of pytest-embedded, which start the device with them.


@pytest.fixture
def start_options(machine: Machine) -> dict[str, str]:
    """How the device is started."""
    return machine.options()


@pytest.fixture
def qemu_image_path(start_options: dict[str, str]) -> str | None:
    return start_options.get("qemu_image_path")


@pytest.fixture
def qemu_extra_args(start_options: dict[str, str]) -> str | None:
    return start_options.get("qemu_extra_args")


@pytest.fixture
def espemu_image_path(start_options: dict[str, str]) -> str | None:
    return start_options.get("espemu_image_path")


@pytest.fixture
def skip_regenerate_image() -> bool:
    return True


@pytest.fixture
def dut(dut: Dut, machine: Machine) -> Dut:
    """The device, given the time it needs."""
    return patient(dut, machine)


@pytest.fixture
def factory(machine: Machine, outside: Outside) -> None:
    """The bootstrap identity, for a device that does not have it built in."""
    if isinstance(machine, Linux):
        shutil.copytree(outside.cloud.layout.bootstrap, machine.factory)


@pytest.fixture
def console(factory: None, machine: Machine, dut: Dut) -> Dut:
    """A new device whose console can be typed at."""
    machine.make_new(dut)
    machine.await_console(dut)
    return dut


@pytest.fixture
def time_server(machine: Machine, request: pytest.FixtureRequest) -> Iterator[TimeServer | None]:
    """Who tells a device the time; None: it knows by itself, or the test needs no time."""
    is_needed = any(map(request.node.get_closest_marker, ("clock", "time_server")))
    if not (is_needed and isinstance(machine, Qemu)):
        yield None
        return
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(TimeServer.running())
        except OSError as error:
            pytest.skip(f"no time server for QEMU: {ADDRESS[0]}, UDP port {ADDRESS[1]}: {error}")
        for moment in (moment for mark in request.node.iter_markers("time_server") for moment in mark.args):
            server.say(moment)
        yield server


@pytest.fixture
def settings(outside: Outside, device_id: str, time_server: TimeServer | None) -> dict[str, str | int]:
    """What is set on the device."""
    settings = outside.device_settings(device_id)
    return settings | {"time-server": outside.host} if time_server else settings


@pytest.fixture
def device(console: Dut, settings: dict[str, str | int], device_id: str) -> Dut:
    """The device under test, set up for the cloud and restarted with its settings."""
    for key, value in settings.items():
        console.write(f"config set {key} {value}")
        console.expect_exact(f"config: {key}={value}")
    console.write("restart")
    console.expect_exact(f"boot: id={device_id}")
    return console


@pytest.fixture
def online(device: Dut, outside: Outside, device_id: str) -> tuple[Dut, str]:
    """A device that has enrolled and is online, and its certificate, which the cloud has activated."""
    identity = expect_id(device, ONLINE)
    outside.until("activated", lambda: outside.world.active(device_id) == identity)
    return device, identity


@pytest.fixture
def cut_power(machine: Machine) -> CutPower:
    """Take the power from a running device and give it back; the device to go on with is the result."""

    def cut(dut: Dut, meanwhile: Callable[[], object] = nothing) -> Dut:
        return patient(machine.cut_power(dut, meanwhile), machine)

    return cut
