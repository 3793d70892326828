# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What EST refuses, and how: with a status and a code, an audit entry, and nothing half-done."""

import base64
from collections.abc import Iterator

import httpx
import pytest

from fleetpki import lifecycle
from fleetpki.lifecycle import authorities, batches, ceremony, quarantine
from fleetpki.lifecycle.own_certificates import certify_bootstrap
from fleetpki.pki.hierarchy import make_hierarchy
from fleetpki.pki.keys import KeyType
from fleetpki.registry import pages
from fleetpki.registry.database import reading
from fleetpki.registry.models import AuthorityKind
from fleetpki.web.tls import refresh
from tests.cloud.broker_fixtures import Identity
from tests.cloud.doubles import make_csr, new_key
from tests.cloud.web_fixtures import Web, running_web

EST = "/.well-known/est"
PKCS10 = {"Content-Type": "application/pkcs10"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running_web(tmp_path_factory.mktemp("est"), "est") as web:
        yield web


@pytest.fixture(scope="module")
def claimant(web: Web) -> Iterator[httpx.Client]:
    """Whoever holds the bootstrap certificate."""
    with web.client("est", web.bootstrap, headers=PKCS10) as client:
        yield client


def request(*names: str, key_type: KeyType = KeyType.EC_P256) -> bytes:
    """A certification request as EST wants it."""
    pem = make_csr(new_key(key_type), *names)
    return "".join(pem.splitlines()[1:-1]).encode()


def told(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.status_code, answer.text.partition(":")[0]


def unknown(web: Web, device_id: str) -> bool:
    return web.certificates(device_id) == []


@pytest.mark.parametrize("operation", ["simpleenroll", "simplereenroll", "serverkeygen"])
def test_without_a_certificate_nothing_is_signed(web: Web, operation: str) -> None:
    with web.client("est", headers=PKCS10) as nobody:
        assert told(nobody.post(f"{EST}/{operation}", content=request("stranger-1"))) == (403, "not_allowed")
    assert unknown(web, "stranger-1")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bad_csr"),
        (b"!!!!", "bad_csr"),
        (base64.b64encode(b"no request"), "bad_csr"),
        (base64.b64encode(b"\x30\x84\xff\xff\xff\xff"), "bad_csr"),
        (request(), "wrong_subject"),
        (request("two-names-1", "two-names-2"), "wrong_subject"),
        (request("no spaces"), "bad_message"),
        (request("../../etc/passwd"), "bad_message"),
        (request("line\r\nbreak: x"), "bad_message"),
        (request("p384-key-1", key_type=KeyType.EC_P384)[:-8], "bad_csr"),
    ],
)
def test_a_request_that_is_none_is_told_why(claimant: httpx.Client, body: bytes, code: str) -> None:
    assert told(claimant.post(f"{EST}/simpleenroll", content=body)) == (400, code)


def test_a_body_that_is_too_long_is_not_read(claimant: httpx.Client) -> None:
    assert claimant.post(f"{EST}/simpleenroll", content=b"A" * 20_000).status_code == 413


