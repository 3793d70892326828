# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Registry or broker cannot be used: every door says so in its own words, and nothing is half done."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleetpki.mqtt.services import SERVICES, Request, serve
from fleetpki.registry import database
from fleetpki.registry.models import ApiRole, CertificateState
from tests.cloud.broker_fixtures import Outcome, run_cli
from tests.cloud.doubles import make_csr, new_key
from tests.cloud.web_fixtures import Web, running_web

API = "/api/v1"
ENROLMENT = SERVICES[0]


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(database, "_BUSY_TIMEOUT_S", 0.2)
    with running_web(tmp_path, "est", "api") as web:
        web.enrolled("sensor-1")
        yield web


@contextlib.contextmanager
def locked(web: Web) -> Iterator[None]:
    """Another program writes to the registry, and does not end."""
    with contextlib.closing(sqlite3.connect(web.fleet.layout.registry)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.rollback()


def by_mqtt(web: Web, device_id: str, csr: str) -> dict[str, Any]:
    payload = httpx.Request("POST", "http://x", json={"request_id": "r-1", "csr": csr}).content
    answer = serve(ENROLMENT, web.ctx, Request(device_id, web.bootstrap.certificate_id, payload))
    assert answer is not None
    return answer.message.model_dump()


def by_est(web: Web, csr: str) -> httpx.Response:
    body = "".join(csr.splitlines()[1:-1])
    with web.client("est", web.bootstrap) as client:
        headers = {"Content-Type": "application/pkcs10"}
        return client.post("/.well-known/est/simpleenroll", content=body, headers=headers)


def cli(web: Web, *command: str | Path) -> Outcome:
    return run_cli(*command, "--dir", web.fleet.layout.directory)


def test_a_device_hears_that_it_may_try_again(web: Web) -> None:
    mqtt, est = (make_csr(new_key(), name) for name in ("by-mqtt-1", "by-est-1"))
    with locked(web):
        answer = by_mqtt(web, "by-mqtt-1", mqtt)
        assert answer["code"] == "busy"
        assert answer["retry_after_s"] > 0
        refused = by_est(web, est)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
    assert "certificate" in by_mqtt(web, "by-mqtt-1", mqtt)
    assert by_est(web, est).status_code == 200
    for device_id in ("by-mqtt-1", "by-est-1"):
        assert len(web.certificates(device_id)) == 1
        assert "certificate.issued" in [action for _, action in web.audited(device_id)]


def test_an_operator_hears_what_is_wrong(web: Web, tmp_path: Path) -> None:
    csr = tmp_path / "sensor-1.csr"
    csr.write_text(make_csr(new_key(), "sensor-1"))
    out = tmp_path / "sensor-1.out"
    issue = ("issue", "sensor-1", "--csr", csr, "--out", out)
    with locked(web), web.api(ApiRole.OPERATOR) as client:
        answer = client.post(f"{API}/devices/sensor-1/certificates", json={"csr": csr.read_text()})
        assert answer.status_code == 503
        assert answer.json()["code"] == "busy"
        assert int(answer.headers["retry-after"]) > 0
        refused = cli(web, *issue)
        assert refused.code == 4
        assert "cannot be written" in refused.stderr
        assert not out.exists()
    assert cli(web, *issue).code == 0


def test_reading_goes_on_while_the_registry_is_locked(web: Web) -> None:
    with locked(web), web.api(ApiRole.VIEWER) as client:
        assert client.get(f"{API}/devices/sensor-1").status_code == 200
        assert cli(web, "show", "sensor-1").code == 0


def test_without_a_broker_no_key_is_pushed(web: Web) -> None:
    with web.api(ApiRole.OPERATOR) as client:
        answer = client.post(f"{API}/devices/sensor-1/rotations/push", json={})
        assert answer.status_code == 503
        assert client.get(f"{API}/rotations", params={"open": True}).json()["items"] == []
    assert cli(web, "rotate", "sensor-1", "--push").code == 4
    assert [each.state for each in web.certificates("sensor-1")].count(CertificateState.ACTIVE) == 1
