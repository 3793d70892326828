# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Who gets in at the API, and what those who do not find out."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from fleetpki.registry.models import ApiRole, CertificateState
from fleetpki.web import connection, server
from fleetpki.web.connection import MAX_HEAD
from fleetpki.web.logins import LIMIT, WINDOW_S, FailedLogins
from tests.cloud.broker_fixtures import PATIENCE_S, client_hello
from tests.cloud.doubles import make_csr, new_key
from tests.cloud.web_fixtures import Web, running_web, serving

API = "/api/v1"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running_web(tmp_path_factory.mktemp("access"), "api") as web:
        web.enrolled("sensor-1")
        yield web


@pytest.fixture(autouse=True)
def _nobody_has_failed_yet(web: Web) -> None:
    web.apps["api"].state.failed_logins = FailedLogins()


def test_without_credentials_nothing_is_told(web: Web) -> None:
    with web.api() as client:
        for path in ("devices", "devices/sensor-1", "audit", "tokens", "rotations", "certificates"):
            answer = client.get(f"{API}/{path}")
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == 'Bearer realm="fleetpki"'


@pytest.mark.parametrize(
    ("role", "method", "path", "allowed"),
    [
        (ApiRole.VIEWER, "GET", "devices", True),
        (ApiRole.VIEWER, "POST", "devices/nobody-1/revoke", False),
        (ApiRole.VIEWER, "POST", "devices/nobody-1/rotations", False),
        (ApiRole.VIEWER, "GET", "tokens", False),
        (ApiRole.OPERATOR, "POST", "devices/nobody-1/revoke", True),
        (ApiRole.OPERATOR, "POST", "tokens", False),
        (ApiRole.CA_OFFICER, "GET", "tokens", True),
    ],
)
def test_a_role_permits_what_it_is_for(
    web: Web, role: ApiRole, method: str, path: str, *, allowed: bool
) -> None:
    with web.api(role) as client:
        answer = client.request(method, f"{API}/{path}", json={} if method == "POST" else None)
    assert (answer.status_code != 403) == allowed
    refused = (f"token:test-{role}", "access.refused") in web.audited("api")
    assert refused or allowed


def test_the_operator_s_certificate_is_enough(web: Web) -> None:
    with web.client("api", web.operator) as client:
        assert client.get(f"{API}/tokens").status_code == 200
        client.post(f"{API}/tokens", json={"name": "by-certificate", "role": "viewer"})
    assert web.audited("by-certificate") == [("certificate:fleetpki-operator", "token.created")]


def test_other_certificates_of_ours_open_nothing(web: Web) -> None:
    for identity in (web.service, web.bootstrap, web.device("sensor-2")):
        with web.client("api", identity) as client:
            assert client.get(f"{API}/devices").status_code == 401


def test_a_person_s_certificate_permits_its_role_until_revoked(web: Web) -> None:
    key = new_key()
    with web.api(ApiRole.CA_OFFICER) as officer:
        asked = {"name": "alice", "role": "viewer", "csr": make_csr(key, "alice")}
        made = officer.post(f"{API}/people", json=asked)
        assert made.status_code == 201
        alice = web.identity("alice", made.json()["certificate"] + made.json()["chain"], key)
        with web.client("api", alice) as client:
            assert client.get(f"{API}/devices").status_code == 200
            assert client.get("/devices").status_code == 200  # the dashboard
            assert client.post(f"{API}/devices/sensor-1/suspend", json={}).status_code == 403
            assert client.get(f"{API}/people").status_code == 403
        assert [each["common_name"] for each in officer.get(f"{API}/people").json()][-1] == "alice"
        assert officer.delete(f"{API}/people/alice").status_code == 204
    with web.client("api", alice) as client:
        assert client.get(f"{API}/devices").status_code == 401
    assert ("certificate:alice", "access.refused") in web.audited("api")


def test_an_operator_revokes_devices_but_not_who_is_above_them(web: Web) -> None:
    device = web.device("sensor-3").certificate_id
    with web.api(ApiRole.OPERATOR) as operator:
        for identity in (web.operator, web.service):
            path = f"{API}/certificates/{identity.certificate_id}/revoke"
            assert operator.post(path, json={}).status_code == 403
        assert operator.post(f"{API}/certificates/{device}/revoke", json={}).status_code == 200
    assert web.state(web.operator.certificate_id) == CertificateState.ACTIVE


