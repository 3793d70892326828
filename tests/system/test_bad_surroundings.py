# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A device that cannot start says why, ends with an error and changes nothing; what can be repaired is."""

import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetpki.sim.agent import PROGRAM, Agent
from fleetpki.sim.commands import Result, Runner
from fleetpki.sim.transcript import Transcript
from fleetpki.sim.world import World
from tests.system.conftest import DEVICE

AGENT = PROGRAM.absolute()

#: Root may do anything, so tests of what is forbidden need somebody else.
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") if os.geteuid() == 0 else ()


async def start(home: Path, factory: Path, *limits: str, program: Path = AGENT) -> Result:
    """Start an agent without a console and wait for its end."""
    environment = [f"CERT_AGENT_HOME={home}", f"CERT_AGENT_BOOTSTRAP_DIR={factory}"]
    return await Runner(Transcript()).run(["env", *environment, *limits, program])


@pytest.fixture
def factory(world: World) -> Path:
    return world.cloud.layout.bootstrap


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


async def test_no_bootstrap_files(tmp_path: Path) -> None:
    ended = await start(tmp_path / "state", tmp_path / "nowhere")
    assert ended.code != 0
    assert "nowhere" in ended.stdout + ended.stderr


async def test_a_bootstrap_key_that_belongs_to_another_certificate(
    world: World, factory: Path, tmp_path: Path
) -> None:
    shutil.copy(await world.workshop.key("other"), factory / "bootstrap.key")
    ended = await start(tmp_path / "state", factory)
    assert ended.code != 0
    assert "bootstrap" in ended.stderr


async def test_a_state_directory_that_cannot_be_used(factory: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file, not a directory")
    ended = await start(tmp_path / "state", factory)
    assert ended.code != 0
    assert str(tmp_path / "state") in ended.stderr
    assert (tmp_path / "state").read_text() == "a file, not a directory"


async def test_a_state_directory_in_use_by_another_agent(up: World, online: Agent) -> None:
    ended = await start(online.home, online.factory)
    assert ended.code != 0
    assert "another agent" in ended.stderr


async def test_a_full_disk_on_the_first_start(factory: Path, tmp_path: Path) -> None:
    ended = await start(tmp_path / "state", factory, "prlimit", "--fsize=0")
    assert ended.code != 0
    assert "too large" in ended.stderr.lower() + ended.stdout.lower() or "full" in ended.stderr + ended.stdout
    assert not [name for name in contents(tmp_path / "state") if name not in ("lock", "boot_ram")]


async def test_a_full_disk_during_a_rotation_is_rejected_and_the_identity_kept(
    up: World, online: Agent
) -> None:
    identity = up.active(DEVICE)
    await up.runner.check(["prlimit", "--fsize=0", "--pid", str(online.pid)])
    rotated = await up.cloud.run("rotate", DEVICE)
    assert rotated.code == 1
    assert "storage_full" in rotated.stdout
    assert up.active(DEVICE) == identity
    await online.stop()
    await online.start()
    await online.expect(f"connected: identity=operational certificate={identity}")


async def test_a_store_of_a_newer_version_is_neither_used_nor_changed(up: World, online: Agent) -> None:
    await online.stop()
    record = online.home / "store" / "commit"
    blob = bytearray(record.read_bytes())
    blob[4] = 99  # the format version, and the CRC that makes it believed
    blob[-4:] = zlib.crc32(blob[:-4]).to_bytes(4, "little")
    record.write_bytes(blob)
    before = contents(online.home / "store")
    ended = await start(online.home, online.factory)
    assert ended.code != 0
    assert "newer" in ended.stderr
    assert contents(online.home / "store") == before


async def test_a_store_that_cannot_be_read_for_a_while_is_read_later(up: World, online: Agent) -> None:
    await online.stop()
    record = online.home / "store" / "commit"
    kept = record.rename(online.home / "kept")
    record.symlink_to(kept)  # the agent follows no links
    await online.start()
    await online.expect("cannot read the identity .*; next try in [0-9]+ ms")
    record.unlink()
    kept.rename(record)
    await online.expect(f"connected: identity=operational certificate={up.active(DEVICE)}")


async def test_a_corrupt_commit_record_is_rebuilt(up: World, online: Agent) -> None:
    await up.cloud.json("rotate", DEVICE)
    await online.stop()
    flip_a_bit(online.home / "store" / "commit")
    await online.start()
    await online.expect("store: .* rebuilt")
    await online.expect(f"connected: identity=operational certificate={up.active(DEVICE)}")


async def test_a_corrupt_identity_is_reported_and_replaced_when_an_operator_allows_it(
    up: World, online: Agent
) -> None:
    lost = up.active(DEVICE)
    await online.stop()
    [slot] = [path for path in (online.home / "store").iterdir() if path.name.startswith("slot_")]
    flip_a_bit(slot)
    await online.start()
    await online.expect("store: slot . cannot be used")
    await online.expect("disconnected: identity=bootstrap why=refused")
    await up.cloud.json("allow", DEVICE)
    await online.expect("connected: identity=(trial|operational)")
    await up.until("another identity", lambda: up.active(DEVICE) not in (None, lost))


async def test_corrupt_settings_are_named_and_left(up: World, online: Agent) -> None:
    await online.stop()
    settings = online.home / "store" / "settings"
    settings.write_bytes(b"{")
    ended = await start(online.home, online.factory)
    assert ended.code != 0
    assert "settings" in ended.stderr
    assert settings.read_bytes() == b"{"


async def test_a_certificate_directory_without_permission(factory: Path, unprivileged: Path) -> None:
    forbidden = unprivileged / "factory"
    shutil.copytree(factory, forbidden)
    forbid(forbidden)
    program = Path(shutil.copy(AGENT, unprivileged))
    home = unprivileged / "state"
    ended = await start(home, forbidden, *AS_NOBODY, program=program)
    assert ended.code != 0
    assert f"{forbidden}" in ended.stderr
    assert "ermission denied" in ended.stderr


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A directory in which also somebody without privileges may write."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o777)
        yield Path(directory)


def forbid(directory: Path) -> None:
    directory.chmod(0)


def flip_a_bit(path: Path) -> None:
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 1
    path.write_bytes(blob)
