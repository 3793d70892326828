# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever stands in an address or a body, the answer is a refusal; on PostgreSQL too, which takes less."""

import re
import socket
import ssl
from collections.abc import Iterator

import pytest

from fleetpki.registry.models import ApiRole
from fleetpki.web.logins import FailedLogins
from tests.cloud.broker_fixtures import PATIENCE_S
from tests.cloud.postgres import PostgresServer
from tests.cloud.web_fixtures import Web, running_web

API = "/api/v1"

#: As they stand in an address: NUL, NUL in a tag, half a surrogate pair, a number of 100 bits.
ODD = ("%00", "key:%00", "%ED%A0%80", "1" + "0" * 30)
PAGES = ("/devices?q={}", "/devices?after={}", "/devices?state={}", "/devices/{}", "/login?{}", "/static/{}")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def web(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    workspace = tmp_path_factory.mktemp("odd")
    if request.param == "sqlite":
        with running_web(workspace, "api") as web:
            yield web
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    server.create("odd")
    with running_web(workspace, "api", database_url=server.url("odd")) as web:
        yield web
    server.drop("odd")


def odd_addresses(web: Web) -> Iterator[tuple[str, str]]:
    """Each operation of the API with an odd value in one place of its address at a time."""
    for path, operations in web.apps["api"].openapi()["paths"].items():
        for method, operation in operations.items():
            names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
            plain = re.sub(r"{\w+}", "sensor-1", path)
            for odd in ODD:
                yield from ((method, f"{plain}?{name}={odd}") for name in names)
                for place in re.findall(r"{\w+}", path):
                    yield method, re.sub(r"{\w+}", "sensor-1", path.replace(place, odd))


def answers(web: Web, addresses: Iterator[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The status of each answer."""
    token = {"Authorization": f"Bearer {web.tokens[ApiRole.CA_OFFICER]}"}
    cookies = {"__Host-fleetpki": web.tokens[ApiRole.VIEWER]}
    with web.client("api", headers=token, cookies=cookies) as client:
        return {
            (method, address): client.request(
                method, address, json={} if method in ("post", "patch") else None
            ).status_code
            for method, address in addresses
        }


def test_no_address_is_too_odd_for_the_api(web: Web) -> None:
    found = answers(web, odd_addresses(web))
    assert len(found) > 200
    assert {asked: status for asked, status in found.items() if status >= 500} == {}


def test_no_address_is_too_odd_for_the_dashboard(web: Web) -> None:
    found = answers(web, (("get", page.format(odd)) for page in PAGES for odd in ODD))
    assert {asked: status for asked, status in found.items() if status >= 500} == {}


def test_a_form_with_more_fields_than_ours_is_no_login(web: Web) -> None:
    web.apps["api"].state.failed_logins = FailedLogins()
    with web.client("api") as client:
        assert client.post("/login", data={f"field-{n}": "x" for n in range(50)}).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 20_000,
        b'{"reason": "\\ud800"}',
        b'{"reason": "\\u0000"}',
        b"\xff\xfe",
        b'{"within_minutes": 1e999, "group": NaN, "reason": []}',
    ],
)
def test_no_body_is_too_odd(web: Web, body: bytes) -> None:
    with web.api(ApiRole.CA_OFFICER) as client:
        for action in ("revoke", "suspend", "rotations", "allow-reenrollment"):
            path, headers = f"{API}/devices/nobody-1/{action}", {"Content-Type": "application/json"}
            answer = client.post(path, content=body, headers=headers)
            assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("host", ["br\u00f6ker.example", "a b", "-\u2028", "10.0.0.1/8", "*.*.example", ""])
def test_an_authority_is_for_hosts_that_can_be(web: Web, host: str) -> None:
    with web.api(ApiRole.CA_OFFICER) as client:
        answer = client.post(f"{API}/authorities/requests", json={"name": "issuing-2", "hosts": [host]})
    assert answer.status_code == 422
    assert not (web.fleet.layout.ca / "issuing-2.key").exists()


def test_a_request_that_breaks_off_changes_nothing(web: Web) -> None:
    web.enrolled("cut-off-1")
    with web.api(ApiRole.OPERATOR) as client:
        client.post(f"{API}/devices/cut-off-1/suspend", json={})
        head = (
            f"POST {API}/devices/cut-off-1/resume HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: {client.headers['Authorization']}\r\nContent-Length: 9\r\n\r\n"
        )
        tls = ssl.create_default_context(cafile=str(web.anchors))
        address = ("127.0.0.1", web.ports["api"])
        with (
            socket.create_connection(address, PATIENCE_S) as plain,
            tls.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            connection.sendall(head.encode())
        device = client.get(f"{API}/devices/cut-off-1").json()
    assert device["state"] == "suspended"
