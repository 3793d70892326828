# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""OCSP (RFC 6960) in the profile of RFC 5019: one certificate per request, answers that can be kept."""

import threading
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from fleetpki.pki import profiles
from fleetpki.pki.issuer import signature_hash
from fleetpki.pki.keys import PrivateKey

MAX_REQUEST = 2048
_NONCE_MAX = 128
"""RFC 9654, 2.1."""
_KEPT_ANSWERS = 50_000
_HASHES: tuple[hashes.HashAlgorithm, ...] = (
    hashes.SHA1(),  # noqa: S303 - names an issuer, proves nothing
    hashes.SHA256(),
    hashes.SHA384(),
    hashes.SHA512(),
)
_UNREADABLE = (ValueError, TypeError, NotImplementedError, UnsupportedAlgorithm, x509.DuplicateExtension)

_BY_NAME = {algorithm.name: algorithm for algorithm in _HASHES}


class MalformedRequest(Exception):  # noqa: N818 - RFC 6960's word
    """Not an OCSP request as RFC 5019 has them."""


@dataclass(frozen=True)
class IssuerId:
    """How a request names the issuer it asks about."""

    algorithm: str
    name_hash: bytes
    key_hash: bytes


@dataclass(frozen=True)
class Question:
    """What a request asks."""

    issuer: IssuerId
    serial: int
    nonce: bytes | None


@dataclass(frozen=True)
class Status:
    """What is known of a certificate, and from when to when that is good."""

    state: ocsp.OCSPCertStatus
    this_update: datetime
    next_update: datetime
    revoked_at: datetime | None = None
    reason: x509.ReasonFlags | None = None


def parse(request_der: bytes) -> Question:
    """Read a request; ``MalformedRequest`` unless it asks about one certificate, with a sane nonce if any."""
    if len(request_der) > MAX_REQUEST:
        raise MalformedRequest("too large")
    try:
        request = ocsp.load_der_ocsp_request(request_der)
        issuer = IssuerId(request.hash_algorithm.name, request.issuer_name_hash, request.issuer_key_hash)
        nonces = [each.value.nonce for each in request.extensions if isinstance(each.value, x509.OCSPNonce)]
    except (
        ValueError,
        TypeError,
        NotImplementedError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
    ) as error:
        raise MalformedRequest(str(error)) from error
    if nonces and not 1 <= len(nonces[0]) <= _NONCE_MAX:
        raise MalformedRequest("a nonce has 1 to 128 bytes")
    return Question(issuer, request.serial_number, nonces[0] if nonces else None)


def issuer_ids(certificate: x509.Certificate) -> list[IssuerId]:
    """All the ways a request may name an issuer."""
    return [_issuer_id(certificate, algorithm) for algorithm in _HASHES]


def _issuer_id(certificate: x509.Certificate, algorithm: hashes.HashAlgorithm) -> IssuerId:
    name = hashes.Hash(algorithm)
    name.update(certificate.subject.public_bytes())
    about_itself = ocsp.OCSPRequestBuilder().add_certificate(certificate, certificate, algorithm).build()
    return IssuerId(algorithm.name, name.finalize(), about_itself.issuer_key_hash)


def unsuccessful(status: ocsp.OCSPResponseStatus) -> bytes:
    """An answer that says only why there is none."""
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)


class Responder:
    """A delegated signer (RFC 6960, 4.2.2.2) that remembers what it signed."""

    def __init__(self, certificate: x509.Certificate, key: PrivateKey) -> None:
        """Answer with this signer's certificate and key."""
        self.certificate = certificate
        self._key = key
        self._hash = signature_hash(key)
        self._remembered = lru_cache(_KEPT_ANSWERS)(self._sign)

    def is_valid(self, now: datetime) -> bool:
        """Whether its signature counts."""
        return self.certificate.not_valid_before_utc <= now < self.certificate.not_valid_after_utc

    def is_fresh(self, now: datetime) -> bool:
        """Whether its successor need not be made yet."""
        return self.is_valid(now + profiles.OCSP_SIGNER.validity / 2) and self.is_valid(now)

    def answer(self, question: Question, status: Status) -> bytes:
        """The DER of an answer; only one with a nonce is signed anew when the status is the same."""
        sign = self._remembered if question.nonce is None else self._sign
        return sign(question, status)

    def _sign(self, question: Question, status: Status) -> bytes:
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            issuer_name_hash=question.issuer.name_hash,
            issuer_key_hash=question.issuer.key_hash,
            serial_number=question.serial,
            algorithm=_BY_NAME[question.issuer.algorithm],
            cert_status=status.state,
            this_update=status.this_update,
            next_update=status.next_update,
            revocation_time=status.revoked_at,
            revocation_reason=status.reason,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.certificate)
        builder = builder.certificates([self.certificate])
        if question.nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(question.nonce), critical=False)
        return builder.sign(self._key, self._hash).public_bytes(Encoding.DER)


class Delegates:
    """The responders this process has made, by the authority that certified them."""

    def __init__(self) -> None:
        """Begin with none."""
        self.authorities: dict[IssuerId, str] = {}
        self.responders: dict[str, Responder] = {}
        self.failed_at: dict[str, datetime] = {}
        self.changing = threading.Lock()
