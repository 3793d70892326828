# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The cloud cannot do what it is asked for: every door says so in its own words, nothing is half done.

Each trouble is a real one. When it is over the same requests succeed, without a restart, and the audit chain
tells of it.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from fleetpki.desk import Desk
from fleetpki.lifecycle import authorities, context
from fleetpki.mqtt.services import SERVICES, Request, serve
from fleetpki.pki.ocsp import issuer_ids
from fleetpki.registry import database
from fleetpki.registry.database import reading
from fleetpki.registry.models import ApiRole, CertificateState
from tests.cloud.broker_fixtures import Outcome, run_cli
from tests.cloud.doubles import make_csr, new_key
from tests.cloud.postgres import running_server
from tests.cloud.small_disk import filled, small_disk
from tests.cloud.soft_token import sign_with_token, soft_token
from tests.cloud.web_fixtures import Web, running_web

API = "/api/v1"
ENROLMENT = SERVICES[0]
DOORS = ("est", "api", "public")

Trouble = Callable[[], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True)
class Scene:
    """Listeners that serve, and a trouble that can be brought about."""

    web: Web
    trouble: Trouble
    explanation: str
    """What an operator reads."""
    can_read: bool = True
    """Whether the registry can be read meanwhile."""
    can_write: bool = False

    def is_told_of(self, device_id: str) -> bool:
        """Whether the audit chain tells of the trouble: at once if it can, else afterwards."""
        if not self.can_write:
            return ("cloud", "registry.unavailable") in self.web.audited("fleet")
        refusals = {"enroll.refused", "issue.refused"}
        return not refusals.isdisjoint(action for _, action in self.web.audited(device_id))