@pytest.mark.parametrize(
    "header",
    ["Bearer wrong", "Bearer", "Basic dXNlcjpwYXNz", "Bearer fleetpki_" + "A" * 43, "Bearer \xff\xfe", "x"],
)
def test_a_wrong_token_is_nobody_s(web: Web, header: str) -> None:
    with web.client("api") as client:
        answer = client.get(f"{API}/devices", headers={b"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401


def test_guessing_stops_filling_the_audit_chain_and_locks_nobody_out(web: Web) -> None:
    before = len(web.audited("api"))
    with web.client("api", headers={"Authorization": "Bearer guess"}) as client:
        answers = [client.get(f"{API}/devices") for _ in range(LIMIT + 5)]
    assert [answer.status_code for answer in answers] == [401] * LIMIT + [429] * 5
    assert 0 < int(answers[-1].headers["retry-after"]) <= WINDOW_S
    assert len(web.audited("api")) == before + LIMIT
    with web.api(ApiRole.VIEWER) as honest:
        assert honest.get(f"{API}/devices").status_code == 200


def test_failures_are_forgotten_after_a_while() -> None:
    now = 0.0
    logins = FailedLogins(clock=lambda: now)
    for _ in range(LIMIT):
        logins.failed("192.0.2.1")
    assert logins.wait_s("192.0.2.1") > 0
    assert logins.wait_s("192.0.2.2") == 0
    now = WINDOW_S + 1
    assert logins.wait_s("192.0.2.1") == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_another_site_cannot_use_an_operator_s_browser(web: Web, headers: dict[str, str]) -> None:
    with web.client("api", web.operator, headers=headers) as client:
        answer = client.post(f"{API}/devices/sensor-1/revoke", json={})
    assert answer.status_code == 403
    assert ("certificate:fleetpki-operator", "device.revoked") not in web.audited("sensor-1")


def test_no_answer_may_be_kept_framed_or_executed(web: Web) -> None:
    with web.api(ApiRole.VIEWER) as client:
        headers = client.get(f"{API}/devices").headers
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


def test_a_body_that_is_too_long_is_not_read(web: Web) -> None:
    with web.api(ApiRole.OPERATOR) as client:
        for body in (b"x" * 100_000, iter([b"x" * 50_000, b"x" * 50_000])):
            answer = client.post(f"{API}/devices/sensor-1/revoke", content=body)
            assert answer.status_code == 413


def raw(web: Web, *pieces: bytes) -> bytes:
    """Send bytes over TLS; the first of the answer."""
    tls = ssl.create_default_context(cafile=str(web.anchors))
    with (
        socket.create_connection(("127.0.0.1", web.ports["api"])) as plain,
        tls.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        for piece in pieces:
            connection.sendall(piece)
        return connection.recv(4096)


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /api/v1/devices HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 34_000,
        b"\x16\x03\x01\x00\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b: c\x00\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_and_others_are_served(web: Web, request_head: bytes) -> None:
    assert raw(web, request_head).startswith(b"HTTP/1.1 4")
    with web.api(ApiRole.VIEWER) as client:
        assert client.get(f"{API}/devices").status_code == 200


def test_a_body_counts_for_no_head(web: Web) -> None:
    long_body = b"x" * (MAX_HEAD + 10_000)
    with web.api(ApiRole.OPERATOR) as client:  # one connection
        for _ in range(2):
            for body in (long_body, iter([long_body[:20_000], long_body[20_000:]])):
                assert client.post(f"{API}/devices/sensor-1/revoke", content=body).status_code == 415


@pytest.mark.parametrize("cut_at", [100, 20_000, 34_000], ids=["begun", "half", "whole"])
@pytest.mark.parametrize(("beyond", "status"), [(0, b"401"), (1, b"400")])
def test_the_limit_of_a_head_is_exact_however_it_comes(
    web: Web, cut_at: int, beyond: int, status: bytes
) -> None:
    target = b"/api/v1/devices"
    filling = MAX_HEAD - len(target) - len(b"Host: x\r\n") - len(b"X: \r\n") + beyond
    head = b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nX: " + b"a" * filling + b"\r\n\r\n"
    assert raw(web, head[:cut_at], head[cut_at:]).startswith(b"HTTP/1.1 " + status)


def test_who_begins_handshakes_and_ends_none_holds_up_nobody_and_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HANDSHAKE_TIMEOUT_S", 1.0)
    with running_web(tmp_path, "api") as web, contextlib.ExitStack() as stack:
        address = ("127.0.0.1", web.ports["api"])
        begun = [stack.enter_context(socket.create_connection(address, PATIENCE_S)) for _ in range(300)]
        for connection in begun[::2]:
            connection.sendall(client_hello())
        with web.api(ApiRole.VIEWER) as client:
            assert client.get(f"{API}/devices").status_code == 200
        for connection in begun:
            assert ends(connection)


def ends(connection: socket.socket) -> bool:
    """Whether the peer hangs up, whatever it says before."""
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(65536):
            pass
    return True


def test_a_line_break_in_a_path_reaches_no_header(web: Web) -> None:
    with web.api(ApiRole.VIEWER) as client:
        answer = client.get(f"{API}/devices/a%0d%0aSet-Cookie:%20x=y")
    assert answer.status_code == 422
    assert "set-cookie" not in answer.headers


def test_tls_before_1_2_is_refused(web: Web) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        web.curl(None, "--tls-max", "1.1", web.url("api"))


@pytest.mark.parametrize("is_tls", [False, True])
def test_who_does_not_read_an_answer_is_left(web: Web, monkeypatch: pytest.MonkeyPatch, is_tls: bool) -> None:
    monkeypatch.setattr(connection, "READ_TIMEOUT_S", 0.05)
    left = threading.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.ensure_future(receive())
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
            await asyncio.sleep(0)
        left.set()

    with serving(endless, web.tls if is_tls else None) as port:
        peer = socket.create_connection(("127.0.0.1", port))
        if is_tls:
            trusting = ssl.create_default_context(cafile=str(web.anchors))
            peer = trusting.wrap_socket(peer, server_hostname="127.0.0.1")
        with peer:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert left.wait(PATIENCE_S)
