# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Which chip becomes which device, and what a chip must be for that.

Boards are fakes, but for their eFuses, which are espefuse's virtual ones.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partialmethod
from pathlib import Path
from typing import Any

import espefuse
import esptool
import pytest

from fleetpki.errors import FleetError
from fleetpki.factory.flashing import flash
from fleetpki.factory.manifest import NAME, Entry, Image, Manifest, Step

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OFFSET = 0x9000
SECTOR = 0x1000
KEY = bytes(range(32))


class Board:
    """A chip with its flash; what it does not know itself, its virtual eFuses answer."""

    def __init__(self, number: int = 1, model: str = "esp32c3") -> None:
        self.mac = f"02:00:00:00:00:{number:02x}"
        self.flash = bytearray(b"\xff" * 0x20000)
        self.fails_in: str | None = None
        self.secure_download_mode = self.flash_encryption = self.secure_boot = False
        self._efuses = espefuse.get_esp(chip=model, virt=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._efuses, name)

    def read_mac(self) -> tuple[int, ...]:
        return tuple(bytes.fromhex(self.mac.replace(":", "")))

    def get_flash_encryption_enabled(self) -> bool:
        return self.flash_encryption

    def get_secure_boot_enabled(self) -> bool:
        return self.secure_boot

    def fail(self, where: str) -> None:
        if self.fails_in == where:
            raise esptool.FatalError(f"serial lost in {where}")


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[Board], Board]:
    """Connect a board to the port, in place of the one before."""
    connected: list[Board] = []

    @contextmanager
    def detect_chip(port: str) -> Iterator[Board]:
        yield connected[-1]

    def read_flash(board: Board, address: int, size: int, *, no_progress: bool) -> bytes:
        return bytes(board.flash[address : address + size])

    def write_flash(board: Board, images: list[tuple[int, bytes]]) -> None:
        board.fail("write_flash")
        for offset, content in images:
            sectors = -(-len(content) // SECTOR) * SECTOR
            board.flash[offset : offset + sectors] = content.ljust(sectors, b"\xff")

    monkeypatch.setattr(esptool, "detect_chip", detect_chip)
    monkeypatch.setattr(esptool, "run_stub", lambda board: board)
    monkeypatch.setattr(esptool, "attach_flash", lambda board: None)
    monkeypatch.setattr(esptool, "read_flash", read_flash)
    monkeypatch.setattr(esptool, "write_flash", write_flash)
    monkeypatch.setattr(esptool, "reset_chip", lambda board: board.fail("reset_chip"))

    def connect(board: Board) -> Board:
        connected.append(board)
        return board

    return connect


def store(device_id: str) -> bytes:
    """The image of a device, two sectors and a bit, with its secret."""
    return f"secret of {device_id}".encode().ljust(2 * SECTOR + 100, b"\x5a")


def make(directory: Path, *device_ids: str, key: bytes | None = None) -> Manifest:
    """A production run that has made these devices."""
    manifest = Manifest(directory)
    for device_id in device_ids:
        (directory / device_id).mkdir()
        (directory / device_id / "certs.bin").write_bytes(store(device_id))
        if key is not None:
            (directory / device_id / "nvs_hmac.key").write_bytes(key)
        digest = hashlib.sha256(store(device_id)).hexdigest()
        manifest.append(
            Entry(
                device_id=device_id,
                step=Step.MADE,
                at=NOW,
                images=[Image(file=f"{device_id}/certs.bin", offset=OFFSET, sha256=digest)],
                efuse_key=f"{device_id}/nvs_hmac.key" if key else None,
            )
        )
    return manifest


def in_flash(board: Board, device_id: str) -> bool:
    """Whether the board holds the device's image."""
    content = store(device_id)
    return board.flash[OFFSET : OFFSET + len(content)] == content


def test_a_chip_becomes_the_device_and_the_images_are_deleted(
    tmp_path: Path, connect: Callable[[Board], Board]
) -> None:
    manifest = make(tmp_path, "sensor-1")
    board = connect(Board())
    entry = flash(tmp_path, manifest, "sensor-1", "port", None)
    assert (entry.step, entry.mac) == (Step.FLASHED, board.mac)
    assert in_flash(board, "sensor-1")
    assert not (tmp_path / "sensor-1").exists()


def test_a_board_left_at_the_port_does_not_become_the_next_device_too(
    tmp_path: Path, connect: Callable[[Board], Board]
) -> None:
    manifest = make(tmp_path, "sensor-1", "sensor-2")
    board = connect(Board())
    flash(tmp_path, manifest, "sensor-1", "port", None)
    with pytest.raises(FleetError, match=f"chip {board.mac} belongs to sensor-1") as refusal:
        flash(tmp_path, manifest, "sensor-2", "port", None)
    assert "connect the next board" in refusal.value.hint
    assert in_flash(board, "sensor-1")
    assert Manifest(tmp_path).devices["sensor-2"].step == Step.MADE
    assert (tmp_path / "sensor-2" / "certs.bin").exists()


def test_a_device_that_may_be_in_one_chip_is_not_written_into_another(
    tmp_path: Path, connect: Callable[[Board], Board]
) -> None:
    manifest = make(tmp_path, "sensor-1")
    first = connect(Board(1))
    first.fails_in = "write_flash"
    with pytest.raises(FleetError, match="serial lost"):
        flash(tmp_path, manifest, "sensor-1", "port", None)
    again = Manifest(tmp_path)
    assert (again.devices["sensor-1"].step, again.devices["sensor-1"].mac) == (Step.FLASHING, first.mac)
    second = connect(Board(2))
    with pytest.raises(FleetError, match=f"sensor-1 was begun with another chip, {first.mac}"):
        flash(tmp_path, again, "sensor-1", "port", None)
    assert not in_flash(second, "sensor-1")


def test_flashing_that_broke_off_is_repeated_with_the_same_chip(
    tmp_path: Path, connect: Callable[[Board], Board]
) -> None:
    manifest = make(tmp_path, "sensor-1")
    board = connect(Board())
    board.fails_in = "write_flash"
    with pytest.raises(FleetError, match="serial lost"):
        flash(tmp_path, manifest, "sensor-1", "port", None)
    board.fails_in = None
    assert flash(tmp_path, manifest, "sensor-1", "port", None).step == Step.FLASHED
    assert in_flash(board, "sensor-1")


def test_a_board_with_half_a_device_does_not_become_another_one(
    tmp_path: Path, connect: Callable[[Board], Board]
) -> None:
    manifest = make(tmp_path, "sensor-1", "sensor-2")
    board = connect(Board())
    board.fails_in = "write_flash"
    with pytest.raises(FleetError, match="serial lost"):
        flash(tmp_path, manifest, "sensor-1", "port", None)
    with pytest.raises(FleetError, match=f"chip {board.mac} belongs to sensor-1"):
        flash(tmp_path, manifest, "sensor-2", "port", None)


def test_a_chip_that_was_written_is_the_device_even_if_it_does_not_restart(
    tmp_path: Path, connect: Callable[[Board], Board]
) -> None:
    manifest = make(tmp_path, "sensor-1")
    connect(Board()).fails_in = "reset_chip"
    assert flash(tmp_path, manifest, "sensor-1", "port", None).step == Step.FLASHED
    assert not (tmp_path / "sensor-1").exists()


def efuses(board: Board) -> Any:
    """The board's eFuses, to read and to burn."""
    return espefuse.init_commands(esp=board, do_not_confirm=True)


def test_a_key_is_burned_sealed_and_its_block_noted(
    tmp_path: Path, connect: Callable[[Board], Board]
) -> None:
    manifest = make(tmp_path, "sensor-1", key=KEY)
    board = connect(Board())
    flash(tmp_path, manifest, "sensor-1", "port", 1)
    block, purpose = efuses(board).efuses["BLOCK_KEY1"], efuses(board).efuses["KEY_PURPOSE_1"]
    assert (block.is_readable(), block.is_writeable(), purpose.get()) == (False, False, "HMAC_UP")
    assert Manifest(tmp_path).devices["sensor-1"].efuse_block == 1
    assert not (tmp_path / "sensor-1").exists()


def begun(manifest: Manifest, board: Board, step: Step, block: int | None = None) -> None:
    """An earlier run broke off in this step, with this board."""
    manifest.append(Entry(device_id="sensor-1", step=step, at=NOW, mac=board.mac, efuse_block=block))


def put(board: Board, content: bytes) -> None:
    """Content in block 1 with nothing protected, as a burn leaves it that broke off after its first half."""
    efuses(board).burn_block_data(["BLOCK_KEY1"], [io.BytesIO(content)])


def seal(board: Board, block: int, purpose: str = "HMAC_UP") -> None:
    """A key in the block, burned as it should be."""
    efuses(board).burn_key([f"BLOCK_KEY{block}"], [io.BytesIO(KEY)], [purpose])


@pytest.mark.parametrize("step", [Step.BURNING, Step.FLASHING])
def test_a_key_that_an_earlier_run_has_burned_is_not_burned_again(
    tmp_path: Path, connect: Callable[[Board], Board], step: Step
) -> None:
    manifest = make(tmp_path, "sensor-1", key=KEY)
    board = connect(Board())
    seal(board, 1)
    begun(manifest, board, step, 1)
    assert flash(tmp_path, manifest, "sensor-1", "port", 1).step == Step.FLASHED


@pytest.mark.parametrize("content", [bytes(32), KEY], ids=["not begun", "key written, not sealed"])
def test_a_burn_that_broke_off_is_brought_to_its_end(
    tmp_path: Path, connect: Callable[[Board], Board], content: bytes
) -> None:
    manifest = make(tmp_path, "sensor-1", key=KEY)
    board = connect(Board())
    if any(content):
        put(board, content)
    begun(manifest, board, Step.BURNING, 1)
    flash(tmp_path, manifest, "sensor-1", "port", 1)
    assert not efuses(board).efuses["BLOCK_KEY1"].is_readable()


def test_a_burn_is_repeated_with_its_own_block_only(
    tmp_path: Path, connect: Callable[[Board], Board]
) -> None:
    manifest = make(tmp_path, "sensor-1", key=KEY)
    board = connect(Board())
    seal(board, 2)
    begun(manifest, board, Step.BURNING, 1)
    with pytest.raises(FleetError, match="the key of sensor-1 goes into eFuse block 1") as refusal:
        flash(tmp_path, manifest, "sensor-1", "port", 2)
    assert "--burn-block 1" in refusal.value.hint


@pytest.mark.parametrize("step", [Step.MADE, Step.BURNING])
def test_a_sealed_key_nobody_noted_is_somebody_elses(
    tmp_path: Path, connect: Callable[[Board], Board], step: Step
) -> None:
    manifest = make(tmp_path, "sensor-1", key=KEY)
    board = connect(Board())
    seal(board, 1)
    if step != Step.MADE:
        begun(manifest, board, step)  # as older versions did, without the block
    with pytest.raises(FleetError, match="in use, with purpose HMAC_UP"):
        flash(tmp_path, manifest, "sensor-1", "port", 1)


def test_a_key_that_software_can_read_is_not_the_devices(
    tmp_path: Path, connect: Callable[[Board], Board]
) -> None:
    manifest = make(tmp_path, "sensor-1", key=KEY)
    board = connect(Board())
    efuses(board).burn_key(["BLOCK_KEY1"], [io.BytesIO(KEY)], ["HMAC_UP"], no_read_protect=True)
    begun(manifest, board, Step.BURNING, 1)
    with pytest.raises(FleetError, match="in use, with purpose HMAC_UP"):
        flash(tmp_path, manifest, "sensor-1", "port", 1)


def lock_read_protection(board: Board) -> None:
    efuses(board).write_protect_efuse(["RD_DIS"])


def fill_the_block(board: Board) -> None:
    put(board, b"\x01" * 32)


def protect_the_block(board: Board) -> None:
    efuses(board).write_protect_efuse(["BLOCK_KEY1"])


def hide_the_block(board: Board) -> None:
    efuses(board).burn_efuse({"RD_DIS": 0b10})


def fix_the_purpose(board: Board) -> None:
    efuses(board).write_protect_efuse(["KEY_PURPOSE_1"])


def use_the_block(board: Board) -> None:
    seal(board, 1, "HMAC_DOWN_JTAG")


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lock_read_protection, "lets no key be protected"),
        (fill_the_block, "not empty"),
        (protect_the_block, "it is protected"),
        (hide_the_block, "it is protected"),
        (fix_the_purpose, "it is protected"),
        (use_the_block, "in use, with purpose HMAC_DOWN_JTAG"),
    ],
)
def test_a_block_that_cannot_keep_the_key_is_refused_before_anything_is_noted(
    tmp_path: Path, connect: Callable[[Board], Board], prepare: Callable[[Board], None], reason: str
) -> None:
    manifest = make(tmp_path, "sensor-1", key=KEY)
    board = connect(Board())
    prepare(board)
    with pytest.raises(FleetError, match=reason):
        flash(tmp_path, manifest, "sensor-1", "port", 1)
    assert Manifest(tmp_path).devices["sensor-1"].step == Step.MADE


