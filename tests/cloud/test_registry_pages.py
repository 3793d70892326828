# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Long lists: pages follow each other without gap or overlap, and none of them walks the whole table."""

import random
from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import Connection, event, select
from sqlalchemy.orm import Session

from fleetpki.errors import Code, FleetError
from fleetpki.lifecycle import Context, revoke_device, suspend_device, update_device
from fleetpki.registry import pages, walks
from fleetpki.registry.database import reading
from fleetpki.registry.models import (
    Certificate,
    CertificateState,
    ClaimState,
    Device,
    DeviceState,
    Role,
    RotationState,
)
from tests.cloud.doubles import START, Clock, FakeDevice, Fleet, refused

pytestmark = pytest.mark.both_databases

SOON = START + timedelta(days=366)
FILTERS: dict[str, dict[str, Any]] = {
    "all": {},
    "state": {"state": DeviceState.ACTIVE},
    "group": {"group": "cellar"},
    "batch": {"batch": "bootstrap-1"},
    "tag": {"tag": ("site", "north")},
    "prefix": {"prefix": "sensor-"},
    "expiry": {"expires_before": SOON},
}


@pytest.fixture
def labelled(fleet: Fleet, clock: Clock) -> Context:
    for number in (3, 1, 2):
        name = f"sensor-{number}"
        fleet.device(name)
        update_device(fleet.ctx, name, group="cellar", tags={"site": "north"})
        clock.advance(timedelta(hours=1))
    FakeDevice(fleet, "pump-1").enroll()
    return fleet.ctx


def all_pages(session: Session, **wanted: Any) -> Iterator[str]:
    after = None
    while True:
        page = pages.devices(session, after=after, limit=2, **wanted)
        yield from (device.device_id for device in page.rows)
        after = page.next
        if after is None:
            return


@pytest.mark.parametrize("name", FILTERS)
def test_pages_follow_each_other(labelled: Context, name: str) -> None:
    expected = {
        "all": ["pump-1", "sensor-1", "sensor-2", "sensor-3"],
        "state": ["pump-1", "sensor-1", "sensor-2", "sensor-3"],
        "batch": ["pump-1", "sensor-1", "sensor-2", "sensor-3"],
        "expiry": ["sensor-3", "sensor-1", "sensor-2"],
    }
    with reading(labelled.sessions) as session:
        found = list(all_pages(session, **FILTERS[name]))
    assert found == expected.get(name, ["sensor-1", "sensor-2", "sensor-3"])


def test_ids_have_the_order_of_their_bytes_whatever_language_a_server_speaks(fleet: Fleet) -> None:
    names = ["Sensor-3", "pump_1", "sensor-1", "sensor-10", "sensor-2", "sensor_1", "sensorium"]
    for name in reversed(names):
        fleet.device(name)
    with reading(fleet.ctx.sessions) as session:
        assert list(all_pages(session)) == names
        assert list(all_pages(session, prefix="sensor-")) == ["sensor-1", "sensor-10", "sensor-2"]
        behind = pages.devices(session, after="Sensor-3", limit=9, prefix="sensor-")
    assert [device.device_id for device in behind.rows] == ["sensor-1", "sensor-10", "sensor-2"]


def test_a_tag_that_is_replaced_is_not_found_any_more(labelled: Context) -> None:
    update_device(labelled, "sensor-1", tags={"site": "south"})
    with reading(labelled.sessions) as session:
        assert list(all_pages(session, tag=("site", "south"))) == ["sensor-1"]
        assert list(all_pages(session, tag=("site", "north"))) == ["sensor-2", "sensor-3"]


def test_who_changes_what_somebody_else_changed_hears_so(labelled: Context, fleet: Fleet) -> None:
    seen = update_device(labelled, "sensor-1", group="attic")
    update_device(labelled, "sensor-1", group=None, version=seen.version)
    assert refused(lambda: update_device(labelled, "sensor-1", tags={}, version=seen.version)) == Code.STALE
    assert fleet.audited("sensor-1")[-2:] == ["device.grouped", "update_device.refused"]


@pytest.mark.parametrize("tags", [{"a b": "c"}, {"a": ""}, {"a": 5}, {f"k{n}": "v" for n in range(33)}])
def test_tags_nobody_could_ask_for(labelled: Context, tags: dict[str, Any]) -> None:
    with pytest.raises(FleetError):
        update_device(labelled, "sensor-1", tags=tags)


