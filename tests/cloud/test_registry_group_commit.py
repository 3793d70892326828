# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A write is durable or nobody is told so; a failure is one's own. In a file, writes share commits."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from threading import Barrier, Event
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from fleetpki.errors import Code, Rejected, Unavailable
from fleetpki.lifecycle import Context
from fleetpki.pki.hierarchy import Hierarchy
from fleetpki.registry import audit
from fleetpki.registry.database import engine_of, open_registry, reading
from fleetpki.registry.exclusion import serialize
from fleetpki.registry.models import Batch
from tests.cloud.doubles import Clock, ReusedPostgres, ReusedRegistry, make_context, refused, wait_until

pytestmark = pytest.mark.both_databases


def write(ctx: Context, name: str, error: Exception | None = None) -> None:
    with ctx.transaction("test", "write", name) as tx:
        tx.session.add(
            Batch(name=name, enabled=True, open=False, proof=False, cloud_keys=False, created_at=tx.now)
        )
        tx.session.flush()
        tx.audit("written", name)
        if error is not None:
            raise error


def written(ctx: Context) -> set[str]:
    with reading(ctx.sessions) as session:
        audit.verify(session)
        audited = set(session.scalars(text("SELECT subject FROM audit WHERE action = 'written'")))
        names = set(session.scalars(text("SELECT name FROM batches WHERE name <> 'bootstrap-1'")))
    assert names == audited
    return names


