# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""EST as devices use it: curl makes the connections, openssl the requests, and reads the answers."""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

from fleetpki.lifecycle import KeyRequest, change_batch, start_rotation
from fleetpki.pki.identifiers import certificate_id
from fleetpki.pki.issuer import to_pem
from fleetpki.registry.models import CertificateState
from tests.cloud.broker_fixtures import Identity
from tests.cloud.web_fixtures import Web, running_web

EST = "/.well-known/est"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running_web(tmp_path_factory.mktemp("est"), "est") as web:
        yield web


def openssl(*args: str | Path, data: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *args], input=data, capture_output=True, check=True).stdout


def make_request(web: Web, device_id: str, key: str = "key") -> tuple[Path, bytes]:
    """A new key and a request for it, in the form EST wants."""
    path = web.workspace / f"{device_id}-{key}.key"
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    der = openssl("req", "-new", "-key", path, "-subj", f"/CN={device_id}", "-outform", "DER")
    return path, base64.b64encode(der)


def post(web: Web, operation: str, identity: Identity | None, body: bytes, *more: str) -> bytes:
    return web.curl(
        identity,
        *("-X", "POST", "-H", "Content-Type: application/pkcs10", "--data-binary", "@-", *more),
        f"{web.url('est')}{EST}/{operation}",
        data=body,
    )


def certificates_in(answer: bytes) -> list[x509.Certificate]:
    """What openssl finds in a certs-only answer."""
    der = openssl("base64", "-d", data=answer)
    pem = openssl("pkcs7", "-inform", "DER", "-print_certs", data=der)
    return x509.load_pem_x509_certificates(pem)


def enroll(web: Web, device_id: str) -> Identity:
    key, request = make_request(web, device_id)
    (certificate,) = certificates_in(post(web, "simpleenroll", web.bootstrap, request))
    return with_chain(web, certificate, key, f"{device_id}-1")


def with_chain(web: Web, certificate: x509.Certificate, key: Path, name: str) -> Identity:
    """A device's identity: the certificate, with the issuing CA as /cacerts gives it."""
    chain = "".join(map(to_pem, certificates_in(web.curl(None, f"{web.url('est')}{EST}/cacerts"))))
    path = web.workspace / f"{name}.crt"
    path.write_text(to_pem(certificate) + chain)
    return Identity(path, key)


def test_anybody_gets_the_ca_certificates_and_they_verify_a_device(web: Web) -> None:
    found = certificates_in(web.curl(None, f"{web.url('est')}{EST}/cacerts"))
    assert sorted(each.subject.rfc4514_string() for each in found) == [
        "CN=fleetpki issuing CA",
        "CN=fleetpki root CA",
    ]


def test_the_answer_has_the_media_types_of_the_standard(web: Web) -> None:
    with web.client("est", web.bootstrap) as client:
        authorities = client.get(f"{EST}/cacerts")
        wanted = client.get(f"{EST}/csrattrs")
        _, request = make_request(web, "media-types")
        enrolled = client.post(
            f"{EST}/simpleenroll", content=request, headers={"Content-Type": "application/pkcs10"}
        )
    assert authorities.headers["content-type"] == "application/pkcs7-mime"
    assert wanted.headers["content-type"] == "application/csrattrs"
    assert enrolled.headers["content-type"] == "application/pkcs7-mime; smime-type=certs-only"


def test_the_wanted_attributes_are_readable(web: Web) -> None:
    der = base64.b64decode(web.curl(None, f"{web.url('est')}{EST}/csrattrs"))
    text = openssl("asn1parse", "-inform", "DER", data=der).decode()
    assert [line.rpartition(":")[2] for line in text.splitlines() if "OBJECT" in line] == [
        "id-ecPublicKey",
        "prime256v1",
        "ecdsa-with-SHA256",
    ]


def test_a_device_enrols_with_the_bootstrap_certificate(web: Web) -> None:
    identity = enroll(web, "sensor-1")
    (row,) = web.certificates("sensor-1")
    assert (row.certificate_id, row.state) == (identity.certificate_id, CertificateState.ISSUED)
    openssl("verify", "-CAfile", web.anchors, "-untrusted", identity.certificate, identity.certificate)


def test_the_first_connection_activates_the_certificate(web: Web) -> None:
    identity = enroll(web, "sensor-2")
    web.curl(identity, f"{web.url('est')}{EST}/cacerts")
    assert web.state(identity.certificate_id) == CertificateState.ACTIVE


