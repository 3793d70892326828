# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Certification requests made beforehand: making keys is the devices' work."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def make_csrs(count: int, prefix: str) -> list[tuple[str, str]]:
    """Names and CSRs in PEM, each for a P-256 key of its own. The SAN has the name too, for step-ca."""
    return [(f"{prefix}-{number:06}", _csr(f"{prefix}-{number:06}")) for number in range(count)]


def _csr(name: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
