# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Record, then sign: no signature leaves the process before the registry knows the certificate.

1. ``record`` writes serial number, key, name and validity; the caller's transaction commits.
2. ``sign`` signs exactly what was recorded, outside any transaction.
3. ``complete`` writes the signed certificate in a second transaction; only then may it be released.

A crash in between leaves a record. The repeated request finds it and goes on from there; two workers that
sign the same record agree in step 3 on the one certificate that is released.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from cryptography import x509
from sqlalchemy import bindparam, select, update

from fleetpki.errors import Code, Rejected, Unavailable
from fleetpki.lifecycle import authorities
from fleetpki.lifecycle.context import CLOUD, Context, Transaction
from fleetpki.lifecycle.transitions import REPLACED, advance, revoke
from fleetpki.pki import profiles
from fleetpki.pki.identifiers import certificate_id, key_digest
from fleetpki.pki.issuer import Plan, to_pem
from fleetpki.pki.keyring import KeyUnavailable
from fleetpki.pki.keys import PublicKey
from fleetpki.registry import queries
from fleetpki.registry.exclusion import serialize
from fleetpki.registry.models import (
    LIVE_CERTIFICATE,
    Authority,
    Base,
    Certificate,
    CertificateState,
    Device,
    Role,
    RotationState,
)

log = logging.getLogger(__name__)

_PROFILES = {
    Role.DEVICE: profiles.DEVICE,
    Role.BOOTSTRAP: profiles.BOOTSTRAP,
    Role.SERVICE: profiles.SERVICE,
    Role.BROKER: profiles.BROKER,
    Role.PERSON: profiles.PERSON,
}

_TABLE = Base.metadata.tables[Certificate.__tablename__]
_COMPLETE = (
    update(_TABLE)
    .where(_TABLE.c.serial == bindparam("of"), _TABLE.c.state == CertificateState.RECORDED)
    .values({name: bindparam(name) for name in ("state", "certificate_id", "pem", "issued_at")})
)


def holders_of(tx: Transaction, key_digest: str) -> Sequence[Certificate]:
    """Everything ever certified for a key, which nobody else gets certified meanwhile."""
    serialize(tx.session.connection(), ("key", key_digest))
    return queries.certificates_with_key(tx.session, key_digest)


def require_own_key(holders: Sequence[Certificate], device_id: str) -> None:
    """Refuse a key that somebody else has: a clone, a copied flash image or a broken random generator."""
    if any(holder.device_id != device_id for holder in holders):
        raise Rejected(Code.WEAK_KEY, "this key is another holder's; make a new one from good randomness")


def require_not_replaced(holders: Sequence[Certificate], device_id: str, request_id: str) -> None:
    """Refuse a late copy of a request whose certificate a newer request has replaced."""
    if any(
        certificate.device_id == device_id
        and certificate.request_id == request_id
        and certificate.revocation_reason == REPLACED
        for certificate in holders
    ):
        raise Rejected(Code.STALE, "a newer request has replaced this one")


def replace_unused(tx: Transaction, device: Device) -> None:
    """Withdraw a certificate the device was given and has not used: it is about to get another."""
    former = queries.pending_certificate(tx.session, device.device_id)
    if former is not None:
        revoke(tx, former, REPLACED)


def record(tx: Transaction, planned: Certificate) -> Certificate:
    """Step 1."""
    tx.session.add(planned)
    return planned


def record_device(
    ctx: Context,
    tx: Transaction,
    device_id: str,
    public_key: PublicKey,
    request_id: str | None,
    *,
    batch: str | None = None,
) -> Certificate:
    """Step 1 for a device's key, to be signed by the authority that is active."""
    authority = authorities.active(tx.session)
    return record(
        tx,
        planned(ctx, tx, Role.DEVICE, device_id, public_key, authority, request_id=request_id, batch=batch),
    )


def planned(
    ctx: Context,
    tx: Transaction,
    role: Role,
    common_name: str,
    public_key: PublicKey,
    authority: Authority,
    *,
    validity: timedelta | None = None,
    request_id: str | None = None,
    batch: str | None = None,
) -> Certificate:
    """What step 1 records: a certificate for a role, to be signed by this authority."""
    is_device = role == Role.DEVICE
    if validity is None and is_device:
        validity = ctx.policy.device_validity
    try:
        issuer = authorities.issuer(ctx, authority)
        plan = issuer.plan(_PROFILES[role], common_name, public_key, tx.now, validity=validity)
    except KeyUnavailable as error:
        raise _put_off(ctx, error) from error
    certificate = Certificate(
        role=role,
        device_id=common_name if is_device else None,
        common_name=plan.common_name,
        serial=f"{plan.serial:x}",
        key_digest=key_digest(public_key),
        not_before=plan.not_before,
        not_after=plan.not_after,
        state=CertificateState.RECORDED,
        issuer_id=authority.authority_id,
        crl_partition=plan.crl_partition,
        batch=batch,
        request_id=request_id,
        recorded_at=tx.now,
    )
    tx.audit(
        "certificate.recorded", common_name, serial=certificate.serial, key_digest=certificate.key_digest
    )
    return certificate