@pytest.fixture
def mixed(fleet: Fleet, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Context:
    """Devices of all kinds; a page looks at few of them."""
    monkeypatch.setattr(walks, "LOOKS", 2)
    monkeypatch.setattr(walks, "FEW", 2)
    for number in range(12):
        name = f"{'pump' if number % 5 == 0 else 'sensor'}-{number:02}"
        FakeDevice(fleet, name).enroll() if number == 7 else fleet.device(name)
        group, site = ("cellar", "north") if number % 2 else ("attic", "south")
        update_device(fleet.ctx, name, group=group, tags={"site": site if number % 3 else "north"})
        clock.advance(timedelta(hours=number % 4))
    suspend_device(fleet.ctx, "sensor-03", "odd traffic")
    suspend_device(fleet.ctx, "pump-05", "odd traffic")
    revoke_device(fleet.ctx, "sensor-08", "stolen")
    return fleet.ctx


SOME = random.Random(7)  # noqa: S311 - chooses questions
ANY_OF: dict[str, list[Any]] = {
    "state": [None, *DeviceState],
    "group": [None, "cellar", "nobody"],
    "batch": [None, "bootstrap-1", "nobody"],
    "tag": [None, ("site", "north"), ("site", "nowhere")],
    "prefix": [None, "sensor-", "sensor-03", "x"],
    "expires_before": [None, SOON, START + timedelta(days=365, hours=8), START],
}


def test_filters_together_find_what_each_of_them_does(mixed: Context) -> None:
    with reading(mixed.sessions) as session:
        found_by = {
            (name, value): list(all_pages(session, **{name: value}))
            for name, values in ANY_OF.items()
            for value in values
        }
        for values in SOME.sample(list(product(*ANY_OF.values())), 200):
            wanted = dict(zip(ANY_OF, values, strict=True))
            in_order = found_by["expires_before", wanted["expires_before"]]
            expected = [each for each in in_order if all(each in found_by[item] for item in wanted.items())]
            assert list(all_pages(session, **wanted)) == expected, wanted


def test_filters_of_certificates_together(mixed: Context) -> None:
    def found(session: Session, **wanted: Any) -> Iterator[int]:
        after = None
        while True:
            page = pages.certificates(session, after=after, limit=2, **wanted)
            yield from (certificate.id for certificate in page.rows)
            after = page.next
            if after is None:
                return

    with reading(mixed.sessions) as session:
        issuers = set(session.scalars(select(Certificate.issuer_id)))
        any_of: dict[str, list[Any]] = {
            "device_id": [None, "sensor-03", "sensor-08", "nobody"],
            "state": [None, *CertificateState],
            "role": [None, Role.DEVICE, Role.BOOTSTRAP, Role.BROKER],
            "issuer_id": [None, *sorted(map(str, issuers))],
            "expires_before": [None, SOON, START + timedelta(days=365, hours=8), START],
        }
        found_by = {
            (name, value): list(found(session, **{name: value}))
            for name, values in any_of.items()
            for value in values
        }
        assert len(found_by["state", None]) == len(set(found_by["state", None])) > len(ANY_OF)
        for values in SOME.sample(list(product(*any_of.values())), 200):
            wanted = dict(zip(any_of, values, strict=True))
            in_order = found_by["expires_before", wanted["expires_before"]]
            expected = [each for each in in_order if all(each in found_by[item] for item in wanted.items())]
            assert list(found(session, **wanted)) == expected, wanted


def test_a_page_ends_after_so_many_looks(mixed: Context) -> None:
    with reading(mixed.sessions) as session:
        page = pages.devices(session, after=None, limit=2, group="attic", tag=("site", "north"))
        assert [device.device_id for device in page.rows] == ["pump-00"]
        assert page.next is not None
        many = pages.as_many(
            9,
            None,
            lambda place, limit: pages.devices(
                session, after=place, limit=limit, group="attic", tag=("site", "north")
            ),
        )
    assert [device.device_id for device in many.rows] == ["pump-00", "sensor-06"]
    assert many.next is None


def test_a_device_that_renews_between_two_pages_takes_nobody_along(labelled: Context, fleet: Fleet) -> None:
    def page(after: str | None) -> pages.Page[Device, str]:
        with reading(labelled.sessions) as session:
            return pages.devices(session, after=after, limit=1, expires_before=SOON)

    first = page(None)
    assert [device.device_id for device in first.rows] == ["sensor-3"]
    revoke_device(labelled, "sensor-3", "gone")
    assert [device.device_id for device in page(first.next).rows] == ["sensor-1"]


@pytest.mark.parametrize("after", ["sensor-1", "yesterday/sensor-1", "0001-01-01T00:00:00+23:00/sensor-1"])
def test_a_place_that_is_none(labelled: Context, after: str) -> None:
    with reading(labelled.sessions) as session, pytest.raises(FleetError, match="no place") as caught:
        pages.devices(session, after=after, limit=1, expires_before=SOON)
    assert caught.value.exit_code == 2


def plans(session: Session, ask: Any) -> str:
    """How the database goes about the statements of a question."""
    connection = session.connection()
    statements: list[tuple[str, Any]] = []

    def note(_c: Connection, _cursor: Any, statement: str, parameters: Any, _x: Any, _many: bool) -> None:
        statements.append((statement, parameters))

    engine = connection.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        ask(session)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    if engine.dialect.name == "sqlite":
        return "\n".join(_sqlite_plan(connection, *each) for each in statements)
    for method in (  # of a few rows it would read all
        "enable_seqscan",
        "enable_hashjoin",
        "enable_mergejoin",
        "enable_bitmapscan",
        "enable_sort",
    ):
        connection.exec_driver_sql(f"SET LOCAL {method} = off")
    return "\n".join(
        str(row)
        for statement, parameters in statements
        for row in connection.exec_driver_sql("EXPLAIN " + statement, parameters)
    )


def _sqlite_plan(connection: Connection, statement: str, parameters: Any) -> str:
    """Without what is done with the rows of a walk, which are as many as a page needs: they may be sorted."""
    rows = [tuple(row) for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters)]
    outermost = [detail for _, parent, _, detail in rows if parent == 0]
    is_of_a_walk = "SCAN anon_1" in outermost
    return "\n".join(str(row) for row in rows if not (is_of_a_walk and "ORDER BY" in row[3] and row[1] == 0))


