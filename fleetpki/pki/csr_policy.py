# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Which certification requests are acceptable. Nothing but the key is ever taken over from one."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from fleetpki.errors import Code, Rejected
from fleetpki.pki import keys
from fleetpki.pki.identifiers import key_digest
from fleetpki.pki.keys import KeyType, PublicKey

MAX_CSR_CHARACTERS = 4096
# What the parser raises for damaged input: the last two for a strange version and a name of strange type.
_UNREADABLE = (ValueError, UnsupportedAlgorithm, x509.InvalidVersion, TypeError)
_DIGESTS = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


@dataclass(frozen=True)
class AcceptedCsr:
    """The proven key of an acceptable request."""

    public_key: PublicKey
    key_type: KeyType
    key_digest: str


def check_csr(csr_pem: str, device_id: str) -> AcceptedCsr:
    """Return the key of a good request; raise ``Rejected`` with bad_csr, weak_key or wrong_subject."""
    if len(csr_pem) > MAX_CSR_CHARACTERS:
        raise Rejected(Code.BAD_CSR, f"the request is longer than {MAX_CSR_CHARACTERS} characters")
    try:
        csr = x509.load_pem_x509_csr(csr_pem.encode())
        requested_key = csr.public_key()
        digest = csr.signature_hash_algorithm
        names = [str(name.value) for name in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except _UNREADABLE as error:
        raise Rejected(Code.BAD_CSR, "not a PKCS#10 request in PEM with a supported key") from error
    public_key, key_type = keys.accept(requested_key)
    if not isinstance(digest, _DIGESTS) or not _signature_is_valid(csr):
        raise Rejected(Code.BAD_CSR, "the request is not signed by its own key with SHA-256 or better")
    if names != [device_id]:
        raise Rejected(Code.WRONG_SUBJECT, f"the only common name of the request must be {device_id}")
    return AcceptedCsr(public_key, key_type, key_digest(public_key))


def _signature_is_valid(csr: x509.CertificateSigningRequest) -> bool:
    try:
        return csr.is_signature_valid
    except (InvalidSignature, UnsupportedAlgorithm):
        return False
