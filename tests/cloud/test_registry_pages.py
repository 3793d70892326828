# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Long lists: pages follow each other without gap or overlap, and none of them walks the whole table."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

from fleetpki.errors import Code, FleetError
from fleetpki.lifecycle import Context, update_device
from fleetpki.registry import pages
from fleetpki.registry.database import reading
from fleetpki.registry.models import CertificateState, ClaimState, DeviceState, RotationState
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
    while page := pages.devices(session, after=after, limit=2, **wanted):
        yield from (device.device_id for device in page)
        after = page[-1].device_id


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
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    if engine.dialect.name == "postgresql":  # of a few rows it would read all
        for method in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_bitmapscan"):
            connection.exec_driver_sql(f"SET LOCAL {method} = off")
    return "\n".join(
        str(row)
        for statement, parameters in statements
        for row in connection.exec_driver_sql(explain + statement, parameters)
    )


QUESTIONS: dict[str, Any] = {
    **{
        f"devices by {name}": lambda session, wanted=wanted: pages.devices(
            session, after=None, limit=100, **wanted
        )
        for name, wanted in FILTERS.items()
    },
    "expiry window": lambda session: pages.devices(session, after="sensor-1", limit=100, expires_before=SOON),
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
    for waste in ("SCAN devices\n", "TEMP B-TREE", "Seq Scan", "Sort "):
        assert waste not in plan + "\n", plan
