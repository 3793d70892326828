# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What a device under test runs on, and how it is switched off and on again.

A machine gives pytest-embedded the options that have to differ between tests: a flash and eFuses of its own.
"""

import secrets
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pytest_embedded import Dut, DutFactory
from pytest_embedded.log import DuplicateStdoutPopen

from fleetpki.sim.cloud import HOST
from tests.embedded.build import Build

QEMU_PROGRAMS = {"esp32c3": "qemu-system-riscv32", "esp32s3": "qemu-system-xtensa"}

#: The Ethernet card, for QEMU's monitor.
NIC = "lan"

#: Offsets of the MAC address and of key block 5 in the eFuses of these chips.
EFUSE_MAC = 0x18
EFUSE_KEY5 = 0x110


def nothing() -> None:
    """What happens to a device while it is off, mostly."""


class CutPower(Protocol):
    """Takes the power from a running device and gives it back; the device to go on with is the result."""

    def __call__(self, dut: Dut, meanwhile: Callable[[], object] = nothing) -> Dut:
        """Do something to the device ``meanwhile``."""


@dataclass(frozen=True)
class CommandLine:
    """What pytest was told about the device."""

    services: str
    target: str
    build: Build
    qemu_program: str | None
    qemu_extra_args: str | None
    espemu_program: str | None
    has_port: bool


class Machine(ABC):
    """One device under test, new from the factory."""

    #: Where the device finds the machine that runs the tests; None: the fleet knows.
    host: ClassVar[str | None] = None
    #: What the console says when it can be typed at.
    prompt: ClassVar[str | None] = "cert>"
    #: How long the device may take for what it does: an RSA key takes a real chip a minute.
    patience_s: ClassVar[int] = 180
    #: Markers of the tests that need what this machine has not.
    cannot_run: ClassVar[frozenset[str]]

    def __init__(self, command_line: CommandLine, directory: Path) -> None:
        """Prepare a device that keeps what it has in ``directory``."""
        self.command_line = command_line
        self.directory = directory

    @property
    def missing(self) -> str | None:
        """What is not there for this device to run, and how to get it."""
        return None

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of the device's process."""
        return {}

    def options(self) -> dict[str, Any]:
        """The options of pytest-embedded for the next start."""
        return {}

    def make_new(self, dut: Dut) -> None:
        """Make a device that other tests have used as it was when it came from the factory."""
        return

    def await_console(self, dut: Dut) -> None:
        """Wait until the console of a device that is starting can be typed at."""
        if self.prompt:
            dut.expect_exact(self.prompt)

    @abstractmethod
    def cut_power(self, dut: Dut, meanwhile: Callable[[], object] = nothing) -> Dut:
        """See CutPower."""

    def _start_again(self) -> Dut:
        return DutFactory.create(
            target=self.command_line.target,
            app_path=str(self.command_line.build.app_path),
            build_dir=str(self.command_line.build.directory.absolute()),
            **self.options(),
        )


class FlashFile(Machine):
    """A machine whose flash is a file, in which partitions can be exchanged while it is off."""

    flash: Path

    def read_partition(self, name: str) -> bytes:
        """What is in a partition."""
        offset, size = self.command_line.build.partition(name)
        return self.flash.read_bytes()[offset : offset + size]

    def write_partition(self, name: str, content: bytes) -> None:
        """Put something else into a partition."""
        offset, _ = self.command_line.build.partition(name)
        with self.flash.open("r+b") as flash:
            flash.seek(offset)
            flash.write(content)


class Linux(FlashFile):
    """The program for Linux: flash, or state, in a directory."""

    host = HOST
    cannot_run = frozenset({"chip", "burns_efuses", "cable", "time_server"})
    prompt = None
    patience_s = 30

    def __init__(self, command_line: CommandLine, directory: Path) -> None:
        super().__init__(command_line, directory)
        self.flash = self._state / "flash"

    @property
    def factory(self) -> Path:
        """Where the program finds its bootstrap identity."""
        return self.directory / "factory"

    @property
    def _state(self) -> Path:
        return self.directory / "state"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "CERT_AGENT_HOME": str(self._state),
            "CERT_AGENT_BOOTSTRAP_DIR": str(self.factory),
        }

    def cut_power(self, dut: Dut, meanwhile: Callable[[], object] = nothing) -> Dut:
        pull_plug(dut.serial)
        meanwhile()
        (self._state / "boot_ram").unlink(missing_ok=True)
        return self._start_again()


