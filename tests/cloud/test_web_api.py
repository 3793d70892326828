# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The REST API as an operator's programs use it, over real TLS."""

import json
import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fleetpki.audit_files import verify_file
from fleetpki.lifecycle import utc_now, verdict
from fleetpki.pki.hierarchy import make_hierarchy
from fleetpki.pki.identifiers import certificate_id
from fleetpki.pki.root import Root, load
from fleetpki.registry.models import ApiRole, CertificateState
from fleetpki.web.api.audit import exported
from tests.cloud.broker_fixtures import PASSPHRASE
from tests.cloud.doubles import START, make_csr, new_key
from tests.cloud.web_fixtures import Web, running_web

API = "/api/v1"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running_web(tmp_path_factory.mktemp("api"), "api") as web:
        for number in range(7):
            web.enrolled(f"page-{number}")
        yield web


@pytest.fixture(scope="module")
def officer(web: Web) -> Iterator[httpx.Client]:
    with web.api(ApiRole.CA_OFFICER) as client:
        yield client


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, which must be problem details."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["type"] == f"urn:fleetpki:problem:{body['code']}"
    return answer.status_code, body["code"]


def test_pages_together_are_the_whole_list(officer: httpx.Client) -> None:
    found, after = [], None
    while True:
        query = {"prefix": "page-", "limit": "3", **({"after": after} if after else {})}
        page = officer.get(f"{API}/devices", params=query).json()
        found += [device["device_id"] for device in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert found == [f"page-{number}" for number in range(7)]


def test_filters_narrow_down(web: Web, officer: httpx.Client) -> None:
    web.enrolled("narrow-1")
    officer.post(f"{API}/devices/narrow-1/revoke", json={"reason": "stolen"})
    revoked = officer.get(f"{API}/devices", params={"state": "revoked"}).json()["items"]
    assert [device["device_id"] for device in revoked] == ["narrow-1"]
    expiring = {"prefix": "page-", "expires_before": "2020-01-01T00:00:00Z"}
    assert officer.get(f"{API}/devices", params=expiring).json()["items"] == []


def test_a_device_is_shown_with_the_certificate_it_works_with(web: Web, officer: httpx.Client) -> None:
    enrolled = web.enrolled("shown-1")
    shown = officer.get(f"{API}/devices/shown-1").json()
    assert (shown["state"], shown["certificate_id"]) == ("active", enrolled.certificate_id)
    (certificate,) = officer.get(f"{API}/devices/shown-1/certificates").json()
    assert certificate["state"] == "active"


def test_a_certificate_is_downloaded_as_it_was_signed(web: Web, officer: httpx.Client) -> None:
    enrolled = web.enrolled("download-1")
    answer = officer.get(f"{API}/certificates/{enrolled.certificate_id}/pem")
    assert answer.text == enrolled.certificate_pem
    assert answer.headers["content-type"] == "application/x-pem-file"


def test_a_revoked_device_loses_its_certificates_and_the_audit_chain_says_who_did_it(
    web: Web, officer: httpx.Client
) -> None:
    enrolled = web.enrolled("revoke-1")
    answer = officer.post(f"{API}/devices/revoke-1/revoke", json={"reason": "stolen"})
    assert answer.json()["state"] == "revoked"
    assert web.state(enrolled.certificate_id) == CertificateState.REVOKED
    assert ("token:test-ca-officer", "device.revoked") in web.audited("revoke-1")


def test_a_rotation_is_started_shown_and_listed(web: Web, officer: httpx.Client) -> None:
    web.enrolled("rotate-1")
    started = officer.post(f"{API}/devices/rotate-1/rotations", json={"key": "rsa-2048"})
    assert started.status_code == 201
    rotation = started.json()
    shown = officer.get(f"{API}/devices/rotate-1/rotations/{rotation['rotation_id']}").json()
    assert (shown["state"], shown["key"]) == ("requested", "rsa-2048")
    listed = officer.get(f"{API}/rotations", params={"open": True, "device_id": "rotate-1"}).json()
    assert [each["rotation_id"] for each in listed["items"]] == [rotation["rotation_id"]]
    assert problem(officer.post(f"{API}/devices/rotate-1/rotations", json={})) == (409, "busy")


def test_a_key_made_elsewhere_is_certified(web: Web, officer: httpx.Client) -> None:
    web.enrolled("issue-1")
    csr = make_csr(new_key(), "issue-1")
    answer = officer.post(f"{API}/devices/issue-1/certificates", json={"csr": csr})
    assert answer.status_code == 201
    assert answer.json()["certificate"].startswith("-----BEGIN CERTIFICATE-----")


def test_a_request_for_another_name_is_refused(web: Web, officer: httpx.Client) -> None:
    web.enrolled("issue-2")
    csr = make_csr(new_key(), "issue-3")
    answer = officer.post(f"{API}/devices/issue-2/certificates", json={"csr": csr})
    assert problem(answer) == (400, "wrong_subject")


@pytest.mark.parametrize(
    "path", ["devices/no-such-device", "certificates/" + "0" * 64, "devices/page-1/rotations/none", "nothing"]
)
def test_what_does_not_exist_is_not_found(officer: httpx.Client, path: str) -> None:
    assert problem(officer.get(f"{API}/{path}")) == (404, "not_found")


def test_what_cannot_be_done_to_a_thing_is_no_method(officer: httpx.Client) -> None:
    assert problem(officer.put(f"{API}/devices/page-1")) == (405, "method_not_allowed")


def test_where_a_body_stops_being_json_is_told(officer: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    refused = officer.post(f"{API}/devices/page-1/suspend", content='{"reason": }', headers=headers)
    assert problem(refused) == (422, "bad_message")
    assert refused.json()["detail"] == "the body is no JSON: Expecting value, at character 11"


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}])
def test_a_body_has_to_be_declared_to_be_json(officer: httpx.Client, headers: dict[str, str]) -> None:
    refused = officer.post(f"{API}/devices/page-1/suspend", content="{}", headers=headers)
    assert problem(refused) == (415, "unsupported_media_type")
    assert refused.json()["detail"] == "send Content-Type: application/json"


