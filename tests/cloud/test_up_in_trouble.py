# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""``fleetpki up`` outlives what happens around it, and all its processes go on when that is over."""

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleetpki.config import Layout
from fleetpki.fleet import Fleet
from fleetpki.mqtt import topics
from fleetpki.registry import outbox
from fleetpki.registry.database import reading
from tests.cloud.broker_fixtures import (
    PATIENCE_S,
    Peer,
    RunningFleet,
    await_,
    client_hello,
    free_ports,
    make_fleet,
    mosquitto_of,
    ready_line,
    running,
    start_up,
)
from tests.cloud.doubles import make_csr, new_key
from tests.cloud.postgres import running_server
from tests.cloud.small_disk import filled, small_disk
from tests.cloud.soft_token import sign_with_token, soft_token
from tests.wrong_clock import WrongClock, needs_libfaketime

A_YEAR = timedelta(days=365)

Trouble = Callable[[], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True)
class Scene:
    """A fleet that is up, and a trouble that can be brought about."""

    up: RunningFleet
    trouble: Trouble


def web_ports() -> dict[str, Any]:
    return dict(zip(("est_port", "api_port"), free_ports(2), strict=True))


@contextlib.contextmanager
def full_disk(folder: Path, _patch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with small_disk(folder / "disk") as disk, running(disk, **web_ports()) as up:
        yield Scene(up, partial(filled, disk, up.layout.registry))


@contextlib.contextmanager
def server_away(folder: Path, _patch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with running_server() as server:
        server.create("up")
        with running(folder, database_url=server.url("up"), **web_ports()) as up:
            yield Scene(up, server.stopped)


@contextlib.contextmanager
def token_gone(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with soft_token(folder, patch) as token, running(folder, **token.settings, **web_ports()) as up:
        sign_with_token(folder)
        yield Scene(up, token.pulled_out)


TROUBLES = {"disk full": full_disk, "database server away": server_away, "token gone": token_gone}


@pytest.fixture(params=TROUBLES)
def scene(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with TROUBLES[request.param](tmp_path, monkeypatch) as scene:
        await_web(scene.up)
        yield scene


def await_web(up: RunningFleet) -> None:
    """Devices can connect before the web processes have begun, whose sockets are there already."""
    for name, path, identity in (
        ("est", "/.well-known/est/cacerts", up.bootstrap),
        ("api", "/api/v1/devices", up.operator),
    ):
        with up.web(name, identity) as client:
            assert client.get(path).status_code == 200


def by_mqtt(peer: Peer, device_id: str, csr: str) -> Any:
    peer.publish(f"bootstrap/{device_id}/enroll", {"request_id": "r-1", "csr": csr})
    return peer.receive().json


def by_est(up: RunningFleet, csr: str) -> httpx.Response:
    body = "".join(csr.splitlines()[1:-1])
    headers = {"Content-Type": "application/pkcs10"}
    with up.web("est", up.bootstrap) as client:
        return client.post("/.well-known/est/simpleenroll", content=body, headers=headers)


def by_api(up: RunningFleet, device_id: str, csr: str) -> httpx.Response:
    with up.web("api", up.operator) as client:
        return client.post(f"/api/v1/devices/{device_id}/certificates", json={"csr": csr})


@pytest.fixture
def waiting(scene: Scene) -> Iterator[Peer]:
    """A device that is about to enrol."""
    with scene.up.bootstrap_peer("mqtt-1") as peer:
        assert not peer.subscribe("bootstrap/mqtt-1/enroll/#").is_failure
        yield peer


def test_every_process_goes_on_when_it_is_over(scene: Scene) -> None:
    up = scene.up
    device = up.enrolled("device-1")
    csrs = {name: make_csr(new_key(), name) for name in ("mqtt-1", "est-1", "device-1")}
    with up.bootstrap_peer("mqtt-1") as peer:
        assert not peer.subscribe("bootstrap/mqtt-1/enroll/#").is_failure
        with scene.trouble():
            answer = by_mqtt(peer, "mqtt-1", csrs["mqtt-1"])
            assert (answer["code"], answer["retry_after_s"] > 0) == ("busy", True)
            assert by_est(up, csrs["est-1"]).status_code == 503
            assert by_api(up, "device-1", csrs["device-1"]).status_code == 503
            with device.connect() as known:  # the broker remembers it
                assert known.is_connected()
        assert "certificate" in by_mqtt(peer, "mqtt-1", csrs["mqtt-1"])
    assert by_est(up, csrs["est-1"]).status_code == 200
    assert by_api(up, "device-1", csrs["device-1"]).status_code == 201


@contextlib.contextmanager
def frozen(program: int) -> Iterator[None]:
    """A program is there and does nothing."""
    os.kill(program, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(program, signal.SIGCONT)


def rotate(up: RunningFleet, device_id: str) -> int:
    """Ask for a rotation by the API; the status of the answer."""
    with up.web("api", up.operator) as client:
        return client.post(f"/api/v1/devices/{device_id}/rotations", json={}).status_code


def nothing_waits(layout: Layout) -> bool:
    """Whether all messages are sent."""
    with reading(Fleet.open(layout.directory).sessions) as session:
        return not outbox.pending(session)


def test_while_the_broker_does_not_answer_what_it_is_to_deliver_is_kept(tmp_path: Path) -> None:
    with running(tmp_path, **web_ports()) as up:
        device = up.enrolled("device-1")
        with device.connect() as peer:
            device.listen()
            with frozen(mosquitto_of(up.pid)):
                assert rotate(up, "device-1") == 201
                assert by_est(up, make_csr(new_key(), "est-1")).status_code == 200
                assert not nothing_waits(up.layout)
            assert peer.receive().topic == topics.certs("device-1", "rotate")
        await_(lambda: nothing_waits(up.layout))


def test_a_message_that_was_sent_and_cannot_be_crossed_out_is_sent_once(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, running(disk, **web_ports()) as up:
        device = up.enrolled("device-1")
        with device.connect() as peer:
            device.listen()
            with contextlib.ExitStack() as full:
                with frozen(mosquitto_of(up.pid)):
                    assert rotate(up, "device-1") == 201
                    full.enter_context(filled(disk, up.layout.registry))
                assert peer.receive().topic == topics.certs("device-1", "rotate")
                await_(lambda: "cannot be written" in up.log.read_text())
            await_(lambda: nothing_waits(up.layout))
            assert rotate(up, "device-1") == 409
            assert peer.received_nothing()


def test_handshakes_that_nobody_ends_keep_nobody_out(tmp_path: Path) -> None:
    with running(tmp_path, **web_ports()) as up, contextlib.ExitStack() as begun:
        device = up.enrolled("device-1")
        for port in (up.settings.port, up.settings.bootstrap_port, up.settings.est_port):
            for _ in range(50):
                connection = begun.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_S))
                connection.sendall(client_hello())
        with device.connect() as peer, up.web("est", device.me) as est:
            assert peer.is_connected()
            assert est.get("/.well-known/est/cacerts").status_code == 200


@needs_libfaketime
def test_started_before_the_clock_is_set_it_waits_and_says_so(tmp_path: Path) -> None:
    clock = WrongClock(tmp_path)
    clock.set(-A_YEAR)
    layout = make_fleet(tmp_path)
    log = tmp_path / "log"
    with log.open("w") as file, start_up(layout, file, clock.environment) as up:
        await_(lambda: "certificate is not yet valid" in log.read_text())
        clock.set(timedelta(0))
        assert ready_line(up).startswith("fleetpki: ready")
        up.terminate()
        assert up.wait(PATIENCE_S) == 0, log.read_text()


@needs_libfaketime
def test_when_its_clock_was_ahead_and_is_right_again_devices_are_who_they_were(tmp_path: Path) -> None:
    clock = WrongClock(tmp_path)
    with running(tmp_path, environment=clock.environment, processes=1, **web_ports()) as up:
        device = up.enrolled("device-1")
        clock.set(A_YEAR + timedelta(days=100))  # the certificates of the cloud are good for two years
        assert device.connect().try_connect() is None  # it ended in the handshake
        with up.web("est", device.me) as est, pytest.raises(httpx.TransportError):
            est.get("/.well-known/est/cacerts")
        assert by_est(up, make_csr(new_key(), "device-2")).status_code == 200
        clock.set(timedelta(0))
        with device.connect():
            device.report("connected")
        with up.web("est", device.me) as est:
            assert est.get("/.well-known/est/cacerts").status_code == 200
        assert device.record()["state"] == "active"
