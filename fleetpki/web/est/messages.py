# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What goes over the wire: requests in base64, certificates as PKCS#7, keys made here as PKCS#8."""

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from fleetpki.errors import Code, Rejected
from fleetpki.lifecycle.possession import EST_REQUEST

PKCS10 = "application/pkcs10"
PKCS7 = "application/pkcs7-mime"
CERTS_ONLY = "application/pkcs7-mime; smime-type=certs-only"
PKCS8 = "application/pkcs8"
CSR_ATTRIBUTES = "application/csrattrs"

#: CsrAttrs (RFC 7030, 4.5.2): a key on P-256, a request signed with ECDSA and SHA-256.
#: SEQUENCE { SEQUENCE { id-ecPublicKey, SET { secp256r1 } }, ecdsa-with-SHA256 }
_WANTED = bytes.fromhex("3021 3015 06072a8648ce3d0201 310a 06082a8648ce3d030107 06082a8648ce3d040302")


@dataclass(frozen=True)
class CertificationRequest:
    """A request as the rules want it."""

    pem: str
    common_name: str
    request_id: str
    """The same for the same request."""


def read_request(body: bytes) -> CertificationRequest:
    """Decode the body of an enrolment; white space in it is ignored (RFC 8951, 3.2)."""
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
        csr = x509.load_der_x509_csr(der)
        names = [str(name.value) for name in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except (binascii.Error, ValueError, TypeError, x509.InvalidVersion) as error:
        raise Rejected(Code.BAD_CSR, "not a PKCS#10 request, in DER, in base64") from error
    if len(names) != 1:
        raise Rejected(Code.WRONG_SUBJECT, "the request must have one common name, the device id")
    pem = csr.public_bytes(serialization.Encoding.PEM).decode("ascii")
    return CertificationRequest(pem, names[0], EST_REQUEST + hashlib.sha256(der).hexdigest()[:40])


def certs_only(pem: str) -> bytes:
    """Certificates, and nothing else, as degenerate PKCS#7 in base64."""
    certificates = x509.load_pem_x509_certificates(pem.encode())
    return base64.encodebytes(pkcs7.serialize_certificates(certificates, serialization.Encoding.DER))


def csr_attributes() -> bytes:
    """What a request should be like."""
    return base64.encodebytes(_WANTED)


def key_and_certificate(private_key_pem: str, certificate_pem: str) -> tuple[bytes, str]:
    """The answer to a server-side key generation (RFC 7030, 4.4.2), and its media type."""
    key = serialization.load_pem_private_key(private_key_pem.encode(), password=None)
    pkcs8 = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    parts = ((PKCS8, base64.encodebytes(pkcs8)), (CERTS_ONLY, certs_only(certificate_pem)))
    boundary = secrets.token_hex(16)
    body = b"".join(
        f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode()
        + content
        + b"\r\n"
        for kind, content in parts
    )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/mixed; boundary={boundary}"
