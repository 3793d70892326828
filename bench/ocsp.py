# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""OCSP answers per second: ours ask the registry each time, the peers know a file or nothing."""

import http.client
import itertools
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from bench.cloud import bootstrap_sender, make_fleet, up
from bench.csrs import make_csrs
from bench.ocsp_peers import cfssl_signing, cfssl_static, openssl_ocsp, signing_body
from bench.peers import Cfssl
from bench.report import Figure
from bench.wrk import post_rate
from fleetpki import lifecycle
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import Application

_CERTIFICATES = 100
_CONNECTIONS = 16
_TYPE = "application/ocsp-request"


def measure(scratch: Path, seconds: int) -> list[Figure]:
    """The same certificates, asked about at each responder."""
    fleet = make_fleet(scratch / "ocsp")
    certificates = _issue(fleet)
    issuing = x509.load_pem_x509_certificate((fleet.layout.ca / "issuing.crt").read_bytes())
    bodies = [_question(certificate, issuing) for certificate in certificates]
    with up(fleet):
        url = f"http://127.0.0.1:{fleet.settings.public_port}"
        ours = post_rate(url, "/ocsp", _TYPE, bodies, connections=_CONNECTIONS, seconds=seconds)
    certificate, key = fleet.layout.ca / "issuing.crt", fleet.layout.ca / "issuing.key"
    with openssl_ocsp(scratch / "openssl", certificate, key, certificates) as url:
        peers = {"openssl ocsp": _one_by_one(url, bodies, seconds)}
    if Cfssl.installed():
        files = _files(scratch, certificates)
        with cfssl_signing(scratch / "signing", certificate, key) as url:
            questions = [signing_body(file.read_text()) for file in files]
            path, kind = "/api/v1/cfssl/ocspsign", "application/json"
            peers["cfssl, signing each"] = post_rate(
                url, path, kind, questions, connections=_CONNECTIONS, seconds=seconds
            )
        with cfssl_static(scratch / "static", certificate, key, files) as url:
            peers["cfssl ocspserve, signed beforehand"] = post_rate(
                url, "/", _TYPE, bodies, connections=_CONNECTIONS, seconds=seconds
            )
    return [Figure("OCSP answers", ours, "1/s", peer, theirs) for peer, theirs in peers.items()]


def _issue(fleet: Fleet) -> list[x509.Certificate]:
    sender = bootstrap_sender(fleet)
    enrolled = (
        lifecycle.enroll(fleet.context, Application(name, sender, name, csr))
        for name, csr in make_csrs(_CERTIFICATES, "ocsp")
    )
    return [x509.load_pem_x509_certificate(each.certificate_pem.encode()) for each in enrolled]


def _question(certificate: x509.Certificate, issuing: x509.Certificate) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuing, hashes.SHA1())  # noqa: S303 - RFC 5019
    return builder.build().public_bytes(serialization.Encoding.DER)


def _files(scratch: Path, certificates: Sequence[x509.Certificate]) -> list[Path]:
    files = [scratch / f"{number}.pem" for number in range(len(certificates))]
    for file, certificate in zip(files, certificates, strict=True):
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return files


def _one_by_one(url: str, bodies: Sequence[bytes], seconds: int) -> float:
    """``openssl ocsp`` serves one client at a time and closes after each answer."""
    host, port = url.removeprefix("http://").split(":")
    started, answers = time.perf_counter(), 0
    for body in itertools.cycle(bodies):
        if time.perf_counter() - started > seconds:
            break
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        connection.request("POST", "/", body, {"Content-Type": _TYPE})
        answer = ocsp.load_der_ocsp_response(connection.getresponse().read())
        assert answer.certificate_status == ocsp.OCSPCertStatus.GOOD
        assert answer.this_update_utc <= datetime.now(UTC)
        connection.close()
        answers += 1
    return answers / seconds
