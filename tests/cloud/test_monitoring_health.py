# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What the checks find is open as an alert, as long as they find it."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from fleetpki.fleet import Fleet
from fleetpki.lifecycle import ceremony, utc_now
from fleetpki.lifecycle.alerts import list_alerts
from fleetpki.monitoring import health
from fleetpki.registry.models import Authority
from tests.cloud.broker_fixtures import make_fleet

LINE_2 = "check:authority line-2"


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """One that is down, so its broker does not answer."""
    return Fleet.open(make_fleet(tmp_path).directory)


@pytest.fixture
def line_2(fleet: Fleet) -> str:
    """An authority that is near its end, as an alert tells."""
    ceremony.create_bootstrap_authority(fleet.context, "line-2")
    with fleet.sessions.begin() as session:
        session.query(Authority).filter_by(name="line-2").one().not_after = utc_now() + timedelta(days=60)
    health.raise_alerts(fleet)
    assert {LINE_2, "check:broker"} <= subjects(fleet)
    return "line-2"


def subjects(fleet: Fleet) -> set[str]:
    """What alerts are open about."""
    return {alert.subject for alert in list_alerts(fleet.context)}


def test_the_alert_of_a_check_that_is_made_no_more_is_cleared(fleet: Fleet, line_2: str) -> None:
    ceremony.retire(fleet.context, line_2)
    before = subjects(fleet)
    health.raise_alerts(fleet)
    assert subjects(fleet) == before - {LINE_2}


def test_while_the_registry_is_not_seen_nothing_is_said_to_be_over(fleet: Fleet, line_2: str) -> None:
    before = subjects(fleet)
    with fleet.sessions.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'another'"))
    health.raise_alerts(fleet)
    assert subjects(fleet) == before | {"check:registry"}
