# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""How authorities come and go.

::

    request ─(carried to the root and back)─► install ─► standby ─► active ─► retiring ─► retired
"""

import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import func, select, union_all
from sqlalchemy.orm import Session

from fleetpki.errors import Code, FleetError, Rejected
from fleetpki.lifecycle import authorities
from fleetpki.lifecycle.context import OPERATOR, Context, Transaction
from fleetpki.lifecycle.own_certificates import replaced as replaced_by_others
from fleetpki.lifecycle.transitions import supersede
from fleetpki.pki import profiles
from fleetpki.pki.hierarchy import ISSUING_PARTITIONS, self_signed
from fleetpki.pki.issuer import common_name, signature_hash, subject_name, to_pem
from fleetpki.pki.keyring import KeyUnavailable
from fleetpki.pki.keys import KeyType, PrivateKey
from fleetpki.pki.lint import lint
from fleetpki.pki.name_constraints import name_constraints
from fleetpki.registry.models import (
    LIVE_CERTIFICATE,
    Authority,
    AuthorityKind,
    AuthorityState,
    Certificate,
)

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_MAX_CHAIN = 4
_NAMED = 5


def key_file(name: str) -> str:
    """Where the key of an authority is, unless told otherwise."""
    return f"file:ca/{name}.key"


def request_authority(
    ctx: Context, name: str, *, hosts: list[str], key_uri: str | None = None, actor: str = OPERATOR
) -> str:
    """Make the key of a new issuing authority, and the request (PEM) that the root is to certify.

    ``hosts`` are the only ones the authority will be able to certify.
    """
    with ctx.transaction(actor, "request_authority", name) as tx:
        _require_free_name(tx.session, name)
        constraints = name_constraints(hosts)
        uri = key_uri or key_file(name)
        key = _key(ctx, uri)
        subject = subject_name(f"fleetpki issuing CA {name}")
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        builder = builder.add_extension(constraints, critical=False)
        tx.audit("authority.requested", name, key_uri=uri, hosts=hosts)
        return builder.sign(key, signature_hash(key)).public_bytes(Encoding.PEM).decode("ascii")


def install_authority(
    ctx: Context,
    name: str,
    certificate_pem: str,
    *,
    chain_pem: str = "",
    key_uri: str | None = None,
    actor: str = OPERATOR,
) -> Authority:
    """Take over the certificate a root made for a requested authority; it is on standby until activated.

    ``chain_pem`` are certificates of the root itself by other roots, for devices that trust only those.
    """
    certificate = _one(certificate_pem)
    uri = key_uri or key_file(name)
    if ctx.keyring.key(uri).public_key() != certificate.public_key():
        raise Rejected(Code.KEY_MISMATCH, f"the certificate is not for the key {uri}")
    with ctx.transaction(actor, "install_authority", name) as tx:
        _require_free_name(tx.session, name)
        root = _root_of(tx.session, certificate)
        lint(certificate, profiles.ISSUING, x509.load_pem_x509_certificate(root.pem.encode()))
        _require_leads_on(root, chain_pem)
        return authorities.register(
            tx,
            AuthorityKind.ISSUING,
            name,
            certificate,
            chain_pem=to_pem(certificate) + chain_pem,
            key_uri=uri,
            issuer_id=root.authority_id,
            crl_partitions=ISSUING_PARTITIONS,
            state=AuthorityState.STANDBY,
        )


def install_root(ctx: Context, name: str, certificate_pem: str, *, actor: str = OPERATOR) -> Authority:
    """Make a new root known; that devices are to trust it, only a root they trust can tell them."""
    certificate = _one(certificate_pem)
    lint(certificate, profiles.ROOT, issuer=None)
    with ctx.transaction(actor, "install_root", name) as tx:
        _require_free_name(tx.session, name)
        return authorities.register(
            tx,
            AuthorityKind.ROOT,
            name,
            certificate,
            chain_pem="",
            key_uri=None,
            issuer_id=None,
            crl_partitions=1,
        )


def create_bootstrap_authority(
    ctx: Context, name: str, *, key_uri: str | None = None, actor: str = OPERATOR
) -> Authority:
    """Make an authority for the bootstrap certificates of a factory batch: self-signed, below no root."""
    with ctx.transaction(actor, "create_authority", name) as tx:
        _require_free_name(tx.session, name)
        uri = key_uri or key_file(name)
        key = _key(ctx, uri)
        certificate = self_signed(profiles.BOOTSTRAP_CA, f"fleetpki bootstrap CA {name}", key, tx.now)
        return authorities.register(
            tx,
            AuthorityKind.BOOTSTRAP,
            name,
            certificate,
            chain_pem="",
            key_uri=uri,
            issuer_id=None,
            crl_partitions=1,
        )


def activate(ctx: Context, name: str, *, actor: str = OPERATOR) -> Authority:
    """Let an issuing authority sign all new certificates, in place of the one that did."""
    with ctx.transaction(actor, "activate_authority", name) as tx:
        authority = authorities.named(tx.session, name)
        if authority.kind != AuthorityKind.ISSUING or authority.state not in authorities.IN_USE:
            raise Rejected(Code.NOT_ALLOWED, f"{name} is {authority.state}, kind {authority.kind}")
        authorities.issuer(ctx, authority)  # its key has to be at hand
        for former in authorities.in_use(tx.session, AuthorityKind.ISSUING):
            if former.state == AuthorityState.ACTIVE and former is not authority:
                _change(tx, former, AuthorityState.RETIRING)
        _change(tx, authority, AuthorityState.ACTIVE)
        return authority


def retire(ctx: Context, name: str, *, actor: str = OPERATOR) -> Authority:
    """End an authority that signs nothing new and has no certificates at work any more.

    Those of our own that another authority has certified anew end with it.
    """
    with ctx.transaction(actor, "retire_authority", name) as tx:
        authority = authorities.named(tx.session, name)
        if authority.kind == AuthorityKind.ISSUING and authority.state == AuthorityState.ACTIVE:
            raise Rejected(Code.NOT_ALLOWED, f"{name} signs new certificates: activate another one first")
        replaced = replaced_by_others(tx, authority)
        _require_nothing_at_work(tx, authority, besides=[each.id for each in replaced])
        for certificate in replaced:
            supersede(tx, certificate)
        _change(tx, authority, AuthorityState.RETIRED)
        return authority


def _require_nothing_at_work(tx: Transaction, authority: Authority, besides: Sequence[int]) -> None:
    certificates = select(Certificate.common_name).where(
        Certificate.issuer_id == authority.authority_id,
        Certificate.state.in_(LIVE_CERTIFICATE),
        Certificate.not_after > tx.now,
        Certificate.id.not_in(besides),
    )
    below = select(Authority.name).where(
        Authority.issuer_id == authority.authority_id,
        Authority.kind == AuthorityKind.ISSUING,
        Authority.state.in_(authorities.IN_USE),
    )
    at_work = union_all(certificates, below).subquery()
    count = tx.session.scalar(select(func.count()).select_from(at_work)) or 0
    if count:
        names = tx.session.scalars(select(at_work).limit(_NAMED + 1)).all()
        some = ", ".join(names[:_NAMED]) + (", …" if count > _NAMED else "")
        raise Rejected(
            Code.NOT_ALLOWED, f"{count} certificates of {authority.name} are still at work: {some}"
        )


def _change(tx: Transaction, authority: Authority, state: AuthorityState) -> None:
    if authority.state != state:
        authority.state = state
        tx.audit(f"authority.{state}", authority.name, authority_id=authority.authority_id)


def _key(ctx: Context, uri: str) -> PrivateKey:
    """The key there, made now unless an earlier attempt made it."""
    try:
        return ctx.keyring.key(uri)
    except KeyUnavailable:
        return ctx.keyring.create(uri, KeyType.EC_P256)


def check_name(name: str) -> None:
    """Refuse a name that cannot be part of a file's name and of an address."""
    if _NAME.fullmatch(name) is None:
        raise FleetError(f"{name!r} is no name for an authority", "use 1 to 32 of a-z 0-9 -", exit_code=2)


def _require_free_name(session: Session, name: str) -> None:
    check_name(name)
    if session.scalar(select(Authority).where(Authority.name == name)) is not None:
        raise Rejected(Code.NOT_ALLOWED, f"there is, or was, an authority {name}")


def _root_of(session: Session, certificate: x509.Certificate) -> Authority:
    for root in authorities.in_use(session, AuthorityKind.ROOT):
        if _is_issued_by(certificate, x509.load_pem_x509_certificate(root.pem.encode())):
            return root
    raise Rejected(Code.UNTRUSTED, f"no root of this fleet certified {common_name(certificate)}")


def _require_leads_on(root: Authority, chain_pem: str) -> None:
    """Refuse a chain that does not continue with certificates for the root's own key."""
    key = x509.load_pem_x509_certificate(root.pem.encode()).public_key()
    others = x509.load_pem_x509_certificates(chain_pem.encode()) if chain_pem else []
    if len(others) > _MAX_CHAIN or any(other.public_key() != key for other in others):
        raise Rejected(Code.UNTRUSTED, f"the chain has certificates that are not of the root {root.name}")


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _one(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise FleetError("this is no certificate in PEM", "name the file of one", exit_code=2) from error