@pytest.mark.parametrize("model", ["esp32", "esp32c2", "esp32c61"])
def test_a_chip_without_hmac_is_refused_with_what_to_do(
    tmp_path: Path, connect: Callable[[Board], Board], model: str
) -> None:
    manifest = make(tmp_path, "sensor-1", key=KEY)
    connect(Board(model=model))
    with pytest.raises(FleetError, match="has no eFuse block 1 for keys") as refusal:
        flash(tmp_path, manifest, "sensor-1", "port", 1)
    assert "--encryption flash" in refusal.value.hint
    assert Manifest(tmp_path).devices["sensor-1"].step == Step.MADE


def test_a_key_that_was_burned_but_not_sealed_ends_it(
    tmp_path: Path, connect: Callable[[Board], Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = make(tmp_path, "sensor-1", key=KEY)
    board = connect(Board())
    commands = type(efuses(board))
    monkeypatch.setattr(commands, "burn_key", partialmethod(commands.burn_key, no_read_protect=True))
    with pytest.raises(FleetError, match="eFuse block 1 is not protected"):
        flash(tmp_path, manifest, "sensor-1", "port", 1)
    assert not in_flash(board, "sensor-1")


def test_a_manifest_of_an_older_version_is_read(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(
        '{"device_id":"sensor-1","step":"burning","at":"2026-01-01T00:00:00Z","mac":"02:00:00:00:00:01"}\n'
    )
    assert Manifest(tmp_path).devices["sensor-1"].efuse_block is None


def test_a_key_file_that_is_gone_is_named(tmp_path: Path, connect: Callable[[Board], Board]) -> None:
    manifest = make(tmp_path, "sensor-1", key=KEY)
    (tmp_path / "sensor-1" / "nvs_hmac.key").unlink()
    connect(Board())
    with pytest.raises(FleetError, match=r"cannot read .*nvs_hmac\.key"):
        flash(tmp_path, manifest, "sensor-1", "port", 1)


@pytest.mark.parametrize(
    ("lock", "reason"),
    [
        ("secure_download_mode", "secure download mode"),
        ("flash_encryption", "flash encryption"),
        ("secure_boot", "secure boot"),
    ],
)
def test_a_chip_that_was_locked_already_is_refused(
    tmp_path: Path, connect: Callable[[Board], Board], lock: str, reason: str
) -> None:
    manifest = make(tmp_path, "sensor-1")
    board = connect(Board())
    setattr(board, lock, True)
    with pytest.raises(FleetError, match=f"{reason} is on") as refusal:
        flash(tmp_path, manifest, "sensor-1", "port", None)
    assert "connect another board" in refusal.value.hint
    assert not in_flash(board, "sensor-1")
    assert Manifest(tmp_path).devices["sensor-1"].step == Step.MADE


def test_nothing_is_asked_of_a_chip_in_secure_download_mode(
    tmp_path: Path, connect: Callable[[Board], Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = make(tmp_path, "sensor-1")
    connect(Board()).secure_download_mode = True
    monkeypatch.setattr(Board, "read_mac", lambda board: pytest.fail("its answer would mean nothing"))
    with pytest.raises(FleetError, match="secure download mode is on"):
        flash(tmp_path, manifest, "sensor-1", "port", None)


@pytest.mark.parametrize("at", [OFFSET, OFFSET + SECTOR, OFFSET + 3 * SECTOR - 1])
def test_a_board_with_something_else_where_the_images_go_is_refused(
    tmp_path: Path, connect: Callable[[Board], Board], at: int
) -> None:
    manifest = make(tmp_path, "sensor-1")
    board = connect(Board())
    board.flash[at] = 0x7F
    sector = at // SECTOR * SECTOR
    with pytest.raises(
        FleetError, match=f"chip {board.mac} has something in its flash at {sector:#x}"
    ) as refusal:
        flash(tmp_path, manifest, "sensor-1", "port", None)
    assert "esptool --port port erase-flash" in refusal.value.hint
    assert board.flash[at] == 0x7F
    assert Manifest(tmp_path).devices["sensor-1"].step == Step.MADE


def test_a_board_with_a_used_flash_gets_no_key_burned(
    tmp_path: Path, connect: Callable[[Board], Board]
) -> None:
    manifest = make(tmp_path, "sensor-1", key=KEY)
    board = connect(Board())
    board.flash[OFFSET] = 0
    with pytest.raises(FleetError, match="has something in its flash"):
        flash(tmp_path, manifest, "sensor-1", "port", 1)
    assert efuses(board).efuses["KEY_PURPOSE_1"].get() == "USER"


def test_firmware_elsewhere_in_the_flash_is_left_alone(
    tmp_path: Path, connect: Callable[[Board], Board]
) -> None:
    manifest = make(tmp_path, "sensor-1")
    board = connect(Board())
    board.flash[OFFSET - 1] = board.flash[OFFSET + 3 * SECTOR] = 0xE9
    flash(tmp_path, manifest, "sensor-1", "port", None)
    assert board.flash[OFFSET - 1] == board.flash[OFFSET + 3 * SECTOR] == 0xE9


def test_what_is_in_the_flash_already_may_stay(tmp_path: Path, connect: Callable[[Board], Board]) -> None:
    """An image that the devices of a batch share may have come with the firmware."""
    manifest = make(tmp_path, "sensor-1")
    board = connect(Board())
    board.flash[OFFSET + SECTOR : OFFSET + 2 * SECTOR] = store("sensor-1")[SECTOR : 2 * SECTOR]
    assert flash(tmp_path, manifest, "sensor-1", "port", None).step == Step.FLASHED


@pytest.mark.parametrize("step", [Step.BURNING, Step.FLASHING])
def test_a_device_that_was_begun_may_have_started_in_between(
    tmp_path: Path, connect: Callable[[Board], Board], step: Step
) -> None:
    manifest = make(tmp_path, "sensor-1")
    board = connect(Board())
    board.flash[OFFSET] = 0
    begun(manifest, board, step)
    flash(tmp_path, manifest, "sensor-1", "port", None)
    assert in_flash(board, "sensor-1")
