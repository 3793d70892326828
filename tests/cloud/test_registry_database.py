# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The registry keeps what it was told, and says when it cannot."""

import sqlite3
import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from fleetpki.errors import FleetError
from fleetpki.lifecycle import Context
from fleetpki.registry import outbox, queries
from fleetpki.registry.database import create_registry, open_registry, reading
from fleetpki.registry.models import (
    Certificate,
    CertificateState,
    Device,
    DeviceState,
    OutboxKind,
    Role,
)
from tests.cloud.doubles import START, ReusedPostgres, ReusedRegistry

pytestmark = pytest.mark.both_databases


def test_a_new_registry_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    create_registry(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_registry_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    path.write_text("precious")
    with pytest.raises(FleetError, match="exists already"):
        create_registry(path)
    assert path.read_text() == "precious"


def test_a_missing_registry_is_not_made_by_opening_it(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with pytest.raises(FleetError, match="does not exist"):
        open_registry(path)
    assert not path.exists()


def test_a_damaged_registry_says_so(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(FleetError, match="damaged"):
        open_registry(path)


def test_another_programs_database_is_not_taken_for_a_registry(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE devices (name TEXT)")
    with pytest.raises(FleetError, match="not a fleetpki registry"):
        open_registry(path)


def test_a_commit_is_durable(tmp_path: Path) -> None:
    with reading(create_registry(tmp_path / "registry.db")) as session:
        settings = [
            session.connection().exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with create_registry(path).begin() as session:
        session.add(Device(device_id="sensor-1", state=DeviceState.ACTIVE, created_at=START))
    with reading(open_registry(path)) as session:
        device = queries.device(session, "sensor-1")
    assert device is not None
    assert device.state is DeviceState.ACTIVE
    assert device.created_at == START


def test_a_time_is_told_in_utc_wherever_it_came_from_and_whatever_the_server_s_zone(ctx: Context) -> None:
    elsewhere = datetime(2026, 6, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    with ctx.sessions.begin() as session:
        session.add(Device(device_id="sensor-1", state=DeviceState.ACTIVE, created_at=elsewhere))
    with reading(ctx.sessions) as session:
        device = queries.device(session, "sensor-1")
    assert device is not None
    assert device.created_at == elsewhere
    assert device.created_at.tzinfo is UTC
    assert device.not_after is None


def test_a_reader_neither_waits_for_a_writer_nor_sees_its_half(ctx: Context) -> None:
    with ctx.sessions.begin() as writer:
        writer.add(Device(device_id="sensor-1", state=DeviceState.ACTIVE, created_at=START))
        writer.flush()
        with reading(ctx.sessions) as reader:
            assert queries.device(reader, "sensor-1") is None


def certificate(serial: str, state: CertificateState) -> Certificate:
    return Certificate(
        role=Role.DEVICE,
        device_id="sensor-1",
        common_name="sensor-1",
        serial=serial,
        key_digest="0" * 64,
        not_before=START,
        not_after=START + timedelta(days=1),
        state=state,
        recorded_at=START,
    )


@pytest.mark.parametrize(
    "states",
    [
        (CertificateState.ACTIVE, CertificateState.ACTIVE),
        (CertificateState.RECORDED, CertificateState.ISSUED),
    ],
)
def test_the_database_itself_refuses_a_second_identity(
    ctx: Context, states: tuple[CertificateState, CertificateState]
) -> None:
    with ctx.sessions.begin() as session:
        session.add(Device(device_id="sensor-1", state=DeviceState.ACTIVE, created_at=START))
        session.flush()
        session.add(certificate("1", states[0]))
    with ctx.sessions() as session:
        session.add(certificate("2", states[1]))
        with pytest.raises(IntegrityError):
            session.flush()


def enqueue(ctx: Context, rotation_id: str) -> None:
    with ctx.sessions.begin() as session:
        body = {"rotation_id": rotation_id}
        outbox.enqueue(session, OutboxKind.ROTATE, body, START, device_id="sensor-1")


def waiting(ctx: Context) -> list[tuple[int, str]]:
    with reading(ctx.sessions) as session:
        return [(message.id, message.body["rotation_id"]) for message in outbox.pending(session)]


def test_the_outbox_gives_the_oldest_first(ctx: Context) -> None:
    for name in ("a", "b", "c"):
        enqueue(ctx, name)
    assert [name for _, name in waiting(ctx)] == ["a", "b", "c"]


def test_the_end_of_a_session_is_before_all_that_waits(ctx: Context) -> None:
    for number in range(200):
        enqueue(ctx, f"r{number}")
    with ctx.sessions.begin() as session:
        for device_id in ("stolen-1", "stolen-2"):
            outbox.enqueue(
                session, OutboxKind.DISCONNECT, {"client_id": device_id}, START, device_id=device_id
            )
    with reading(ctx.sessions) as session:
        first, second, *others = outbox.pending(session)
    assert [first.device_id, second.device_id] == ["stolen-1", "stolen-2"]
    assert [message.body["rotation_id"] for message in others] == [f"r{number}" for number in range(98)]


def test_the_same_message_waits_once(ctx: Context) -> None:
    for name in ("a", "b", "a"):
        enqueue(ctx, name)
    assert [name for _, name in waiting(ctx)] == ["b", "a"]


def test_deleting_a_sent_message_never_deletes_its_repetition(ctx: Context) -> None:
    enqueue(ctx, "a")
    [(sent, _)] = waiting(ctx)
    enqueue(ctx, "a")  # the device asked again before the dispatcher came to delete what it sent
    with ctx.sessions.begin() as session:
        outbox.delete(session, [sent])
        outbox.delete(session, [sent])
    assert [name for _, name in waiting(ctx)] == ["a"]


def test_who_deletes_sent_messages_does_not_wait_for_a_rule_that_says_one_again(
    ctx: Context, registry: ReusedRegistry
) -> None:
    if not isinstance(registry, ReusedPostgres):
        pytest.skip("a file has one writer at a time")
    for name in ("a", "b"):
        enqueue(ctx, name)
    sent = [message_id for message_id, _ in waiting(ctx)]
    with ctx.sessions.begin() as rule:
        outbox.enqueue(rule, OutboxKind.ROTATE, {"rotation_id": "a"}, START, device_id="sensor-1")
        rule.flush()
        with ctx.sessions.begin() as dispatcher:
            dispatcher.execute(text("SET LOCAL lock_timeout = '10s'"))
            outbox.delete(dispatcher, sent)
    assert [name for _, name in waiting(ctx)] == ["a"]


def test_what_is_withdrawn_is_that_rotations_alone(ctx: Context) -> None:
    for name in ("a", "b"):
        enqueue(ctx, name)
    with ctx.sessions.begin() as session:
        outbox.withdraw(session, "sensor-1", ["a"])
        outbox.withdraw(session, "sensor-2", ["b"])
    assert [name for _, name in waiting(ctx)] == ["b"]
