# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A fleet whose certificates carry addresses, and OpenSSL to judge what it publishes."""

import subprocess
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from fleetpki.lifecycle import Context, Policy, revocation_lists
from fleetpki.pki.crl import ListPlan, sign_list
from fleetpki.pki.hierarchy import Hierarchy, make_hierarchy
from fleetpki.pki.issuer import Issuer
from fleetpki.pki.reasons import Revocation
from fleetpki.registry.database import reading
from tests.cloud.doubles import START, Clock, Fleet, ReusedRegistry, make_context

PUBLIC_URL = "http://pki.example"
POLICY = Policy(public_url=PUBLIC_URL)


def publishing_hierarchy() -> Hierarchy:
    return make_hierarchy(hosts=["broker.example", "127.0.0.1"], now=START, public_url=PUBLIC_URL)


@dataclass
class PublishingFleet:
    """The rules of a fleet with a public address, and a directory for OpenSSL's files."""

    fleet: Fleet
    clock: Clock
    folder: Path

    @classmethod
    def make(cls, registry: ReusedRegistry, hierarchy: Hierarchy, folder: Path) -> "PublishingFleet":
        clock = Clock(START)
        ctx = make_context(registry.renewed(), hierarchy, clock, POLICY)
        fleet = cls(Fleet(ctx, hierarchy), clock, folder)
        fleet.write("root.pem", hierarchy.root.certificate_pem)
        fleet.write("issuing.pem", hierarchy.issuing.certificate_pem)
        return fleet

    @property
    def ctx(self) -> Context:
        return self.fleet.ctx

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def certificate(self, certificate_id: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.fleet.certificate(certificate_id).signed_pem.encode())

    def partition_of(self, certificate_id: str) -> int:
        partition = self.fleet.certificate(certificate_id).crl_partition
        assert partition is not None
        return partition

    def list_of(self, certificate_id: str) -> x509.CertificateRevocationList:
        """The newest published list that a certificate names."""
        certificate = self.fleet.certificate(certificate_id)
        with reading(self.ctx.sessions) as session:
            assert certificate.issuer_id is not None
            found = revocation_lists.newest(session, certificate.issuer_id, self.partition_of(certificate_id))
        assert found is not None
        return x509.load_der_x509_crl(found.der)

    def root_list(self) -> bytes:
        root = self.fleet.hierarchy.root
        plan = ListPlan(1, self.clock.now, self.clock.now + timedelta(days=400))
        return sign_list(Issuer(root.certificate, root.key), plan, [])

    def openssl(self, *args: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["openssl", *args], cwd=self.folder, capture_output=True, text=True, check=False
        )

    def verify(self, certificate_id: str, crl: x509.CertificateRevocationList) -> str:
        """What OpenSSL says of a certificate when it has the root's list and this one: ``OK`` or why not."""
        self.write("device.pem", self.certificate(certificate_id).public_bytes(Encoding.PEM))
        self.write("partition.pem", crl.public_bytes(Encoding.PEM))
        root_list = x509.load_der_x509_crl(self.root_list())
        self.write("root-crl.pem", root_list.public_bytes(Encoding.PEM))
        outcome = self.openssl(
            *("verify", "-crl_check_all", "-x509_strict", "-attime", str(int(self.clock.now.timestamp()))),
            *("-CAfile", "root.pem", "-untrusted", "issuing.pem"),
            *("-CRLfile", "partition.pem", "-CRLfile", "root-crl.pem", "device.pem"),
        )
        return "OK" if outcome.returncode == 0 else outcome.stderr


def root_list(hierarchy: Hierarchy, *revoked: x509.Certificate, number: int = 7) -> bytes:
    plan = ListPlan(number, START, START + timedelta(days=400))
    entries = [Revocation(each.serial_number, START, x509.ReasonFlags.ca_compromise) for each in revoked]
    return sign_list(Issuer(hierarchy.root.certificate, hierarchy.root.key), plan, entries)


def question_about(
    fleet: PublishingFleet,
    certificate_id: str,
    algorithm: hashes.HashAlgorithm | None = None,
    nonce: bytes | None = None,
) -> bytes:
    """An OCSP request about a certificate of the issuing authority."""
    issuer = fleet.fleet.hierarchy.issuing.certificate
    return ocsp_question(fleet.certificate(certificate_id), issuer, algorithm, nonce)


def ocsp_question(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    algorithm: hashes.HashAlgorithm | None = None,
    nonce: bytes | None = None,
) -> bytes:
    """An OCSP request about a certificate."""
    usual = hashes.SHA1()  # noqa: S303 - what OCSP clients use
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, algorithm or usual)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)