def test_another_media_type_is_not_guessed_at(claimant: httpx.Client) -> None:
    answer = claimant.post(
        f"{EST}/simpleenroll", content=request("media-1"), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 415


@pytest.mark.parametrize("path", ["", "/", "/fullcmc", "/../../fleet.toml", "/%2e%2e/ca/issuing.key"])
def test_nothing_else_is_here(claimant: httpx.Client, path: str) -> None:
    assert claimant.get(EST + path).status_code == 404


def test_operations_have_their_method(claimant: httpx.Client) -> None:
    assert claimant.get(f"{EST}/simpleenroll").status_code == 405
    assert claimant.post(f"{EST}/cacerts", content=b"").status_code == 405


def test_a_device_s_certificate_enrols_nobody(web: Web) -> None:
    with web.client("est", web.device("inside-1"), headers=PKCS10) as inside:
        assert told(inside.post(f"{EST}/simpleenroll", content=request("inside-2")))[1] == "not_allowed"
    assert unknown(web, "inside-2")
    assert "enroll.refused" in [action for _, action in web.audited("inside-2")]


def test_a_device_renews_itself_only(web: Web) -> None:
    web.device("victim-1")
    with web.client("est", web.device("attacker-1"), headers=PKCS10) as attacker:
        answer = attacker.post(f"{EST}/simplereenroll", content=request("victim-1"))
    assert told(answer) == (400, "wrong_subject")
    assert len(web.certificates("victim-1")) == 1


@pytest.mark.parametrize("who", ["bootstrap", "operator", "service"])
def test_only_devices_renew(web: Web, who: str) -> None:
    with web.client("est", getattr(web, who), headers=PKCS10) as client:
        answer = client.post(f"{EST}/simplereenroll", content=request("renews-1"))
    assert told(answer) == (403, "not_allowed")


def test_a_key_that_another_device_has_is_refused(web: Web, claimant: httpx.Client) -> None:
    key = new_key()
    web.enrolled("original-1", key)
    copy = "".join(make_csr(key, "copy-1").splitlines()[1:-1]).encode()
    assert told(claimant.post(f"{EST}/simpleenroll", content=copy)) == (400, "weak_key")


def test_a_claim_to_be_a_device_at_work_waits_for_a_human(web: Web, claimant: httpx.Client) -> None:
    web.enrolled("at-work-1")
    claim = request("at-work-1")
    answer = claimant.post(f"{EST}/simpleenroll", content=claim)
    assert answer.status_code == 202
    assert int(answer.headers["retry-after"]) > 0
    with reading(web.ctx.sessions) as session:
        (waiting,) = pages.claims(session, after=None, limit=10).rows
    quarantine.approve_claim(web.ctx, waiting.id)
    assert claimant.post(f"{EST}/simpleenroll", content=claim).status_code == 200


def test_a_revoked_device_is_out(web: Web, claimant: httpx.Client) -> None:
    identity = web.device("revoked-1")
    lifecycle.revoke_device(web.ctx, "revoked-1", "stolen")
    with web.client("est", identity, headers=PKCS10) as revoked:
        assert told(revoked.post(f"{EST}/simplereenroll", content=request("revoked-1"))) == (403, "revoked")
    assert told(claimant.post(f"{EST}/simpleenroll", content=request("revoked-1"))) == (403, "revoked")


def test_a_foreign_authority_s_certificate_does_not_pass_the_handshake(web: Web) -> None:
    foreign = make_hierarchy(hosts=["x"], now=web.ctx.clock()).operator
    identity: Identity = web.identity("foreign", foreign.full_chain_pem, foreign.key)
    with web.client("est", identity) as client, pytest.raises(httpx.TransportError):
        client.get(f"{EST}/cacerts")


def test_a_new_authority_is_trusted_without_a_restart(web: Web) -> None:
    ceremony.create_bootstrap_authority(web.ctx, "autumn-ca")
    key = new_key()
    certificate = certify_bootstrap(
        web.ctx, common_name="autumn", public_key=key.public_key(), batch="bootstrap-1", authority="autumn-ca"
    )
    identity = web.identity("autumn", certificate.signed_pem, key)
    with web.client("est", identity) as client, pytest.raises(httpx.TransportError):
        client.get(f"{EST}/cacerts")
    refresh(web.tls, web.fleet.layout, authorities.anchors(web.ctx, AuthorityKind.BOOTSTRAP))
    with web.client("est", identity, headers=PKCS10) as client:
        assert client.post(f"{EST}/simpleenroll", content=request("autumn-1")).status_code == 200


def test_keys_are_made_here_only_where_the_batch_says_so(web: Web, claimant: httpx.Client) -> None:
    assert told(claimant.post(f"{EST}/serverkeygen", content=request("keyless-1"))) == (403, "not_allowed")
    batches.change_batch(web.ctx, "bootstrap-1", {"cloud_keys": True})
    answer = claimant.post(f"{EST}/serverkeygen", content=request("keyless-1"))
    assert answer.headers["content-type"].startswith("multipart/mixed; boundary=")
    assert answer.text.index("application/pkcs8") < answer.text.index("smime-type=certs-only")
    assert len(web.certificates("keyless-1")) == 1
