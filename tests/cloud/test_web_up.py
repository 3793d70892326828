# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""``fleetpki up`` with its web: every listener is there, and EST and the broker agree about a device."""

import base64
import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

from fleetpki.pki import keys
from fleetpki.pki.issuer import to_pem
from tests.cloud.broker_fixtures import (
    PATIENCE_S,
    Identity,
    RunningFleet,
    await_,
    free_ports,
    make_fleet,
    running,
    start_up,
)
from tests.cloud.doubles import make_csr, new_key

WEB_PORTS = ("est_port", "api_port", "public_port")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    ports: dict[str, Any] = dict(zip(WEB_PORTS, free_ports(3), strict=True))
    with running(tmp_path_factory.mktemp("up"), **ports) as up:
        yield up


def enrolled_by_est(up: RunningFleet, device_id: str) -> Identity:
    key = new_key()
    body = "".join(make_csr(key, device_id).splitlines()[1:-1])
    with up.web("est", up.bootstrap) as est:
        headers = {"Content-Type": "application/pkcs10"}
        signed = est.post("/.well-known/est/simpleenroll", content=body, headers=headers)
        authorities = est.get("/.well-known/est/cacerts")
    identity = Identity(up.workspace / f"{device_id}.crt", up.workspace / f"{device_id}.key")
    found = [*certificates_in(signed), *certificates_in(authorities)]
    identity.certificate.write_text("".join(map(to_pem, found)))
    identity.key.write_bytes(keys.private_key_pem(key))
    return identity


def certificates_in(answer: httpx.Response) -> list[x509.Certificate]:
    return pkcs7.load_der_pkcs7_certificates(base64.b64decode(answer.content))


def test_a_device_that_enrolled_by_est_is_at_work_once_it_connects_to_the_broker(up: RunningFleet) -> None:
    identity = enrolled_by_est(up, "by-est-1")
    with up.web("api", up.operator) as api:
        assert api.get("/api/v1/devices/by-est-1").json()["certificate_id"] is None
        with up.device_peer(identity, "by-est-1"):
            deadline = time.monotonic() + PATIENCE_S
            while api.get("/api/v1/devices/by-est-1").json()["certificate_id"] is None:
                assert time.monotonic() < deadline, "the connection was not noted"
                time.sleep(0.05)
        assert api.get("/api/v1/devices/by-est-1").json()["certificate_id"] == identity.certificate_id


def test_the_api_throws_a_device_out_of_the_broker(up: RunningFleet) -> None:
    identity = enrolled_by_est(up, "by-est-2")
    with up.device_peer(identity, "by-est-2") as peer, up.web("api", up.operator) as api:
        assert api.post("/api/v1/devices/by-est-2/revoke", json={"reason": "stolen"}).status_code == 200
        assert peer.disconnected().is_failure


def test_a_key_for_a_device_that_is_away_is_not_kept(up: RunningFleet) -> None:
    up.enrolled("away-1")
    with up.web("api", up.operator) as api:
        answer = api.post("/api/v1/devices/away-1/rotations/push", json={})
        assert (answer.status_code, answer.json()["detail"]) == (
            409,
            "away-1 is offline; nothing was sent to it",
        )


def test_revocation_lists_are_signed_and_served(up: RunningFleet) -> None:
    with up.web("api", up.operator) as api:
        authorities = api.get("/api/v1/authorities").json()
    name = next(each["name"] for each in authorities if each["kind"] == "issuing")
    answer = httpx.get(f"http://127.0.0.1:{up.settings.public_port}/crl/{name}/0.crl", timeout=PATIENCE_S)
    assert x509.load_der_x509_crl(answer.content).issuer.rfc4514_string() == "CN=fleetpki issuing CA"


def at_work_on(port: int) -> int:
    """How many processes of ours have a connection there."""
    ours = [process for process in psutil.Process().children(recursive=True) if process.name() != "mosquitto"]
    return sum(
        any(
            port in (connection.laddr.port, connection.raddr.port)
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_ESTABLISHED
        )
        for process in ours
    )


def test_the_processes_of_a_fleet_share_its_work(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with running(tmp_path, est_port=port, processes=3) as up, contextlib.ExitStack() as customers:

        def are_all_reached() -> bool:
            customers.enter_context(socket.create_connection(("127.0.0.1", port)))
            return at_work_on(port) == 3

        await_(are_all_reached)
        await_(lambda: at_work_on(up.settings.service_port) == 3)


@pytest.mark.parametrize("setting", WEB_PORTS)
def test_a_taken_port_is_named(tmp_path: Path, setting: str) -> None:
    (port,) = free_ports(1)
    layout = make_fleet(tmp_path, **{setting: port})
    with socket.create_server(("127.0.0.1", port)):
        process = start_up(layout)
        _, errors = process.communicate()
    assert process.returncode == 4
    assert f"port {port} ({setting})" in errors