def sign(
    ctx: Context, recorded: Certificate, public_key: PublicKey, hosts: Sequence[str] = ()
) -> x509.Certificate:
    """Step 2; when it is ``Unavailable`` the record waits for the next try."""
    plan = Plan(
        profile=_PROFILES[recorded.role],
        common_name=recorded.common_name,
        public_key=public_key,
        serial=int(recorded.serial, 16),
        not_before=recorded.not_before,
        not_after=recorded.not_after,
        crl_partition=recorded.crl_partition,
        hosts=tuple(hosts),
    )
    try:
        return authorities.issuer_of(ctx, recorded).sign(plan)
    except KeyUnavailable as error:
        raise _put_off(ctx, error) from error


def release(
    ctx: Context, actor: str, recorded: Certificate, public_key: PublicKey, hosts: Sequence[str] = ()
) -> Certificate:
    """Steps 2 and 3, unless they were done before."""
    if recorded.state != CertificateState.RECORDED:
        return recorded
    with ctx.auditing_refusals(actor, "issue", recorded.common_name):
        signed = sign(ctx, recorded, public_key, hosts)
    with ctx.transaction(actor, "issue", recorded.common_name) as tx:
        return complete(tx, recorded, signed)


def _put_off(ctx: Context, error: KeyUnavailable) -> Unavailable:
    log.error("nothing can be signed: %s", error.message)
    return Unavailable("nothing can be signed now", ctx.policy.busy_retry_after_s)


@dataclass(frozen=True)
class Signed:
    """A recorded certificate, signed, and for whom that was done."""

    recorded: Certificate
    certificate: x509.Certificate
    actor: str = CLOUD

    @cached_property
    def certificate_id(self) -> str:
        """The id of the certificate."""
        return certificate_id(self.certificate)

    @cached_property
    def pem(self) -> str:
        """The certificate, in PEM."""
        return to_pem(self.certificate)

    def news(self, now: datetime) -> dict[str, Any]:
        """What the registry is told in step 3."""
        return {
            "state": CertificateState.ISSUED,
            "certificate_id": self.certificate_id,
            "pem": self.pem,
            "issued_at": now,
        }


def complete(tx: Transaction, recorded: Certificate, signed: x509.Certificate) -> Certificate:
    """Step 3; returns the certificate to release, another worker's if that was first."""
    just_signed = Signed(recorded, signed)
    _write(tx, [just_signed])
    return _outcome(tx, just_signed, _found(tx, [just_signed])[recorded.serial])


def complete_all(ctx: Context, all_signed: Sequence[Signed]) -> list[Certificate | Rejected]:
    """Step 3 for many, just recorded here."""
    outcomes: list[Certificate | Rejected] = []
    with ctx.transactions() as transaction_of:
        tx = transaction_of(CLOUD)
        was_first = _write(tx, all_signed)
        certificates = _taken_over(tx, all_signed) if was_first else _found(tx, all_signed)
        for signed in all_signed:
            tx = transaction_of(signed.actor)
            try:
                outcomes.append(_outcome(tx, signed, certificates[signed.recorded.serial]))
            except Rejected as refusal:
                tx.audit_refusal("issue", signed.recorded.common_name, refusal)
                outcomes.append(refusal)
    return outcomes


def _write(tx: Transaction, all_signed: Sequence[Signed]) -> bool:
    """Write what still waits for its certificate; whether that was all of them."""
    rows = [{"of": signed.recorded.serial, **signed.news(tx.now)} for signed in all_signed]
    return tx.session.connection().execute(_COMPLETE, rows).rowcount == len(rows)


def _taken_over(tx: Transaction, all_signed: Sequence[Signed]) -> dict[str, Certificate]:
    """All of them, by serial number, as they were recorded and with what was then written."""
    for signed in all_signed:
        for name, value in signed.news(tx.now).items():
            setattr(signed.recorded, name, value)
    return {signed.recorded.serial: signed.recorded for signed in all_signed}


def _found(tx: Transaction, all_signed: Sequence[Signed]) -> dict[str, Certificate]:
    """All of them, by serial number, as the registry has them."""
    serials = [signed.recorded.serial for signed in all_signed]
    query = select(Certificate).where(Certificate.serial.in_(serials))
    found = tx.session.scalars(query.execution_options(populate_existing=True))
    return {certificate.serial: certificate for certificate in found}


def _outcome(tx: Transaction, signed: Signed, certificate: Certificate) -> Certificate:
    if certificate.certificate_id == signed.certificate_id:
        tx.audit(
            "certificate.issued",
            certificate.common_name,
            certificate_id=certificate.certificate_id,
            serial=certificate.serial,
        )
        is_enrolment = certificate.batch is not None
        rotation = None if is_enrolment else queries.rotation_to(tx.session, certificate)
        if rotation is not None:
            advance(tx, rotation, RotationState.ISSUED)
    elif certificate.state not in LIVE_CERTIFICATE:
        raise Rejected(Code.STALE, f"the certificate was {certificate.state} while it was being made")
    return certificate
