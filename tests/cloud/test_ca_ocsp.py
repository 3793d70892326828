# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The OCSP responder, asked and judged by OpenSSL."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetpki.lifecycle import collect_unactivated, revoke_certificate
from fleetpki.lifecycle.ocsp import OcspAnswer, answer
from fleetpki.lifecycle.revocation_lists import install_list
from fleetpki.pki import profiles
from fleetpki.pki.hierarchy import Hierarchy
from fleetpki.pki.keyring import KeyUnavailable
from fleetpki.pki.keys import PrivateKey
from fleetpki.registry.database import reading
from fleetpki.registry.models import Authority, AuthorityKind
from tests.cloud.doubles import ReusedFile, ReusedRegistry
from tests.cloud.published import PublishingFleet, publishing_hierarchy, question_about, root_list

A_YEAR = timedelta(days=365)
PATIENCE_S = 60


@pytest.fixture(scope="module")
def hierarchy() -> Hierarchy:
    return publishing_hierarchy()


@pytest.fixture(scope="module")
def registry(hierarchy: Hierarchy, tmp_path_factory: pytest.TempPathFactory) -> ReusedRegistry:
    return ReusedFile(tmp_path_factory.mktemp("ocsp"), hierarchy)


@pytest.fixture
def fleet(registry: ReusedRegistry, hierarchy: Hierarchy, tmp_path: Path) -> PublishingFleet:
    return PublishingFleet.make(registry, hierarchy, tmp_path)


@pytest.fixture
def device(fleet: PublishingFleet) -> str:
    return fleet.fleet.device("sensor-1").certificate_id


def response(answered: OcspAnswer) -> ocsp.OCSPResponse:
    return ocsp.load_der_ocsp_response(answered.der)


def status(fleet: PublishingFleet, certificate_id: str) -> ocsp.OCSPCertStatus:
    return response(answer(fleet.ctx, question_about(fleet, certificate_id))).certificate_status


@contextmanager
def serving(fleet: PublishingFleet) -> Iterator[str]:
    """The responder behind a web server; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/ocsp-response")
            self.end_headers()
            self.wfile.write(answer(fleet.ctx, body).der)

        def log_message(self, *_args: object) -> None:
            """Nothing to tell."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/ocsp"
        server.shutdown()


def openssl_says(fleet: PublishingFleet, certificate_id: str, *options: str) -> str:
    """What ``openssl ocsp`` makes of the answer to its own request, at the fleet's time."""
    fleet.write("device.pem", fleet.certificate(certificate_id).public_bytes(Encoding.PEM))
    at = str(int(fleet.clock.now.timestamp()))
    far_from_now = ("-attime", at, "-validity_period", "999999999")
    with serving(fleet) as url:
        judged = fleet.openssl(
            *("ocsp", *options, "-issuer", "issuing.pem", "-cert", "device.pem", "-url", url),
            *("-CAfile", "root.pem", "-verify_other", "issuing.pem", *far_from_now),
        )
    return judged.stdout + judged.stderr


@pytest.mark.parametrize("options", [(), ("-no_nonce",), ("-sha256", "-no_nonce")])
def test_openssl_accepts_the_answer_about_a_good_certificate(
    fleet: PublishingFleet, device: str, options: tuple[str, ...]
) -> None:
    said = openssl_says(fleet, device, *options)
    assert "Response verify OK" in said
    assert "device.pem: good" in said
    assert "WARNING" not in said


def test_openssl_hears_when_and_why_a_certificate_was_revoked(fleet: PublishingFleet, device: str) -> None:
    revoke_certificate(fleet.ctx, device, "stolen")
    said = openssl_says(fleet, device)
    assert "device.pem: revoked" in said
    assert "keyCompromise" in said


def test_openssl_hears_that_what_a_revoked_authority_signed_is_revoked(
    fleet: PublishingFleet, device: str
) -> None:
    hierarchy = fleet.fleet.hierarchy
    install_list(fleet.ctx, root_list(hierarchy, hierarchy.issuing.certificate))
    assert "device.pem: revoked" in openssl_says(fleet, device)


def test_a_revocation_shows_in_the_very_next_answer(fleet: PublishingFleet, device: str) -> None:
    assert status(fleet, device) == ocsp.OCSPCertStatus.GOOD
    revoke_certificate(fleet.ctx, device, "stolen")
    assert status(fleet, device) == ocsp.OCSPCertStatus.REVOKED