def test_hints_are_for_programs_and_name_no_commands(officer: httpx.Client) -> None:
    assert "hint" not in officer.patch(f"{API}/batches/nothing", json={}).json()
    refused = officer.post(f"{API}/authorities/bootstrap", json={"name": "No_name"}).json()
    assert refused["hint"] == "use 1 to 32 of a-z 0-9 -"


def test_the_audit_chain_is_listed_and_verified(officer: httpx.Client) -> None:
    newest = officer.get(f"{API}/audit", params={"limit": 2}).json()["items"]
    assert newest[0]["seq"] == newest[1]["seq"] + 1
    assert officer.get(f"{API}/audit/verification").json()["entries"] >= newest[0]["seq"]


def test_the_chain_is_exported_so_that_it_can_be_verified_elsewhere(
    officer: httpx.Client, tmp_path: Path
) -> None:
    exported = officer.get(f"{API}/audit/export")
    assert exported.headers["content-type"] == "application/x-ndjson"
    file = tmp_path / "audit.jsonl"
    file.write_text(exported.text)
    first, head = verify_file(file)
    assert first == 1
    assert officer.get(f"{API}/audit/verification", params={"head": str(head)}).status_code == 200
    forged = f"{head.seq}:{'0' * 64}"
    assert problem(officer.get(f"{API}/audit/verification", params={"head": forged}))[0] == 409