QUESTIONS: dict[str, Any] = {
    **{
        f"devices by {name}": lambda session, wanted=wanted: pages.devices(
            session, after=None, limit=100, **wanted
        )
        for name, wanted in FILTERS.items()
    },
    "expiry window": lambda session: pages.devices(
        session, after=f"{START.isoformat()}/sensor-1", limit=100, expires_before=SOON
    ),
    "certificates of devices": lambda session: pages.certificate_ids(
        session, pages.devices(session, after=None, limit=100).rows
    ),
    "devices in a state and group": lambda session: pages.devices(
        session, after=None, limit=9, state=DeviceState.SUSPENDED, group="cellar"
    ),
    "devices in a state, group and window": lambda session: pages.devices(
        session, after=None, limit=9, state=DeviceState.SUSPENDED, group="cellar", expires_before=SOON
    ),
    "open rotations": lambda session: pages.rotations(session, after=None, limit=9, is_open=True),
    "rotations of a campaign": lambda session: pages.rotations(
        session, after=("sensor-1", "r"), limit=9, campaign_id="c"
    ),
    "certificates that end": lambda session: pages.certificates(
        session, after=3, limit=9, expires_before=SOON
    ),
    "open alerts": lambda session: pages.alerts(session, after=5, limit=9, is_open=True),
    "waiting claims": lambda session: pages.claims(session, after=5, limit=9, state=ClaimState.WAITING),
    "failed rotations": lambda session: pages.rotations(
        session, after=None, limit=9, state=RotationState.ROLLED_BACK
    ),
    "active certificates": lambda session: pages.certificates(
        session, after=99, limit=9, state=CertificateState.ACTIVE
    ),
    "certificates of an issuer": lambda session: pages.certificates(
        session, after=99, limit=9, issuer_id="0"
    ),
    "certificates of a role most of them have": lambda session: pages.certificates(
        session, after=None, limit=9, role=Role.DEVICE
    ),
    "audit entries of a subject": lambda session: pages.audit_entries(
        session, after=99, limit=9, subject="sensor-1"
    ),
    "audit entries of an actor": lambda session: pages.audit_entries(
        session, after=99, limit=9, actor="cloud"
    ),
    "newest audit entries": lambda session: pages.audit_entries(session, after=None, limit=9),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_page_is_a_walk_of_an_index(labelled: Context, question: str) -> None:
    with labelled.sessions() as session:
        plan = plans(session, QUESTIONS[question])
    for waste in (
        "SCAN devices'",
        "SCAN rotations'",
        "SCAN certificates'",
        "certificates_by_expiry (state=?)'",
        "TEMP B-TREE",
        "BLOOM FILTER",
        "Seq Scan",
        "->  Sort ",
        "('Sort ",
    ):
        assert waste not in plan + "\n", plan


def test_few_rows_are_sorted_without_looking_at_others(ctx: Context) -> None:
    """SQLite goes by what we say of the tables: there are too few here for PostgreSQL to go wrong."""
    with ctx.sessions() as session:
        plan = plans(
            session,
            lambda session: pages.certificates(
                session, after=None, limit=9, device_id="sensor-1", issuer_id="0", expires_before=SOON
            ),
        )
    assert "certificates_by_issuer (issuer_id=?)" not in plan, plan
