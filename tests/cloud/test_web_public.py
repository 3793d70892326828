# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What everybody may read: revocation lists, OCSP and CA certificates; openssl is the relying party."""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from cryptography.x509.ocsp import OCSPCertStatus, load_der_ocsp_response

from fleetpki import lifecycle
from fleetpki.lifecycle import revocation_lists
from fleetpki.web import ocsp
from tests.cloud.broker_fixtures import PATIENCE_S, Identity
from tests.cloud.web_fixtures import Web, running_web

ISSUING = "fleetpki-issuing-ca"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running_web(tmp_path_factory.mktemp("public"), "public") as web:
        revocation_lists.publish_due(web.ctx)
        yield web


@pytest.fixture(scope="module")
def client(web: Web) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=web.url("public"), timeout=PATIENCE_S) as client:
        yield client


@pytest.fixture(scope="module")
def issuing(web: Web) -> str:
    """The name of the issuing authority."""
    with web.ctx.sessions() as session:
        return lifecycle.authorities.active(session).name


def openssl(*args: str | Path, data: bytes = b"") -> str:
    done = subprocess.run(["openssl", *args], input=data, capture_output=True, check=True)
    return (done.stdout + done.stderr).decode()


def ask_ocsp(web: Web, identity: Identity, *more: str) -> str:
    """What openssl makes of the answer, after it has verified it."""
    issuer = web.fleet.layout.ca / "issuing.crt"
    asked: list[str | Path] = ["-issuer", issuer, "-cert", identity.certificate]
    trusted: list[str | Path] = ["-CAfile", web.anchors, "-verify_other", issuer]
    return openssl("ocsp", *asked, *trusted, "-url", web.url("public") + "/ocsp", *more)


def test_a_revocation_list_names_a_revoked_certificate(web: Web, client: httpx.Client, issuing: str) -> None:
    device = web.device("listed-1")
    lifecycle.revoke_certificate(web.ctx, device.certificate_id, "lost")
    revocation_lists.publish(web.ctx, None)
    answer = client.get(f"/crl/{issuing}/0.crl")
    assert answer.headers["content-type"] == "application/pkix-crl"
    text = openssl("crl", "-inform", "DER", "-noout", "-text", data=answer.content)
    serial = web.certificates("listed-1")[0].serial
    assert f"{int(serial, 16):X}" in text.replace(":", "").upper()


