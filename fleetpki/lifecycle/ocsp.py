# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The OCSP responder: what the registry says of a certificate now, signed by a delegate of its issuer.

Every answer asks the registry, so a revocation shows in the next one, whichever process made it. What is
spared is the signature: the same status in the same half hour is the same answer. The web keeps an answer for
a second (``web/ocsp.py``).

Each process makes its own delegates. Their keys are nowhere but in its memory.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponseStatus
from sqlalchemy import bindparam, select

from fleetpki.errors import FleetError, RegistryUnavailable
from fleetpki.lifecycle import authorities
from fleetpki.lifecycle.context import CLOUD, Context
from fleetpki.pki import keys, ocsp, profiles
from fleetpki.pki.keys import KeyType
from fleetpki.pki.reasons import reason_code
from fleetpki.registry.database import reading, reading_rows
from fleetpki.registry.models import Authority, AuthorityKind, Certificate, CertificateState

log = logging.getLogger(__name__)

_PERIOD = timedelta(minutes=30)
"""An answer is signed at the beginning of a period and good until the end of the next."""

_PAUSE = timedelta(seconds=30)
"""So long after a delegate could not be made it is not tried again."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DELEGATING = (AuthorityKind.ISSUING, AuthorityKind.BOOTSTRAP)
_TABLE = Certificate.__table__.c
_CERTIFICATE = select(_TABLE.state, _TABLE.revoked_at, _TABLE.revocation_reason).where(
    _TABLE.serial == bindparam("serial"),
    _TABLE.issuer_id == bindparam("authority_id"),
    _TABLE.state != CertificateState.RECORDED,
)


@dataclass(frozen=True)
class OcspAnswer:
    """A response, and whether and how long a cache may keep it."""

    der: bytes
    this_update: datetime
    next_update: datetime
    cacheable: bool


def answer(ctx: Context, request_der: bytes) -> OcspAnswer:
    """Answer a request (RFC 6960, 2.3): anything wrong with it, or with us, is an answer too."""
    try:
        question = ocsp.parse(request_der)
    except ocsp.MalformedRequest:
        return _refusal(ctx, OCSPResponseStatus.MALFORMED_REQUEST)
    authority_id = _authority_asked(ctx, question.issuer)
    if authority_id is None:
        return _refusal(ctx, OCSPResponseStatus.UNAUTHORIZED)
    status = _status(ctx, authority_id, question)
    responder = _responder(ctx, authority_id)
    if responder is None:
        return _refusal(ctx, OCSPResponseStatus.TRY_LATER)
    der = responder.answer(question, status)
    return OcspAnswer(der, status.this_update, status.next_update, cacheable=question.nonce is None)


def _refusal(ctx: Context, status: OCSPResponseStatus) -> OcspAnswer:
    return OcspAnswer(ocsp.unsuccessful(status), ctx.clock(), ctx.clock(), cacheable=False)


def _authority_asked(ctx: Context, issuer: ocsp.IssuerId) -> str | None:
    """The authority a request means, if it may delegate; a new one is found in the registry."""
    known = ctx.delegates.authorities
    if issuer not in known:
        with reading(ctx.sessions) as session:
            for authority in session.scalars(select(Authority).where(Authority.kind.in_(_DELEGATING))):
                certificate = x509.load_pem_x509_certificate(authority.pem.encode())
                known.update(dict.fromkeys(ocsp.issuer_ids(certificate), authority.authority_id))
    return known.get(issuer)


def _status(ctx: Context, authority_id: str, question: ocsp.Question) -> ocsp.Status:
    asked = {"authority_id": authority_id, "serial": f"{question.serial:x}"}
    with reading_rows(ctx.sessions) as connection:
        found = connection.execute(_CERTIFICATE, asked).first()
    now = ctx.clock()
    start = now if question.nonce else now - (now - _EPOCH) % _PERIOD
    if found is None:
        return ocsp.Status(OCSPCertStatus.UNKNOWN, start, start + 2 * _PERIOD)
    if found.state != CertificateState.REVOKED:
        return ocsp.Status(OCSPCertStatus.GOOD, start, start + 2 * _PERIOD)
    return ocsp.Status(
        state=OCSPCertStatus.REVOKED,
        this_update=max(start, min(found.revoked_at, now)),  # no answer is older than what it tells
        next_update=start + 2 * _PERIOD,
        revoked_at=found.revoked_at,
        reason=reason_code(found.revocation_reason),
    )


def _responder(ctx: Context, authority_id: str) -> ocsp.Responder | None:
    """The delegate of an authority: this process's own, made anew when half of its life is over.

    One asker makes it. The others get the one there is as long as its signature counts, and wait otherwise.
    """
    now, delegates = ctx.clock(), ctx.delegates
    responder = delegates.responders.get(authority_id)
    if responder is not None and responder.is_fresh(now):
        return responder
    is_good = responder is not None and responder.is_valid(now)
    if delegates.changing.acquire(blocking=not is_good):
        try:
            responder = _renewed(ctx, authority_id, now)
        finally:
            delegates.changing.release()
    return responder if responder is not None and responder.is_valid(now) else None


def _renewed(ctx: Context, authority_id: str, now: datetime) -> ocsp.Responder | None:
    """A new delegate, unless another asker made one. Anybody may ask: a failure is not repeated each time."""
    delegates = ctx.delegates
    responder = delegates.responders.get(authority_id)
    has_failed = now - _PAUSE < delegates.failed_at.get(authority_id, _EPOCH) <= now
    if has_failed or (responder is not None and responder.is_fresh(now)):
        return responder
    try:
        responder = delegates.responders[authority_id] = _make_responder(ctx, authority_id)
    except (FleetError, RegistryUnavailable) as error:
        log.warning("no new OCSP signer: %s", error.message)
        delegates.failed_at[authority_id] = now
    return responder


def _make_responder(ctx: Context, authority_id: str) -> ocsp.Responder:
    """Record, then sign, as every certificate; the row of the authority it becomes is its release."""
    key = keys.generate(KeyType.EC_P256)
    with ctx.transaction(CLOUD, "delegate_ocsp", authority_id) as tx:
        authority = tx.session.get_one(Authority, authority_id)
        issuer = authorities.issuer(ctx, authority)
        name = f"{authority.name} OCSP"
        plan = issuer.plan(profiles.OCSP_SIGNER, name, key.public_key(), tx.now)
        tx.audit("ocsp_signer.recorded", authority.name, serial=f"{plan.serial:x}")
    certificate = issuer.sign(plan)
    with ctx.transaction(CLOUD, "delegate_ocsp", authority_id) as tx:
        authorities.register(
            tx,
            AuthorityKind.OCSP,
            f"{authority.name}-ocsp-{plan.serial:x}"[:64],
            certificate,
            chain_pem="",
            key_uri=None,
            issuer_id=authority_id,
            crl_partitions=0,
        )
    return ocsp.Responder(certificate, key)