def test_a_serial_number_of_nobody_is_unknown(fleet: PublishingFleet, hierarchy: Hierarchy) -> None:
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        *hashes_of(fleet, hierarchy), 4711, hashes.SHA256()
    )
    answered = answer(fleet.ctx, builder.build().public_bytes(Encoding.DER))
    assert response(answered).certificate_status == ocsp.OCSPCertStatus.UNKNOWN


def hashes_of(fleet: PublishingFleet, hierarchy: Hierarchy) -> tuple[bytes, bytes]:
    """What names the issuing authority in a request."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        hierarchy.service.certificate, hierarchy.issuing.certificate, hashes.SHA256()
    )
    about = builder.build()
    return about.issuer_name_hash, about.issuer_key_hash


def test_a_stranger_as_issuer_is_unauthorized(fleet: PublishingFleet) -> None:
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(bytes(32), bytes(32), 4711, hashes.SHA256())
    answered = answer(fleet.ctx, builder.build().public_bytes(Encoding.DER))
    assert response(answered).response_status == ocsp.OCSPResponseStatus.UNAUTHORIZED
    assert not answered.cacheable


@pytest.mark.parametrize(
    "algorithm",
    [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()],  # noqa: S303
    ids=lambda algorithm: algorithm.name,
)
def test_an_issuer_may_be_named_by_any_usual_hash(
    fleet: PublishingFleet, device: str, algorithm: hashes.HashAlgorithm
) -> None:
    answered = response(answer(fleet.ctx, question_about(fleet, device, algorithm)))
    assert answered.certificate_status == ocsp.OCSPCertStatus.GOOD
    assert answered.hash_algorithm.name == algorithm.name


def test_the_signer_is_a_short_lived_delegate_of_the_issuer(
    fleet: PublishingFleet, device: str, hierarchy: Hierarchy
) -> None:
    answered = response(answer(fleet.ctx, question_about(fleet, device)))
    [signer] = answered.certificates
    signer.verify_directly_issued_by(hierarchy.issuing.certificate)
    usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.OCSP_SIGNING]
    assert any(isinstance(each.value, x509.OCSPNoCheck) for each in signer.extensions)
    assert signer.not_valid_after_utc - fleet.clock.now <= timedelta(days=7)
    assert answered.responder_key_hash is not None
    assert answered.responder_name is None


def test_the_delegate_is_renewed_in_time_and_on_record(fleet: PublishingFleet, device: str) -> None:
    for _ in range(4):
        answered = response(answer(fleet.ctx, question_about(fleet, device)))
        assert answered.certificates[0].not_valid_after_utc > fleet.clock.now + timedelta(days=2)
        fleet.clock.advance(profiles.OCSP_SIGNER.validity / 2)
    with reading(fleet.ctx.sessions) as session:
        signers = session.query(Authority).filter_by(kind=AuthorityKind.OCSP).all()
    assert len(signers) == 4
    assert "ocsp_signer.recorded" in fleet.fleet.audited("issuing")


def test_who_renews_the_delegate_holds_up_nobody_while_it_is_good(
    fleet: PublishingFleet, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = question_about(fleet, device)
    [former] = response(answer(fleet.ctx, asked)).certificates
    fleet.clock.advance(profiles.OCSP_SIGNER.validity / 2)
    key, hangs, goes_on = fleet.ctx.keyring.key, threading.Event(), threading.Event()

    def hanging(uri: str) -> PrivateKey:
        hangs.set()
        assert goes_on.wait(PATIENCE_S)
        return key(uri)

    monkeypatch.setattr(fleet.ctx.keyring, "key", hanging)
    with ThreadPoolExecutor(2) as pool:
        try:
            renewing = pool.submit(answer, fleet.ctx, asked)
            assert hangs.wait(PATIENCE_S)
            another = pool.submit(answer, fleet.ctx, asked).result(PATIENCE_S)
        finally:
            goes_on.set()
    assert response(another).certificates == [former]
    assert response(renewing.result()).certificates != [former]


def test_delegates_are_forgotten_when_they_have_expired(fleet: PublishingFleet, device: str) -> None:
    for _ in range(4):
        answer(fleet.ctx, question_about(fleet, device))
        fleet.clock.advance(profiles.OCSP_SIGNER.validity / 2)
    assert collect_unactivated(fleet.ctx) == 3
    with reading(fleet.ctx.sessions) as session:
        [signer] = session.query(Authority).filter_by(kind=AuthorityKind.OCSP).all()
    assert signer.not_after > fleet.clock.now
    assert status(fleet, device) == ocsp.OCSPCertStatus.GOOD


def test_a_delegate_made_by_a_clock_that_was_ahead_is_not_used(fleet: PublishingFleet, device: str) -> None:
    fleet.clock.advance(A_YEAR)
    answer(fleet.ctx, question_about(fleet, device))
    fleet.clock.advance(-A_YEAR)
    [signer] = response(answer(fleet.ctx, question_about(fleet, device))).certificates
    assert signer.not_valid_before_utc <= fleet.clock.now < signer.not_valid_after_utc


def test_what_was_revoked_by_a_clock_that_was_ahead_is_told_of_now(
    fleet: PublishingFleet, device: str
) -> None:
    fleet.clock.advance(A_YEAR)
    revoke_certificate(fleet.ctx, device, "stolen")
    fleet.clock.advance(-A_YEAR)
    answered = answer(fleet.ctx, question_about(fleet, device))
    assert answered.this_update <= fleet.clock.now < answered.next_update
    assert response(answered).certificate_status == ocsp.OCSPCertStatus.REVOKED


def test_the_same_status_is_signed_once(fleet: PublishingFleet, device: str) -> None:
    first = answer(fleet.ctx, question_about(fleet, device))
    fleet.clock.advance(timedelta(minutes=5))
    second = answer(fleet.ctx, question_about(fleet, device))
    assert first == second
    assert first.cacheable
    fleet.clock.advance(timedelta(minutes=30))
    third = answer(fleet.ctx, question_about(fleet, device))
    assert third.der != first.der
    assert third.this_update <= fleet.clock.now < third.next_update


def test_a_nonce_comes_back_and_its_answer_is_for_one_reader(fleet: PublishingFleet, device: str) -> None:
    nonce = bytes(range(32))
    answered = answer(fleet.ctx, question_about(fleet, device, nonce=nonce))
    extension = response(answered).extensions.get_extension_for_class(x509.OCSPNonce)
    assert extension.value.nonce == nonce
    assert not answered.cacheable


@pytest.mark.parametrize(("length", "accepted"), [(0, False), (1, True), (128, True), (129, False)])
def test_the_length_of_a_nonce_is_bounded(
    fleet: PublishingFleet, device: str, length: int, accepted: bool
) -> None:
    answered = response(answer(fleet.ctx, question_about(fleet, device, nonce=bytes(length))))
    expected = ocsp.OCSPResponseStatus.SUCCESSFUL if accepted else ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    assert answered.response_status == expected


def test_a_request_about_two_certificates_is_malformed(fleet: PublishingFleet, device: str) -> None:
    """RFC 5019, 2.1.1: one certificate per request."""
    fleet.write("device.pem", fleet.certificate(device).public_bytes(Encoding.PEM))
    twice = ("-cert", "device.pem", "-serial", "4711")
    fleet.openssl("ocsp", "-issuer", "issuing.pem", *twice, "-reqout", "two.der")
    answered = response(answer(fleet.ctx, (fleet.folder / "two.der").read_bytes()))
    assert answered.response_status == ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def test_without_the_authoritys_key_clients_are_asked_to_come_back(
    fleet: PublishingFleet, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_uri: str) -> None:
        raise KeyUnavailable("the token is gone")

    asked = question_about(fleet, device)
    with monkeypatch.context() as patch:
        patch.setattr(fleet.ctx.keyring, "key", gone)
        answered = response(answer(fleet.ctx, asked))
        assert answered.response_status == ocsp.OCSPResponseStatus.TRY_LATER
    fleet.clock.advance(timedelta(minutes=1))
    assert status(fleet, device) == ocsp.OCSPCertStatus.GOOD


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_sent_gets_an_answer(fleet: PublishingFleet, device: str, data: st.DataObject) -> None:
    good = question_about(fleet, device, nonce=b"nonce")
    cut = data.draw(st.integers(0, len(good)))
    mutated = good[:cut] + data.draw(st.binary(max_size=40)) + good[cut + data.draw(st.integers(0, 8)) :]
    garbage = data.draw(st.sampled_from([mutated, data.draw(st.binary(max_size=200)), good + bytes(3000)]))
    answered = response(answer(fleet.ctx, garbage))
    assert answered.response_status in {
        ocsp.OCSPResponseStatus.SUCCESSFUL,
        ocsp.OCSPResponseStatus.MALFORMED_REQUEST,
        ocsp.OCSPResponseStatus.UNAUTHORIZED,
    }