@contextlib.contextmanager
def locked_database(folder: Path, _patch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with running_web(folder, *DOORS) as web:
        web.enrolled("sensor-1")
        yield Scene(web, partial(locked, web.fleet.layout.registry), "cannot be written")


@contextlib.contextmanager
def locked(registry: Path) -> Iterator[None]:
    """Another program writes to the registry, and does not end."""
    with contextlib.closing(sqlite3.connect(registry)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.rollback()


@contextlib.contextmanager
def full_disk(folder: Path, _patch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with small_disk(folder / "disk") as disk, running_web(disk, *DOORS) as web:
        web.enrolled("sensor-1")
        yield Scene(web, partial(filled, disk, web.fleet.layout.registry), "disk is full")


@contextlib.contextmanager
def server_away(folder: Path, _patch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with running_server() as server:
        server.create("doors")
        with running_web(folder, *DOORS, database_url=server.url("doors")) as web:
            web.enrolled("sensor-1")
            yield Scene(web, server.stopped, "connection to server", can_read=False)


@contextlib.contextmanager
def token_gone(folder: Path, patch: pytest.MonkeyPatch, *, used_before: bool) -> Iterator[Scene]:
    with (
        soft_token(folder, patch) as token,
        running_web(folder, *DOORS, **token.settings) as web,
    ):
        if used_before:
            sign_with_token(folder)
        web.enrolled("sensor-1")
        if not used_before:
            sign_with_token(folder)
        yield Scene(web, token.pulled_out, "does not answer", can_write=True)


@contextlib.contextmanager
def clock_behind(folder: Path, _patch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with running_web(folder, *DOORS) as web:
        web.enrolled("sensor-1")
        yield Scene(web, set_back, "set the clock of this machine", can_write=True)


@contextlib.contextmanager
def set_back() -> Iterator[None]:
    """The rules go by a clock that shows last year; TLS, which would refuse everybody, by the right one."""

    class LastYear(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) - timedelta(days=400)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "datetime", LastYear)
        yield


TROUBLES: dict[str, Callable[[Path, pytest.MonkeyPatch], contextlib.AbstractContextManager[Scene]]] = {
    "database locked": locked_database,
    "disk full": full_disk,
    "database server away": server_away,
    "clock behind": clock_behind,
    "token gone": partial(token_gone, used_before=True),
    "token gone before its first use": partial(token_gone, used_before=False),
}


@pytest.fixture(params=TROUBLES)
def scene(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(database, "_BUSY_TIMEOUT_S", 0.2)
    with TROUBLES[request.param](tmp_path, monkeypatch) as scene:
        yield scene


def by_mqtt(web: Web, device_id: str, csr: str) -> dict[str, Any]:
    payload = httpx.Request("POST", "http://x", json={"request_id": "r-1", "csr": csr}).content
    request = Request(device_id, web.bootstrap.certificate_id, payload)
    answer = asyncio.run(serve(ENROLMENT, Desk(web.ctx), request))
    assert answer is not None
    return answer.message.model_dump()


def by_est(web: Web, csr: str) -> httpx.Response:
    body = "".join(csr.splitlines()[1:-1])
    with web.client("est", web.bootstrap) as client:
        headers = {"Content-Type": "application/pkcs10"}
        return client.post("/.well-known/est/simpleenroll", content=body, headers=headers)


def cli(web: Web, *command: str | Path) -> Outcome:
    return run_cli(*command, "--dir", web.fleet.layout.directory)


def is_told_to_come_back(answer: httpx.Response) -> bool:
    return answer.status_code == 503 and int(answer.headers["retry-after"]) > 0


def has_one_certificate(web: Web, device_id: str) -> bool:
    """Nothing was done by half, and nothing twice."""
    return [each.state for each in web.certificates(device_id)] == [CertificateState.ISSUED]


def test_a_device_hears_that_it_may_try_again(scene: Scene) -> None:
    web = scene.web
    mqtt, est = (make_csr(new_key(), name) for name in ("by-mqtt-1", "by-est-1"))
    with scene.trouble():
        for _ in range(2):
            answer = by_mqtt(web, "by-mqtt-1", mqtt)
            assert answer["code"] == "busy"
            assert answer["retry_after_s"] > 0
            refused = by_est(web, est)
            assert is_told_to_come_back(refused)
            assert refused.text.startswith("busy: ")
    assert "certificate" in by_mqtt(web, "by-mqtt-1", mqtt)
    assert by_est(web, est).status_code == 200
    for device_id in ("by-mqtt-1", "by-est-1"):
        assert has_one_certificate(web, device_id)
        assert scene.is_told_of(device_id)


def test_an_operator_hears_what_is_wrong(scene: Scene, tmp_path: Path) -> None:
    web, csr, out = scene.web, tmp_path / "sensor-1.csr", tmp_path / "sensor-1.crt"
    csr.write_text(make_csr(new_key(), "sensor-1"))
    issue = ("issue", "sensor-1", "--csr", csr, "--out", out)
    with scene.trouble(), web.api(ApiRole.OPERATOR) as client:
        answer = client.post(f"{API}/devices/sensor-1/certificates", json={"csr": csr.read_text()})
        assert is_told_to_come_back(answer)
        assert answer.json()["code"] == "busy"
        refused = cli(web, *issue)
        assert refused.code == 4
        assert scene.explanation in refused.stderr
        assert "Traceback" not in refused.stderr
        assert not out.exists()
    assert cli(web, *issue).code == 0
    with web.api(ApiRole.OPERATOR) as client:
        answer = client.post(f"{API}/devices/sensor-1/certificates", json={"csr": csr.read_text()})
    assert answer.json()["certificate"] == out.read_text()
    if scene.can_read:  # else nobody knows who asks, and nothing was tried
        assert scene.is_told_of("sensor-1")


def test_reading_goes_on_if_it_can(scene: Scene) -> None:
    web = scene.web
    with scene.trouble(), web.api(ApiRole.VIEWER) as api, web.client("public") as public:
        answers = [
            api.get(f"{API}/devices/sensor-1"),
            api.get("/devices/sensor-1", headers={"Cookie": f"__Host-fleetpki={web.tokens[ApiRole.VIEWER]}"}),
            public.get("/ca/issuing.crt"),
        ]
        shown = cli(web, "show", "sensor-1")
    if scene.can_read:
        assert [answer.status_code for answer in answers] == [200] * len(answers)
        assert shown.code == 0
    else:
        assert all(map(is_told_to_come_back, answers))
        assert shown.code == 4
        assert scene.explanation in shown.stderr


def test_who_asks_by_ocsp_is_to_try_later(scene: Scene) -> None:
    with reading(scene.web.ctx.sessions) as session:
        signing = x509.load_pem_x509_certificate(authorities.active(session).pem.encode())
    issuer, builder = issuer_ids(signing)[0], ocsp.OCSPRequestBuilder()
    builder = builder.add_certificate_by_hash(issuer.name_hash, issuer.key_hash, 4711, hashes.SHA1())  # noqa: S303
    question = builder.build().public_bytes(Encoding.DER)  # it takes a new signer to answer it
    with scene.trouble(), scene.web.client("public") as public:
        headers = {"Content-Type": "application/ocsp-request"}
        answer = public.post("/ocsp", content=question, headers=headers)
    if scene.can_read:
        told = ocsp.load_der_ocsp_response(answer.content).response_status
        assert told == ocsp.OCSPResponseStatus.TRY_LATER
    else:
        assert is_told_to_come_back(answer)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with running_web(tmp_path, "api") as web:
        web.enrolled("sensor-1")
        yield web


def test_without_a_broker_no_key_is_pushed(web: Web) -> None:
    with web.api(ApiRole.OPERATOR) as client:
        answer = client.post(f"{API}/devices/sensor-1/rotations/push", json={})
        assert answer.status_code == 503
        assert client.get(f"{API}/rotations", params={"open": True}).json()["items"] == []
        findings = client.get(f"{API}/health").json()["findings"]
    assert "refused" in next(each["message"] for each in findings if each["check"] == "broker")
    assert cli(web, "rotate", "sensor-1", "--push").code == 4
    assert [each.state for each in web.certificates("sensor-1")].count(CertificateState.ACTIVE) == 1