def test_the_same_request_gets_the_same_certificate_again(web: Web) -> None:
    _, request = make_request(web, "sensor-3")
    first = certificates_in(post(web, "simpleenroll", web.bootstrap, request))
    again = certificates_in(post(web, "simpleenroll", web.bootstrap, request))
    assert first == again
    assert len(web.certificates("sensor-3")) == 1


def test_white_space_in_a_request_does_not_matter(web: Web) -> None:
    _, request = make_request(web, "sensor-4")
    body = b"\r\n" + b"\r\n ".join(request[at : at + 40] for at in range(0, len(request), 40)) + b"\n"
    assert len(certificates_in(post(web, "simpleenroll", web.bootstrap, body))) == 1


def test_a_device_renews_and_both_certificates_work_until_the_new_one_is_used(web: Web) -> None:
    old = enroll(web, "sensor-5")
    key, request = make_request(web, "sensor-5", "second")
    (certificate,) = certificates_in(post(web, "simplereenroll", old, request))
    new = with_chain(web, certificate, key, "sensor-5-2")
    assert (web.state(old.certificate_id), web.state(new.certificate_id)) == ("active", "issued")
    assert certificates_in(post(web, "simplereenroll", old, request)) == [certificate]
    web.curl(new, f"{web.url('est')}{EST}/cacerts")
    assert (web.state(old.certificate_id), web.state(new.certificate_id)) == ("superseded", "active")
    assert post(web, "simplereenroll", old, make_request(web, "sensor-5", "third")[1]).startswith(b"stale:")


def test_a_rotation_the_operator_asked_for_is_met_by_a_renewal(web: Web) -> None:
    old = web.device("sensor-6")
    start_rotation(web.ctx, "sensor-6", key=KeyRequest.EC_P256)
    _, request = make_request(web, "sensor-6")
    (certificate,) = certificates_in(post(web, "simplereenroll", old, request))
    assert web.state(certificate_id(certificate)) == CertificateState.ISSUED


def test_the_answer_is_pkcs7_to_others_too(web: Web) -> None:
    _, request = make_request(web, "sensor-7")
    der = base64.b64decode(post(web, "simpleenroll", web.bootstrap, request))
    assert len(pkcs7.load_der_pkcs7_certificates(der)) == 1


SECRET = bytes(range(32))


@pytest.fixture
def proving(web: Web) -> Iterator[None]:
    """The batch asks its devices to prove their factory secrets."""
    path = web.fleet.layout.bootstrap / "bootstrap-1.secret"
    path.write_text(SECRET.hex())
    change_batch(web.ctx, "bootstrap-1", {"proof": True})
    yield
    change_batch(web.ctx, "bootstrap-1", {"proof": False})
    path.unlink()


def proof_of(device_id: str, request: bytes) -> str:
    """The header, computed by openssl from the request in PEM."""
    pem = openssl("req", "-inform", "DER", data=base64.b64decode(request))
    derived = openssl(*HMAC, f"hexkey:{SECRET.hex()}", data=f"fleetpki-device-secret\n{device_id}".encode())
    text = f"fleetpki-enroll\n{device_id}\n".encode() + pem
    return (
        "FleetPKI-Proof: " + base64.b64encode(openssl(*HMAC, f"hexkey:{derived.hex()}", data=text)).decode()
    )


HMAC = ("dgst", "-sha256", "-binary", "-mac", "HMAC", "-macopt")


@pytest.mark.usefixtures("proving")
def test_a_factory_secret_is_proven_in_a_header(web: Web) -> None:
    _, request = make_request(web, "factory-1")
    wrapped = b"\r\n".join(request[at : at + 40] for at in range(0, len(request), 40))
    answer = post(web, "simpleenroll", web.bootstrap, wrapped, "-H", proof_of("factory-1", request))
    assert [each.subject.rfc4514_string() for each in certificates_in(answer)] == ["CN=factory-1"]


@pytest.mark.usefixtures("proving")
def test_without_the_right_proof_nobody_enrols(web: Web) -> None:
    _, request = make_request(web, "factory-2")
    _, other = make_request(web, "factory-2", "other")
    for header in (
        "X-Nothing: 1",
        "FleetPKI-Proof;",
        "FleetPKI-Proof: no base64 \u00e9",
        proof_of("factory-2", other),
        proof_of("factory-3", request),
    ):
        status = ("-o", "/dev/null", "-w", "%{http_code}")
        assert post(web, "simpleenroll", web.bootstrap, request, "-H", header, *status) == b"403"
    assert web.certificates("factory-2") == []
    assert "enroll.refused" in [action for _, action in web.audited("factory-2")]
