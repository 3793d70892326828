# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates that operators ask for: those of broker and services, and bootstrap certificates."""

from collections.abc import Sequence

from cryptography import x509
from sqlalchemy import select

from fleetpki.errors import Code, FleetError, NotFound, Rejected
from fleetpki.lifecycle import authorities, issuance
from fleetpki.lifecycle.batches import list_batches
from fleetpki.lifecycle.context import OPERATOR, Context, Transaction
from fleetpki.lifecycle.transitions import ISSUER_REVOKED, revoke
from fleetpki.pki import keys
from fleetpki.pki.csr_policy import check_csr
from fleetpki.pki.identifiers import certificate_id, key_digest
from fleetpki.pki.keys import PublicKey
from fleetpki.registry import queries
from fleetpki.registry.models import (
    IS_OF_CLOUD,
    LIVE_CERTIFICATE,
    Authority,
    AuthorityKind,
    Certificate,
    CertificateState,
    Role,
)

_RENEWABLE = (Role.BROKER, Role.SERVICE)


def certify_bootstrap(
    ctx: Context,
    *,
    common_name: str,
    public_key: PublicKey,
    batch: str,
    authority: str | None = None,
    actor: str = OPERATOR,
) -> Certificate:
    """Certify a bootstrap key for a batch: by the authority of this name, or the newest bootstrap authority.

    The same key again gets the same certificate.
    """
    public_key, _ = keys.accept(public_key)
    with ctx.transaction(actor, "certify_bootstrap", common_name) as tx:
        recorded = earlier(tx, public_key, Role.BOOTSTRAP, common_name)
        if recorded is None:
            issuer = (
                authorities.active(tx.session, AuthorityKind.BOOTSTRAP)
                if authority is None
                else authorities.named(tx.session, authority)
            )
            if issuer.kind != AuthorityKind.BOOTSTRAP or issuer.state not in authorities.IN_USE:
                raise Rejected(Code.NOT_ALLOWED, f"{issuer.name} is no bootstrap authority at work")
            planned = issuance.planned(ctx, tx, Role.BOOTSTRAP, common_name, public_key, issuer, batch=batch)
            recorded = issuance.record(tx, planned)
    return _released(ctx, actor, recorded, public_key)


def certify_bootstrap_request(
    ctx: Context,
    common_name: str,
    csr_pem: str,
    *,
    batch: str,
    authority: str | None = None,
    actor: str = OPERATOR,
) -> Certificate:
    """As ``certify_bootstrap``, for a key that somebody shows to have."""
    with ctx.auditing_refusals(actor, "certify_bootstrap", common_name):
        key = check_csr(csr_pem, common_name).public_key
        if all(each.name != batch for each in list_batches(ctx)):
            raise NotFound(f"no batch {batch}", "`fleetpki batch list` shows them")
    return certify_bootstrap(
        ctx, common_name=common_name, public_key=key, batch=batch, authority=authority, actor=actor
    )


def renew_own(
    ctx: Context,
    certificate_pem: str,
    *,
    hosts: Sequence[str],
    new_key: PublicKey | None = None,
    actor: str = OPERATOR,
) -> Certificate:
    """Certify the key of the broker, a service or the operator anew, by the authority that is active now.

    The former certificate stays good until it expires, for whoever still uses it. In place of a key that
    others may have a new one is certified: then every former certificate is revoked.
    """
    former = x509.load_pem_x509_certificate(certificate_pem.encode())
    public_key, _ = keys.accept(new_key or former.public_key())
    with ctx.transaction(actor, "renew", certificate_id(former)) as tx:
        known = queries.certificate(tx.session, certificate_id(former))
        if known is None or known.role not in _RENEWABLE:
            raise NotFound("this is no certificate of the broker or a service of this fleet")
        is_lost = known.state not in LIVE_CERTIFICATE and known.revocation_reason != ISSUER_REVOKED
        if is_lost and new_key is None:
            raise Rejected(Code.REVOKED, f"the certificate is {known.state}: its key has to be a new one")
        authority = authorities.active(tx.session)
        planned = issuance.planned(ctx, tx, known.role, known.common_name, public_key, authority)
        recorded = issuance.record(tx, planned)
        recorded.api_role = known.api_role
    renewed = _released(ctx, actor, recorded, public_key, hosts if recorded.role == Role.BROKER else ())
    if new_key is not None:
        _revoke_others(ctx, actor, renewed)
    return renewed


def _revoke_others(ctx: Context, actor: str, renewed: Certificate) -> None:
    with ctx.transaction(actor, "renew", renewed.common_name) as tx:
        others = select(Certificate).where(
            IS_OF_CLOUD,
            Certificate.role == renewed.role,
            Certificate.common_name == renewed.common_name,
            Certificate.state.in_(LIVE_CERTIFICATE),
            Certificate.id != renewed.id,
        )
        for certificate in tx.session.scalars(others).all():
            revoke(tx, certificate, "its key was replaced")


def replaced(tx: Transaction, authority: Authority) -> Sequence[Certificate]:
    """The certificates of broker, services and operator that another authority has certified anew since."""
    query = select(Certificate).where(IS_OF_CLOUD, Certificate.state == CertificateState.ACTIVE)
    ours = tx.session.scalars(query.order_by(Certificate.id)).all()
    newest = {(each.role, each.common_name): each.issuer_id for each in ours}
    return [
        each
        for each in ours
        if each.issuer_id == authority.authority_id
        and newest[each.role, each.common_name] != authority.authority_id
    ]


def earlier(tx: Transaction, public_key: PublicKey, role: Role, common_name: str) -> Certificate | None:
    """The certificate this key has; Rejected when it is somebody else's key."""
    for certificate in queries.certificates_with_key(tx.session, key_digest(public_key)):
        if certificate.role != role or certificate.common_name != common_name:
            raise Rejected(Code.WEAK_KEY, "this key is another holder's")
        if certificate.state != CertificateState.REVOKED:
            return certificate
    return None


def _released(
    ctx: Context, actor: str, recorded: Certificate, public_key: PublicKey, hosts: Sequence[str] = ()
) -> Certificate:
    return activate(ctx, actor, issuance.release(ctx, actor, recorded, public_key, hosts))


def activate(ctx: Context, actor: str, certificate: Certificate) -> Certificate:
    """The holder of a certificate is at hand, so it is active as soon as it is signed."""
    if certificate.state == CertificateState.ACTIVE:
        return certificate
    with ctx.transaction(actor, "activate", certificate.common_name) as tx:
        certificate = tx.session.get_one(Certificate, certificate.id, with_for_update=True)
        if certificate.state != CertificateState.ISSUED:
            raise FleetError(f"the certificate was {certificate.state} while it was being made")
        certificate.state = CertificateState.ACTIVE
        certificate.activated_at = tx.now
        tx.audit("certificate.activated", certificate.common_name, certificate_id=certificate.certificate_id)
        return certificate
