# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""When certificates are renewed, whatever their lifetime; when lost messages are repeated."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from fleetpki.lifecycle import renewal

START = datetime(2026, 6, 1, tzinfo=UTC)
LIFETIMES = st.timedeltas(timedelta(minutes=1), timedelta(days=10_000))
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=3, max_size=64)
DAY = timedelta(days=1)


@given(NAMES, LIFETIMES)
def test_renewal_then_warning_then_alarm_then_the_end(name: str, lifetime: timedelta) -> None:
    life = (START, START + lifetime)
    moments = [
        START,
        renewal.renew_at(name, *life),
        renewal.warn_at(*life),
        renewal.critical_at(*life),
        START + lifetime,
    ]
    assert moments == sorted(set(moments))


@given(NAMES, LIFETIMES)
def test_a_certificate_is_renewed_after_two_thirds_of_its_life_with_a_sixth_left(
    name: str, lifetime: timedelta
) -> None:
    left = START + lifetime - renewal.renew_at(name, START, START + lifetime)
    assert left <= lifetime / 3
    assert left >= min(lifetime / 6, 30 * DAY) - timedelta(microseconds=2)


@given(NAMES, st.timedeltas(180 * DAY, 10_000 * DAY))
def test_a_long_lived_one_is_renewed_60_to_30_days_before_its_end(name: str, lifetime: timedelta) -> None:
    left = START + lifetime - renewal.renew_at(name, START, START + lifetime)
    assert 30 * DAY <= left <= 60 * DAY


def test_a_fleet_made_in_one_second_is_renewed_evenly() -> None:
    per_day = [0] * 30
    for number in range(3000):
        at = renewal.renew_at(f"sensor-{number}", START, START + 365 * DAY)
        per_day[(at - (START + 305 * DAY)) // DAY] += 1
    assert max(per_day) < 150
    assert min(per_day) > 60


@given(NAMES, LIFETIMES)
def test_a_device_is_always_asked_at_the_same_moment(name: str, lifetime: timedelta) -> None:
    assert renewal.renew_at(name, START, START + lifetime) == renewal.renew_at(name, START, START + lifetime)


@given(st.integers(1, 1000), LIFETIMES)
def test_a_failed_rotation_is_tried_again_ever_later_but_while_it_can_help(
    failures: int, left: timedelta
) -> None:
    end = START + left
    first, second = (renewal.retry_at(START, count, end) for count in (failures, failures + 1))
    assert START < first <= second
    assert second - START <= max(timedelta(minutes=1), left / 8)


@given(NAMES)
def test_a_lost_message_is_repeated_a_few_times_with_growing_pauses(rotation_id: str) -> None:
    pauses, at, repeats = [], START, 0
    while (next_at := renewal.repeat_at(at, repeats, rotation_id)) is not None:
        pauses.append(next_at - at)
        at, repeats = next_at, repeats + 1
    assert len(pauses) == renewal.MAX_REPEATS
    assert pauses == sorted(pauses)
    assert pauses[0] >= timedelta(minutes=1)
    assert at - START < timedelta(hours=8)