def test_caches_are_told_how_long_a_list_is_good(client: httpx.Client, issuing: str) -> None:
    first = client.get(f"/crl/{issuing}/0.crl")
    assert "public" in first.headers["cache-control"]
    assert first.headers["expires"].endswith("GMT")
    assert first.headers["last-modified"].endswith("GMT")
    again = client.get(f"/crl/{issuing}/0.crl", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("known", ["{}", '"another", {}', "W/{}", '"another",W/{} , "third"', "*"])
def test_who_has_a_list_already_is_told_so(client: httpx.Client, issuing: str, known: str) -> None:
    etag = client.get(f"/crl/{issuing}/0.crl").headers["etag"]
    again = client.get(f"/crl/{issuing}/0.crl", headers={"If-None-Match": known.format(etag)})
    assert (again.status_code, again.headers["etag"]) == (304, etag)


@pytest.mark.parametrize("known", ["", '"another"', "another", 'W/"another", *'])
def test_who_has_something_else_gets_the_list(client: httpx.Client, issuing: str, known: str) -> None:
    again = client.get(f"/crl/{issuing}/0.crl", headers={"If-None-Match": known})
    assert again.status_code == 200


def test_what_is_not_there_is_not_there_whatever_one_has(client: httpx.Client) -> None:
    assert client.get("/crl/nobody/0.crl", headers={"If-None-Match": "*"}).status_code == 404


def test_a_ca_certificate_is_found(web: Web, client: httpx.Client, issuing: str) -> None:
    answer = client.get(f"/ca/{issuing}.crt")
    assert answer.headers["content-type"] == "application/pkix-cert"
    subject = openssl("x509", "-inform", "DER", "-noout", "-subject", data=answer.content)
    assert "issuing CA" in subject


def test_openssl_is_told_good_and_revoked(web: Web) -> None:
    device = web.device("asked-1")
    assert ": good" in ask_ocsp(web, device)
    lifecycle.revoke_certificate(web.ctx, device.certificate_id, "lost")
    assert ": revoked" in ask_ocsp(web, device)


def test_the_same_question_by_get_may_be_cached(web: Web, client: httpx.Client) -> None:
    device = web.device("asked-2")
    path = web.workspace / "request.der"
    ask_ocsp(web, device, "-no_nonce", "-reqout", str(path))
    question = quote(base64.b64encode(path.read_bytes()).decode(), safe="")
    answer = client.get(f"/ocsp/{question}")
    assert answer.headers["content-type"] == "application/ocsp-response"
    assert "max-age" in answer.headers["cache-control"]
    posted = client.post(
        "/ocsp", content=path.read_bytes(), headers={"Content-Type": "application/ocsp-request"}
    )
    assert posted.content == answer.content


@pytest.mark.parametrize(
    "media_type", ["Application/OCSP-Request", "application/ocsp-request; charset=binary"]
)
def test_a_question_is_known_by_its_media_type(web: Web, client: httpx.Client, media_type: str) -> None:
    answer = client.post("/ocsp", content=b"", headers={"Content-Type": media_type})
    assert (answer.status_code, answer.headers["content-type"]) == (200, ocsp.RESPONSE)


def test_a_posted_question_is_answered_whatever_one_has(web: Web, client: httpx.Client) -> None:
    device = web.device("asked-5")
    path = web.workspace / "posted.der"
    ask_ocsp(web, device, "-no_nonce", "-reqout", str(path))
    headers = {"Content-Type": ocsp.REQUEST}
    first = client.post("/ocsp", content=path.read_bytes(), headers=headers)
    headers["If-None-Match"] = first.headers["etag"]
    assert client.post("/ocsp", content=path.read_bytes(), headers=headers).status_code == 200


def test_an_answer_is_kept_for_a_second(web: Web) -> None:
    device = web.device("asked-3")
    path = web.workspace / "kept.der"
    ask_ocsp(web, device, "-no_nonce", "-reqout", str(path))
    question, now = path.read_bytes(), 0.0
    responder = ocsp.Responder(web.ctx, lambda: now)
    good = responder.answer(question)
    lifecycle.revoke_certificate(web.ctx, device.certificate_id, "lost")
    assert responder.kept(question) is good
    now = ocsp.FRESH_S
    assert responder.kept(question) is None
    revoked = load_der_ocsp_response(bytes(responder.answer(question).body))
    assert revoked.certificate_status is OCSPCertStatus.REVOKED


def test_an_answer_to_a_nonce_is_nobody_elses(web: Web) -> None:
    device = web.device("asked-4")
    path = web.workspace / "nonce.der"
    ask_ocsp(web, device, "-nonce", "-reqout", str(path))
    responder = ocsp.Responder(web.ctx)
    assert responder.answer(path.read_bytes()).headers["cache-control"] == "no-store"
    assert responder.kept(path.read_bytes()) is None


@pytest.mark.parametrize("question", ["", "%00", "AAAA", "not base64!", "A" * 3000])
def test_nonsense_is_answered_as_such(client: httpx.Client, question: str) -> None:
    answer = client.get("/ocsp/" + quote(question, safe="%"))
    assert answer.status_code == 200
    command = ["openssl", "ocsp", "-respin", "/dev/stdin", "-noverify"]
    said = subprocess.run(command, input=answer.content, capture_output=True, check=False)
    assert b"malformedrequest" in said.stdout + said.stderr


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/crl/nobody/0.crl",
        "/crl/../../fleet.toml",
        "/crl/%2e%2e%2ffleet/0.crl",
        "/ca/..%2f..%2fca%2fissuing.crt",
        "/ca/issuing.key",
        "/crl/x/99999999999999999999.crl",
        "/api/v1/devices",
    ],
)
def test_nothing_else_is_here(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
def test_nobody_writes(client: httpx.Client, issuing: str, method: str) -> None:
    assert client.request(method, f"/crl/{issuing}/0.crl").status_code == 405