class Qemu(FlashFile):
    """Espressif's QEMU; the flash and the eFuses are files, RTC memory ends with the process."""

    host = "10.0.2.2"
    #: An RSA key is luck: it has taken four minutes.
    patience_s = 600
    cannot_run = frozenset({"linux"})

    def __init__(self, command_line: CommandLine, directory: Path) -> None:
        super().__init__(command_line, directory)
        self.flash = directory / "flash.bin"
        self.efuses = directory / "efuses.bin"
        if self.missing is None:
            self.flash.write_bytes(command_line.build.flash_image())
            self.efuses.write_bytes(new_efuses(command_line.target))

    @property
    def missing(self) -> str | None:
        target = self.command_line.target
        if target not in QEMU_PROGRAMS:
            return f"QEMU runs {' and '.join(QEMU_PROGRAMS)}, not {target}"
        program = self.command_line.qemu_program or QEMU_PROGRAMS[target]
        if shutil.which(program):
            return None
        return f"no {program}: get it with ESP-IDF's idf_tools.py, or give --qemu-prog-path"

    def options(self) -> dict[str, Any]:
        target = self.command_line.target
        arguments = [
            self.command_line.qemu_extra_args or "",
            # Time counts instructions: watchdogs and timeouts do not depend on how busy this machine is.
            "-icount 3",
            f"-nic user,model=open_eth,id={NIC}",
            # The emulated random numbers are those of the seed: each start has its own.
            f"-seed {secrets.randbits(32)}",
            f"-drive file={self.efuses},if=none,format=raw,id=efuse",
            f"-global driver=nvram.{target}.efuse,property=drive,value=efuse",
        ]
        return {
            "qemu_prog_path": self.command_line.qemu_program,
            "qemu_image_path": str(self.flash),
            "qemu_extra_args": " ".join(arguments),
            "skip_regenerate_image": True,
        }

    def set_cable(self, dut: Dut, *, plugged_in: bool) -> None:
        """Pull the cable out of the Ethernet card of a running device, or put it back."""
        dut.qemu.qmp_execute_cmd("set_link", {"name": NIC, "up": plugged_in})

    def lock_read_protection(self) -> None:
        """What the first start of Secure Boot does: write-protect RD_DIS, bit 0 of WR_DIS."""
        efuses = bytearray(self.efuses.read_bytes())
        efuses[0] |= 1
        self.efuses.write_bytes(efuses)

    def exchange_key5(self) -> None:
        """Another key in eFuse block 5; the second time the first one again."""
        efuses = bytearray(self.efuses.read_bytes())
        for i in range(EFUSE_KEY5, EFUSE_KEY5 + 32):
            efuses[i] ^= 0xFF
        self.efuses.write_bytes(efuses)

    def cut_power(self, dut: Dut, meanwhile: Callable[[], object] = nothing) -> Dut:
        pull_plug(dut.qemu)
        meanwhile()
        return self._start_again()


class EspEmu(Machine):
    """Espressif's esp-emu."""

    cannot_run = frozenset({"linux", "burns_efuses", "flash_file", "cable", "time_server"})

    def __init__(self, command_line: CommandLine, directory: Path) -> None:
        super().__init__(command_line, directory)
        self.flash = directory / "flash.bin"
        if self.missing is None:
            self.flash.write_bytes(command_line.build.flash_image())

    @property
    def missing(self) -> str | None:
        program = self.command_line.espemu_program or "esp-emu"
        if shutil.which(program):
            return None
        return f"no {program}: install Espressif's esp-emu, or give --espemu-prog-path"

    def options(self) -> dict[str, Any]:
        return {
            "espemu_prog_path": self.command_line.espemu_program,
            "espemu_image_path": str(self.flash),
            "skip_regenerate_image": True,
        }

    def cut_power(self, dut: Dut, meanwhile: Callable[[], object] = nothing) -> Dut:
        pull_plug(dut.espemu)
        meanwhile()
        return self._start_again()


class Board(Machine):
    """A real chip at a serial port."""

    cannot_run = frozenset({"linux", "burns_efuses", "flash_file", "cable", "time_server"})

    @property
    def missing(self) -> str | None:
        return None if self.command_line.has_port else "no board: connect one and give its --port"

    def make_new(self, dut: Dut) -> None:
        dut.expect_exact(self.prompt)  # of the boot before this one
        dut.serial.erase_partition("certs")

    def cut_power(self, dut: Dut, meanwhile: Callable[[], object] = nothing) -> Dut:
        meanwhile()
        # The chip's enable pin: to all but the flash it is a loss of power.
        dut.serial.hard_reset()
        return dut


def pull_plug(process: DuplicateStdoutPopen) -> None:
    """End a device's process without a warning."""
    process.kill()
    process.wait()
    process.close()


def machine_type(services: str, target: str) -> type[Machine]:
    """What the device runs on, by what pytest-embedded was told."""
    names = services.split(",")
    if target == "linux":
        return Linux
    if "qemu" in names:
        return Qemu
    return EspEmu if "espemu" in names else Board


def new_efuses(target: str) -> bytes:
    """The eFuses of a chip from the fab: nothing burned but a MAC address of its own."""
    from pytest_embedded_qemu.qemu import QEMU_TARGETS

    mac = bytes([0x02]) + secrets.token_bytes(5)  # locally administered
    efuses = bytearray(QEMU_TARGETS[target].default_efuse)
    efuses[EFUSE_MAC : EFUSE_MAC + len(mac)] = mac[::-1]
    return bytes(efuses)
