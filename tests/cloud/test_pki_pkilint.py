# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Every profile before pkilint: what it finds against RFC 5280 is what we decided, and nothing else."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from pkilint import loader
from pkilint.pkix import certificate, extension
from pkilint.pkix.name import ATTRIBUTE_TYPE_MAPPINGS

from fleetpki.pki import profiles
from fleetpki.pki.hierarchy import Hierarchy, make_credential, make_hierarchy
from fleetpki.pki.issuer import Issuer, Repository
from tests.cloud.doubles import START, new_key
from tests.cloud.published import PUBLIC_URL

CRITICAL_NAME_CONSTRAINTS = "pkix.certificate_name_constraints_extension_not_critical"
"""mbedTLS would refuse the chain: see fleetpki/pki/name_constraints.py."""


@pytest.fixture(scope="module")
def hierarchy() -> Hierarchy:
    return make_hierarchy(hosts=["broker.example", "127.0.0.1"], now=START, public_url=PUBLIC_URL)


def certificates(hierarchy: Hierarchy) -> dict[str, x509.Certificate]:
    issuing, root = hierarchy.issuing, hierarchy.root
    issuer = Issuer(issuing.certificate, issuing.key, repository=Repository(PUBLIC_URL, "issuing"))
    top = Issuer(root.certificate, root.key, repository=Repository(PUBLIC_URL, "root"))
    cross = top.plan(profiles.CROSS, "fleetpki root CA 2", new_key().public_key(), START)
    return {
        "root": root.certificate,
        "issuing": issuing.certificate,
        "bootstrap-ca": hierarchy.bootstrap_ca.certificate,
        "bootstrap": hierarchy.bootstrap.certificate,
        "broker": hierarchy.broker.certificate,
        "service": hierarchy.service.certificate,
        "device": make_credential(issuer, profiles.DEVICE, "sensor-1", START).certificate,
        "ocsp-signer": make_credential(issuer, profiles.OCSP_SIGNER, "issuing OCSP", START).certificate,
        "cross": top.sign(cross),
    }


def findings(subject: x509.Certificate) -> set[str]:
    document = loader.load_certificate(subject.public_bytes(Encoding.DER), "subject")
    validator = certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
        ],
    )
    results = validator.validate(document.root)
    return {
        found.finding.code
        for result in results
        for found in result.finding_descriptions
        if found.finding.severity.name in ("WARNING", "ERROR", "FATAL")
    }


@pytest.mark.parametrize(
    ("profile", "decided"),
    [
        ("root", set()),
        ("issuing", {CRITICAL_NAME_CONSTRAINTS}),
        ("cross", set()),
        ("bootstrap-ca", set()),
        ("bootstrap", set()),
        ("broker", set()),
        ("service", set()),
        ("device", set()),
        ("ocsp-signer", set()),
    ],
)
def test_pkilint_finds_only_what_was_decided(hierarchy: Hierarchy, profile: str, decided: set[str]) -> None:
    assert findings(certificates(hierarchy)[profile]) == decided


def test_pkilint_finds_a_fault(hierarchy: Hierarchy) -> None:
    """Otherwise finding nothing would mean nothing."""
    name = hierarchy.issuing.certificate.subject
    key = new_key().public_key()
    no_authority = x509.BasicConstraints(ca=False, path_length=None)
    builder = x509.CertificateBuilder(name, name, key, 1, START, START + profiles.YEAR)
    usage = hierarchy.issuing.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    faulty = builder.add_extension(no_authority, critical=False).add_extension(usage, critical=False)
    assert findings(faulty.sign(hierarchy.issuing.key, hashes.SHA256()))
