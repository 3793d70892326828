# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Which authorities there are, which of them sign, and what their certificates are sent with."""

from collections.abc import Sequence

from cryptography import x509
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from fleetpki.errors import FleetError, NotFound
from fleetpki.lifecycle.context import Context, Transaction
from fleetpki.pki.identifiers import certificate_id
from fleetpki.pki.issuer import Issuer, Repository, to_pem
from fleetpki.registry.database import reading
from fleetpki.registry.models import Authority, AuthorityKind, AuthorityState, Certificate

IN_USE = (AuthorityState.STANDBY, AuthorityState.ACTIVE, AuthorityState.RETIRING)
"""Its certificates are at work, or about to be."""

_ACTIVE = (
    select(Authority)
    .where(Authority.kind == bindparam("kind"), Authority.state == AuthorityState.ACTIVE)
    .order_by(Authority.created_at.desc(), Authority.name)
    .limit(1)
)


def authorities(session: Session) -> Sequence[Authority]:
    """All authorities there are or were, oldest first; not the OCSP signers."""
    query = select(Authority).where(Authority.kind != AuthorityKind.OCSP)
    return session.scalars(query.order_by(Authority.created_at, Authority.name)).all()


def in_use(session: Session, kind: AuthorityKind) -> Sequence[Authority]:
    """The authorities of a kind whose certificates are at work, newest first."""
    query = select(Authority).where(Authority.kind == kind, Authority.state.in_(IN_USE))
    return session.scalars(query.order_by(Authority.created_at.desc(), Authority.name)).all()


def active(session: Session, kind: AuthorityKind = AuthorityKind.ISSUING) -> Authority:
    """The authority that signs new certificates: the newest active one."""
    found = session.scalar(_ACTIVE, {"kind": kind})
    if found is None:
        raise FleetError(f"no {kind} authority is active", "'fleetpki ca list' shows what there is")
    return found


def named(session: Session, name: str) -> Authority:
    """The authority an operator names."""
    found = session.scalar(select(Authority).where(Authority.name == name))
    if found is None:
        raise NotFound(f"no authority {name}", "'fleetpki ca list' shows them")
    return found


def issuer(ctx: Context, authority: Authority) -> Issuer:
    """The authority, ready to sign."""
    if authority.key_uri is None:
        raise FleetError(f"the key of the authority {authority.name} is not here", "sign where its key is")
    key = ctx.keyring.key(authority.key_uri)  # each time: it may have become unavailable
    made = ctx.issuers.get(authority.authority_id)
    if made is None:
        made = ctx.issuers[authority.authority_id] = Issuer(
            x509.load_pem_x509_certificate(authority.pem.encode()),
            key,
            authority.chain_pem,
            repository=repository(ctx, authority),
            crl_partitions=authority.crl_partitions,
        )
    return made


def issuer_of(ctx: Context, certificate: Certificate) -> Issuer:
    """Who signs, or signed, a certificate."""
    made = ctx.issuers.get(certificate.issuer_id or "")
    if made is not None:
        return made
    with reading(ctx.sessions) as session:
        return issuer(ctx, session.get_one(Authority, certificate.issuer_id))


def repository(ctx: Context, authority: Authority) -> Repository | None:
    """Where the authority publishes, if the fleet has a public address."""
    url = ctx.policy.public_url
    return None if url is None else Repository(url, authority.name)


def chain(ctx: Context, certificate: Certificate) -> str:
    """What a certificate is sent with: its issuer and those above, without the trust anchor (PEM)."""
    made = ctx.issuers.get(certificate.issuer_id or "")
    if made is not None:
        return made.chain_pem
    with reading(ctx.sessions) as session:
        return session.get_one(Authority, certificate.issuer_id).chain_pem


def ca_chain(ctx: Context) -> str:
    """The certificates of the roots and issuing authorities at work (PEM), for who wants to verify others."""
    return anchors(ctx, AuthorityKind.ROOT, AuthorityKind.ISSUING)


def anchors(ctx: Context, *kinds: AuthorityKind) -> str:
    """The certificates (PEM) a listener needs to verify what authorities of these kinds signed."""
    with reading(ctx.sessions) as session:
        return "".join(authority.pem for kind in kinds for authority in in_use(session, kind))


def revoke_listed(tx: Transaction, root: Authority, crl: x509.CertificateRevocationList) -> None:
    """Revoke the authorities below a root that its list names."""
    for authority in tx.session.scalars(select(Authority).where(Authority.issuer_id == root.authority_id)):
        serial = x509.load_pem_x509_certificate(authority.pem.encode()).serial_number
        if (
            crl.get_revoked_certificate_by_serial_number(serial) is not None
            and authority.state != AuthorityState.REVOKED
        ):
            authority.state = AuthorityState.REVOKED
            tx.audit("authority.revoked", authority.name, authority_id=authority.authority_id)


def register(
    tx: Transaction,
    kind: AuthorityKind,
    name: str,
    certificate: x509.Certificate,
    *,
    chain_pem: str,
    key_uri: str | None,
    issuer_id: str | None,
    crl_partitions: int,
    state: AuthorityState = AuthorityState.ACTIVE,
) -> Authority:
    """Make an authority known."""
    authority = Authority(
        authority_id=certificate_id(certificate),
        kind=kind,
        name=name,
        state=state,
        pem=to_pem(certificate),
        chain_pem=chain_pem,
        key_uri=key_uri,
        issuer_id=issuer_id,
        crl_partitions=crl_partitions,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        created_at=tx.now,
    )
    tx.session.add(authority)
    tx.session.flush()
    tx.audit("authority.registered", name, authority_id=authority.authority_id, kind=kind, state=state)
    return authority
