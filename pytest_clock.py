# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A device that gets the time from a time server, told the truth, told lies, and told nothing.

How to run it where: tests/embedded/README.md. The firmware for it asks every 15 s (sdkconfig.ci.qemu).
"""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pytest_embedded import Dut

from tests.embedded.events import BACK_ONLINE, CERTIFICATE, ONLINE, await_time, expect_id, time_of
from tests.embedded.outside import Outside
from tests.embedded.time_server import TimeServer

pytestmark = [pytest.mark.chip, pytest.mark.timeout(900)]

LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)
FAR_FROM_NOW = datetime(2100, 1, 1, tzinfo=UTC)


def await_truth(dut: Dut) -> None:
    def is_it(now: datetime, source: str) -> bool:
        return source == "sntp" and abs(now - datetime.now(UTC)) < timedelta(minutes=1)

    await_time(dut, "the truth", is_it)


def await_lie(dut: Dut) -> None:
    await_time(dut, "far from now", lambda now, source: source == "sntp" and now >= FAR_FROM_NOW)


@contextlib.contextmanager
def without_cloud(outside: Outside) -> Iterator[None]:
    """Nobody to enrol with for a while."""
    outside.do(outside.cloud.down())
    try:
        yield
    finally:
        outside.do(outside.cloud.up(choose_ports=False))


@pytest.mark.time_server
def test_a_new_device_sets_its_clock_and_the_clock_goes_on(online: tuple[Dut, str]) -> None:
    dut, _ = online
    await_truth(dut)
    then, _ = time_of(dut)
    await_time(dut, f"later than {then}", lambda now, source: source == "sntp" and now > then)


def test_a_device_without_a_time_server_enrols_and_says_that_it_does_not_know_the_time(
    online: tuple[Dut, str],
) -> None:
    dut, _ = online
    _, source = time_of(dut)
    assert source == "floor"


@pytest.mark.time_server(LONG_AGO)
def test_a_time_that_is_surely_past_is_not_believed(
    time_server: TimeServer, outside: Outside, device: Dut
) -> None:
    device.expect_exact("the clock has been set by SNTP")
    now, source = time_of(device)
    assert source == "floor"
    assert now > LONG_AGO + timedelta(days=365)
    time_server.say_the_truth()
    await_truth(device)


@pytest.mark.time_server(FAR_FROM_NOW)
def test_a_new_device_that_was_told_a_time_far_off_enrols_when_it_is_told_the_truth(
    time_server: TimeServer, outside: Outside, device_id: str, request: pytest.FixtureRequest
) -> None:
    with without_cloud(outside):
        device: Dut = request.getfixturevalue("device")
        device.expect_exact("the clock has been set by SNTP")
        await_lie(device)
    device.expect_exact("enroll: rejected code=expired")
    time_server.say_the_truth()
    issued = expect_id(device, f"enroll: accepted {CERTIFICATE}")
    assert expect_id(device, ONLINE) == issued
    outside.until("activated", lambda: outside.world.active(device_id) == issued)
    assert len(outside.cloud.certificates(device_id)) == 1, "it asks for the same certificate again"


@pytest.mark.time_server
def test_a_device_that_is_told_a_time_far_off_stays_who_it_is_and_rotates_when_it_is_told_the_truth(
    online: tuple[Dut, str], time_server: TimeServer, outside: Outside, device_id: str
) -> None:
    dut, identity = online
    await_truth(dut)
    time_server.say(FAR_FROM_NOW)
    await_lie(dut)
    dut.write("restart")
    assert expect_id(dut, BACK_ONLINE) == identity
    await_lie(dut)
    dut.write("status")
    dut.expect_exact(f"status: id={device_id} phase=online identity=operational")
    time_server.say_the_truth()
    await_truth(dut)
    rotation = outside.do(outside.cloud.json("rotate", device_id))
    new = expect_id(dut, f"rotation: committed id={rotation['rotation_id']} {CERTIFICATE}")
    assert new == outside.world.active(device_id) != identity