def test_an_export_that_nobody_reads_holds_no_database_open(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetpki.web.api.audit._AT_A_TIME", 2)
    lines = exported(web.ctx, None)
    next(lines)
    with web.ctx.transaction("test", "test", "test") as tx:
        tx.audit("noted", "while somebody exports")
    with sqlite3.connect(web.fleet.layout.registry) as database:
        [(is_busy, *_)] = database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert not is_busy
    rest = [json.loads(line) for each in lines for line in each.splitlines()]
    assert [entry["seq"] for entry in rest] == list(range(3, 3 + len(rest)))
    assert rest[-1]["subject"] == "while somebody exports"


def test_a_change_needs_the_version_it_is_a_change_of(web: Web, officer: httpx.Client) -> None:
    web.enrolled("grouped-1")
    path = f"{API}/devices/grouped-1"
    etag = officer.get(path).headers["etag"]
    assert problem(officer.patch(path, json={"group": "north"}))[0] == 428
    changed = officer.patch(path, json={"group": "north", "tags": {"line": "3"}}, headers={"If-Match": etag})
    assert (changed.json()["group"], changed.json()["tags"]) == ("north", {"line": "3"})
    late = officer.patch(path, json={"group": "south"}, headers={"If-Match": etag})
    assert problem(late) == (412, "stale")
    found = officer.get(f"{API}/devices", params={"group": "north", "tag": "line:3"}).json()["items"]
    assert [device["device_id"] for device in found] == ["grouped-1"]


def test_a_suspended_device_is_out_until_it_is_resumed(web: Web, officer: httpx.Client) -> None:
    enrolled = web.enrolled("suspend-1")
    admitted = partial(verdict, web.ctx, certificate_id=enrolled.certificate_id, client_id="suspend-1")
    assert officer.post(f"{API}/devices/suspend-1/suspend", json={}).json()["state"] == "suspended"
    assert not admitted().allow
    assert officer.post(f"{API}/devices/suspend-1/resume").json()["state"] == "active"
    assert admitted().allow


def test_a_campaign_is_begun_paused_resumed_and_cancelled(web: Web, officer: httpx.Client) -> None:
    web.enrolled("campaign-1")
    body = {"selector": {"device_ids": ["campaign-1"]}, "reason": "yearly"}
    begun = officer.post(f"{API}/campaigns", json=body)
    assert begun.status_code == 201
    assert begun.json()["progress"]["waiting"] == 1
    path = f"{API}/campaigns/{begun.json()['campaign_id']}"
    states = [officer.post(f"{path}/{step}").json()["state"] for step in ("pause", "resume", "cancel")]
    assert states == ["paused", "running", "cancelled"]
    assert problem(officer.post(f"{path}/resume"))[0] == 409


def test_a_campaign_for_a_list_of_no_devices_is_not_one_for_all(officer: httpx.Client) -> None:
    before = officer.get(f"{API}/campaigns").json()["items"]
    refusal = officer.post(f"{API}/campaigns", json={"selector": {"device_ids": []}})
    assert refusal.status_code == 422
    assert officer.get(f"{API}/campaigns").json()["items"] == before


def test_a_campaign_for_the_whole_fleet_is_asked_for_in_so_many_words(officer: httpx.Client) -> None:
    begun = officer.post(f"{API}/campaigns", json={"selector": {"all": True}})
    assert begun.json()["progress"]["waiting"] >= 7
    officer.post(f"{API}/campaigns/{begun.json()['campaign_id']}/cancel")


@pytest.mark.parametrize(
    "selector", [{}, {"all": False}, {"tags": {}}, {"group": None}, {"all": True, "group": "north"}]
)
def test_a_campaign_for_nobody_in_particular_is_not_begun(
    officer: httpx.Client, selector: dict[str, Any]
) -> None:
    refused = officer.post(f"{API}/campaigns", json={"selector": selector})
    assert problem(refused) == (422, "bad_message")
    assert "`all`" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body", "unknown"),
    [
        ("POST", "devices/page-1/revoke", {"certificate_id": "deadbeef"}, "certificate_id"),
        ("PATCH", "batches/bootstrap-1", {"opne": False}, "opne"),
        ("POST", "devices/page-1/rotations", {"keytype": "rsa-2048"}, "keytype"),
        ("POST", "campaigns", {"selector": {"grup": "north"}}, "selector.grup"),
        ("POST", "allow-list", [{"device_id": "typo-1", "grup": "north"}], "0.grup"),
    ],
)
def test_a_field_nobody_knows_is_refused_by_its_name(
    officer: httpx.Client, method: str, path: str, body: object, unknown: str
) -> None:
    refused = officer.request(method, f"{API}/{path}", json=body)
    assert problem(refused) == (422, "bad_message")
    assert refused.json()["detail"] == f"body.{unknown}: there is no such field"


def test_what_was_refused_for_a_typo_changed_nothing(officer: httpx.Client) -> None:
    officer.post(f"{API}/devices/page-1/revoke", json={"certificate_id": "deadbeef"})
    assert officer.get(f"{API}/devices/page-1").json()["state"] == "active"