@pytest.fixture
def commits(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The commits the database was asked for."""
    dialect, seen = engine_of(ctx.sessions).dialect, list[Any]()
    commit = dialect.do_commit

    def counted(connection: Any) -> None:
        seen.append(connection)
        commit(connection)

    monkeypatch.setattr(dialect, "do_commit", counted)
    return seen


def together(ctx: Context, work: dict[str, Exception | None]) -> dict[str, Future[None]]:
    """Write from many threads, all of which wait while the first is at work."""
    first_is_in, go_on = Event(), Event()

    def first() -> None:
        with ctx.transaction("test", "write", "first"):
            first_is_in.set()
            assert go_on.wait(30)

    ready = Barrier(len(work) + 1)

    def one(name: str, error: Exception | None) -> None:
        ready.wait(30)
        write(ctx, name, error)

    with ThreadPoolExecutor(len(work) + 1) as pool:
        leader = pool.submit(first)
        assert first_is_in.wait(30)
        writes = {name: pool.submit(one, name, error) for name, error in work.items()}
        ready.wait(30)
        go_on.set()
    leader.result()
    return writes


def test_writes_that_wait_for_each_other_share_commits(
    ctx: Context, registry: ReusedRegistry, commits: list[Any]
) -> None:
    if isinstance(registry, ReusedPostgres):
        pytest.skip("a server joins commits by itself")
    for future in together(ctx, {f"b{number}": None for number in range(16)}).values():
        future.result()
    assert len(written(ctx)) == 16
    assert len(commits) < 17


def test_a_failure_takes_nobody_along(ctx: Context) -> None:
    writes = together(ctx, {"good": None, "bad": ValueError("bug"), "better": None})
    assert isinstance(writes["bad"].exception(), ValueError)
    assert written(ctx) == {"good", "better"}


def test_a_write_waits_for_the_commit_that_a_failing_one_has_begun(
    ctx: Context, registry: ReusedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(registry, ReusedPostgres):
        pytest.skip("on a server nobody's commit is another's")
    dialect, commits = engine_of(ctx.sessions).dialect, ctx._commits
    is_in, committing, go_on = Event(), Event(), Event()
    commit = dialect.do_commit

    def slow(connection: Any) -> None:
        committing.set()
        assert go_on.wait(30)
        commit(connection)

    class Late(nullcontext[None]):
        def __enter__(self) -> None:
            assert committing.wait(30)

    def good() -> None:
        with ctx.transaction("test", "write", "good") as tx:
            tx.audit("noted", "good")
            is_in.set()
            wait_until(lambda: bool(commits._turns._queue))

    def bad() -> None:
        assert is_in.wait(30)
        write(ctx, "bad", ValueError("bug"))

    monkeypatch.setattr(dialect, "do_commit", slow)
    monkeypatch.setattr(commits, "_committing", Late())
    with ThreadPoolExecutor(2) as pool:
        told, failed = pool.submit(good), pool.submit(bad)
        assert committing.wait(30)
        wait_until(lambda: told.done() or bool(commits._turns._queue))
        go_on.set()
    told.result()
    assert isinstance(failed.exception(), ValueError)


def test_rules_of_two_processes_do_not_wait_for_each_other_in_a_circle(
    ctx: Context, registry: ReusedRegistry, hierarchy: Hierarchy, clock: Clock
) -> None:
    if not isinstance(registry, ReusedPostgres):
        pytest.skip("a file has one writer at a time")
    elsewhere = make_context(open_registry(registry.url), hierarchy, clock)
    both_have_locked, all_have_come = Barrier(4), Barrier(4)

    def lock(ctx: Context, batch: str) -> None:
        with ctx.transaction("test", "lock", batch) as tx:
            serialize(tx.session.connection(), ("batch", batch))
            both_have_locked.wait(30)
            all_have_come.wait(30)
            tx.session.execute(text("SELECT pg_sleep(0.05)"))  # meanwhile the others wait for something

    def come_later(ctx: Context, batch: str) -> None:
        both_have_locked.wait(30)
        all_have_come.wait(30)
        with ctx.transaction("test", "lock", batch) as tx:
            serialize(tx.session.connection(), ("batch", batch))
            tx.audit("locked", batch)

    with ThreadPoolExecutor(4) as pool:
        rules = [
            pool.submit(lock, ctx, "a"),
            pool.submit(lock, elsewhere, "b"),
            pool.submit(come_later, ctx, "b"),
            pool.submit(come_later, elsewhere, "a"),
        ]
    engine_of(elsewhere.sessions).dispose()
    assert [rule.exception() for rule in rules] == [None] * 4


def test_a_refusal_keeps_what_led_to_it(ctx: Context) -> None:
    with pytest.raises(Rejected):
        write(ctx, "refused", Rejected(Code.NOT_ALLOWED, "no"))
    assert written(ctx) == {"refused"}


def test_when_the_commit_fails_nobody_believes_it_was_done(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_connection: Any) -> None:
        raise OperationalError("COMMIT", {}, Exception("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(engine_of(ctx.sessions).dialect, "do_commit", fail)
        with pytest.raises(Unavailable) as caught:
            write(ctx, "lost")
    assert (caught.value.code, caught.value.retry_after_s) == (Code.BUSY, 30)
    assert written(ctx) == set()


def test_an_outage_is_noted_once_it_is_over(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_connection: Any) -> None:
        raise OperationalError("COMMIT", {}, Exception("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(engine_of(ctx.sessions).dialect, "do_commit", fail)
        for name in ("a", "b"):
            with pytest.raises(Unavailable):
                write(ctx, name)
    write(ctx, "c")
    with reading(ctx.sessions) as session:
        noted = [entry["detail"] for entry in audit.newest(session, 2) if entry["subject"] == "fleet"]
    assert noted == [{"failed_commits": 2}]
    assert written(ctx) == {"c"}


def test_a_server_that_drops_us_in_the_middle(ctx: Context, registry: ReusedRegistry) -> None:
    if not isinstance(registry, ReusedPostgres):
        pytest.skip("a file drops nobody")

    def interrupted() -> None:
        with ctx.transaction("test", "write", "x") as tx:
            tx.session.execute(text("SELECT 1"))
            tx.audit("written", "x")
            registry.terminate_connections()
            tx.session.execute(text("SELECT 1"))

    assert refused(interrupted) == Code.BUSY
    write(ctx, "after")
    assert written(ctx) == {"after"}


def test_a_database_that_somebody_else_has_locked(ctx: Context, registry: ReusedRegistry) -> None:
    if isinstance(registry, ReusedPostgres):
        pytest.skip("a server locks rows, not itself")
    engine = engine_of(ctx.sessions)
    event.listen(engine, "connect", _be_impatient)
    try:
        with ctx.sessions.begin() as other:
            other.execute(text("DELETE FROM outbox"))
            with pytest.raises(Unavailable):
                write(ctx, "locked")
        write(ctx, "free")
    finally:
        event.remove(engine, "connect", _be_impatient)
    assert written(ctx) == {"free"}


def _be_impatient(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA busy_timeout = 1").close()