@pytest.mark.parametrize(("path", "there"), [("devices", "state"), ("certificates", "device_id")])
def test_a_parameter_nobody_knows_is_refused_with_those_there_are(
    officer: httpx.Client, path: str, there: str
) -> None:
    refused = officer.get(f"{API}/{path}", params={"stat": "revoked"})
    assert problem(refused) == (422, "bad_message")
    assert refused.json()["detail"].startswith("query.stat: there is no such parameter, only: after, limit,")
    assert there in refused.json()["detail"]


def test_where_nothing_can_be_asked_every_parameter_is_refused(officer: httpx.Client) -> None:
    refused = officer.post(f"{API}/devices/page-1/resume", params={"reason": "repaired"})
    assert refused.json()["detail"] == "query.reason: there is no such parameter, only: none"


def test_a_batch_decides_who_may_enrol(officer: httpx.Client) -> None:
    made = officer.post(f"{API}/batches", json={"name": "autumn", "budget": 10})
    assert (made.status_code, made.json()["open"]) == (201, False)
    changed = officer.patch(f"{API}/batches/autumn", json={"enabled": False})
    assert (changed.json()["enabled"], changed.json()["budget"]) == (False, 10)
    assert officer.patch(f"{API}/batches/autumn", json={"budget": None}).json()["budget"] is None
    assert problem(officer.patch(f"{API}/batches/autumn", json={"open": None})) == (422, "bad_message")


def test_the_allow_list_is_filled_and_emptied(officer: httpx.Client) -> None:
    line = {"device_id": "allowed-1", "group": "north"}
    assert officer.post(f"{API}/allow-list", json=[line]).json() == {"changed": 1}
    assert officer.post(f"{API}/allow-list", json=[line]).json() == {"changed": 0}
    listed = officer.get(f"{API}/allow-list").json()["items"]
    assert [each["device_id"] for each in listed] == ["allowed-1"]
    assert officer.delete(f"{API}/allow-list/allowed-1").json() == {"changed": 1}


def test_authorities_and_their_lists_are_shown_and_signed_anew(officer: httpx.Client) -> None:
    found = officer.get(f"{API}/authorities").json()
    assert {each["kind"] for each in found} == {"root", "issuing", "bootstrap"}
    name = next(each["name"] for each in found if each["kind"] == "issuing")
    first, second = (officer.post(f"{API}/authorities/{name}/revocation-lists").json()[0] for _ in range(2))
    assert second["number"] > first["number"]
    assert problem(officer.post(f"{API}/authorities/{name}/retire"))[0] == 409
    assert "key_uri" not in officer.get(f"{API}/authorities/{name}").text


def test_a_new_authority_is_requested_here_and_certified_elsewhere(officer: httpx.Client) -> None:
    asked = officer.post(f"{API}/authorities/requests", json={"name": "issuing-2", "hosts": ["x.example"]})
    assert asked.json()["csr"].startswith("-----BEGIN CERTIFICATE REQUEST-----")
    certificate = {"certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}
    refused = officer.post(f"{API}/authorities/issuing-2/installation", json=certificate)
    assert refused.status_code in (400, 409, 422)
    made = officer.post(f"{API}/authorities/bootstrap", json={"name": "autumn-ca"})
    assert (made.status_code, made.json()["kind"]) == (201, "bootstrap")


def test_prometheus_shows_a_token_and_gets_the_metrics(web: Web, officer: httpx.Client) -> None:
    assert "fleetpki_" in officer.get("/metrics").text
    with web.api() as stranger:
        assert stranger.get("/metrics").status_code == 401
        assert stranger.get("/health").json() == {"status": "ok"}


def test_health_tells_what_is_wrong(officer: httpx.Client) -> None:
    health = officer.get(f"{API}/health").json()
    broker = next(each for each in health["findings"] if each["check"] == "broker")
    assert broker["level"] == "critical"  # none runs here
    assert health["level"] == "critical"


def test_a_token_made_by_the_api_works_until_it_is_revoked(web: Web, officer: httpx.Client) -> None:
    made = officer.post(f"{API}/tokens", json={"name": "ci", "role": "viewer"}).json()
    with web.client("api", headers={"Authorization": f"Bearer {made['token']}"}) as client:
        assert client.get(f"{API}/devices").status_code == 200
        assert officer.delete(f"{API}/tokens/ci").status_code == 204
        assert problem(client.get(f"{API}/devices"))[0] == 401
    assert made["token"] not in officer.get(f"{API}/tokens").text


def test_a_factory_elsewhere_gets_bootstrap_certificates(web: Web, officer: httpx.Client) -> None:
    path, asked = f"{API}/batches/bootstrap-1/certificates", {"common_name": "remote-1"}
    asked["csr"] = make_csr(new_key(), "remote-1")
    made = officer.post(path, json=asked).json()
    assert officer.post(path, json=asked).json() == made
    assert verdict(web.ctx, certificate_id=made["certificate_id"], client_id="remote-1").role == "bootstrap"
    assert problem(officer.post(path, json={**asked, "common_name": "remote-2"})) == (400, "wrong_subject")
    assert problem(officer.post(f"{API}/batches/nothing/certificates", json=asked))[0] == 404


@pytest.mark.parametrize("own", ["broker", "service", "operator"])
def test_the_cloud_s_own_certificates_are_renewed(web: Web, officer: httpx.Client, own: str) -> None:
    renewed = officer.post(f"{API}/own-certificates/{own}/renewal")
    assert renewed.status_code == 201
    folder = web.fleet.layout.broker if own == "broker" else web.fleet.layout.services
    pem = (folder / f"{own}.crt").read_bytes()
    assert certificate_id(x509.load_pem_x509_certificate(pem)) == renewed.json()["certificate_id"]


@pytest.fixture(scope="module")
def root(web: Web) -> Root:
    """The root, as it is opened where its key is."""
    key = load_pem_private_key((web.workspace / "root" / "root.key").read_bytes(), PASSPHRASE)
    assert isinstance(key, EllipticCurvePrivateKey)
    return load(web.workspace / "root", key)


def test_a_root_s_list_is_installed_and_no_older_one_after_it(
    web: Web, root: Root, officer: httpx.Client
) -> None:
    earlier, now = ({"crl": b64encode(root.revocation_list(at)).decode()} for at in (START, utc_now()))
    path = f"{API}/roots/revocation-lists"
    installed = officer.post(path, json=now).json()
    assert officer.post(path, json=now).json() == installed
    assert problem(officer.post(path, json=earlier)) == (409, "stale")
    assert problem(officer.post(path, json={"crl": b64encode(b"no list").decode()}))[0] == 422


def test_a_root_is_made_known(web: Web, officer: httpx.Client) -> None:
    other = make_hierarchy(hosts=["other.example"], now=utc_now()).root.certificate_pem
    made = officer.post(f"{API}/roots", json={"name": "root-2", "certificate": other})
    assert (made.status_code, made.json()["kind"]) == (201, "root")


def test_a_trust_update_is_sent_once(web: Web, officer: httpx.Client) -> None:
    body = {"version": 1, "anchors": [web.anchors.read_text()], "signature": "AAAA"}
    assert officer.post(f"{API}/trust-updates", json=body).json() == {"version": 1}
    assert problem(officer.post(f"{API}/trust-updates", json=body)) == (409, "stale")


def test_all_times_end_with_z(web: Web, officer: httpx.Client) -> None:
    web.enrolled("clock-1")
    officer.post(f"{API}/devices/clock-1/allow-reenrollment", json={})
    officer.post(f"{API}/devices/clock-1/rotations", json={"deadline": "2099-01-01T00:00:00+01:00"})
    officer.post(f"{API}/tokens", json={"name": "clock", "role": "viewer", "days": 1})
    lists = (
        "audit/export",
        "audit",
        "devices",
        "certificates",
        "rotations",
        "tokens",
        "authorities",
        "batches",
    )
    answers = [officer.get(f"{API}/{path}").text for path in lists]
    assert all('Z"' in answer for answer in answers)
    assert [answer for answer in answers if "+00:00" in answer] == []


def test_what_the_ca_officer_does_nobody_else_may(web: Web) -> None:
    with web.api(ApiRole.OPERATOR) as operator:
        for path in (
            "roots",
            "roots/revocation-lists",
            "trust-updates",
            "own-certificates/broker/renewal",
            "batches/bootstrap-1/certificates",
            "people",
        ):
            assert problem(operator.post(f"{API}/{path}", json={}))[0] == 403
