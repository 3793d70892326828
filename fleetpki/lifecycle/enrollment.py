# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A device becomes known: its first operational certificate, or another one after it lost the first."""

from dataclasses import dataclass
from datetime import timedelta

from fleetpki.errors import Code, Rejected
from fleetpki.lifecycle import admission, authorities, issuance, quarantine
from fleetpki.lifecycle.admission import Facts
from fleetpki.lifecycle.context import OPERATOR, Context, Transaction
from fleetpki.lifecycle.parties import known_device, may_reenroll, require_in_service
from fleetpki.lifecycle.terms import Applicant, Application, Enrolled
from fleetpki.lifecycle.transitions import close
from fleetpki.pki import keys
from fleetpki.pki.csr_policy import check_csr
from fleetpki.pki.identifiers import is_device_id, key_digest
from fleetpki.pki.keys import KeyType, PrivateKey, PublicKey
from fleetpki.registry import queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import Certificate, Device, RotationState
from fleetpki.times import rfc3339


@dataclass(frozen=True)
class _Key:
    """What is to be certified; ``private`` when it is made here."""

    public: PublicKey
    private: PrivateKey | None = None

    @property
    def digest(self) -> str:
        return key_digest(self.public)


def enroll(ctx: Context, application: Application) -> Enrolled:
    """Certify a device's key. The same key again gets the same certificate.

    A key made here, if the batch permits that, is another one at each repetition.
    """
    sender, device_id = application.sender, application.device_id
    with ctx.auditing_refusals(sender, "enroll", device_id):
        key = _key_of(application)
        _ask_hooks(ctx, application, key)
    with ctx.transaction(sender, "enroll", device_id) as tx:
        facts = admission.gather(tx.session, application, tx.now, ctx.batch_secret, lock=True)
        admission.require_admissible(facts)
        _require_source(facts, key)
        device = facts.device or admission.admit(tx, facts)
        recorded = _earlier_answer(tx, facts, key) or _record(ctx, tx, facts, device, key)
    certificate = issuance.release(ctx, sender, recorded, key.public)
    return answer(ctx, certificate, key.private)


def answer(ctx: Context, certificate: Certificate, private_key: PrivateKey | None = None) -> Enrolled:
    """What a device is told that has been enrolled."""
    return Enrolled(
        certificate_pem=certificate.signed_pem,
        chain_pem=authorities.chain(ctx, certificate),
        certificate_id=certificate.signed_id,
        time=ctx.clock(),
        private_key_pem=keys.private_key_pem(private_key).decode("ascii") if private_key else None,
    )


def allow_reenrollment(ctx: Context, device_id: str, within: timedelta, *, actor: str = OPERATOR) -> None:
    """Let a device that holds a live certificate enrol once more, say after a factory reset."""
    with ctx.transaction(actor, "allow_reenrollment", device_id) as tx:
        device = known_device(tx, device_id)
        require_in_service(device)
        device.reenroll_until = tx.now + within
        tx.audit("device.reenrollment_allowed", device_id, until=rfc3339(device.reenroll_until))


def _key_of(application: Application) -> _Key:
    if not is_device_id(application.device_id):
        raise Rejected(Code.BAD_MESSAGE, "not a device id: 3 to 64 of A-Z a-z 0-9 _ -")
    if application.csr_pem is not None:
        return _Key(check_csr(application.csr_pem, application.device_id).public_key)
    made_here = keys.generate(KeyType.EC_P256)
    return _Key(made_here.public_key(), made_here)


def _ask_hooks(ctx: Context, application: Application, key: _Key) -> None:
    """Ask the operator's own rules, outside of the transaction, about who our rules would admit."""
    if not ctx.hooks:
        return
    with reading(ctx.sessions) as session:
        facts = admission.gather(session, application, ctx.clock(), ctx.batch_secret, lock=False)
    admission.require_admissible(facts)
    applicant = Applicant(
        device_id=application.device_id,
        batch=facts.batch.name,
        certificate_id=application.sender,
        key_digest=None if key.private else key.digest,
        hardware=application.hardware,
        is_known=facts.device is not None,
    )
    for hook in ctx.hooks:
        hook(applicant)


def _require_source(facts: Facts, key: _Key) -> None:
    if key.private is not None and not facts.batch.cloud_keys:
        raise Rejected(Code.NOT_ALLOWED, f"batch {facts.batch.name} makes no keys for devices: send a csr")


def _earlier_answer(tx: Transaction, facts: Facts, key: _Key) -> Certificate | None:
    """The certificate this key was given before, unless a repetition has to get another."""
    if facts.device is None or key.private is not None:
        return None
    for certificate in queries.current_certificates(tx.session, facts.device.device_id):
        if certificate.key_digest == key.digest and certificate.not_after > tx.now:
            return certificate
    return None


def _record(ctx: Context, tx: Transaction, facts: Facts, device: Device, key: _Key) -> Certificate:
    request_id, batch = facts.application.request_id, facts.batch
    admission.require_pace(tx.session, batch, tx.now)
    holders = issuance.holders_of(tx, key.digest)
    issuance.require_own_key(holders, device.device_id)
    issuance.require_not_replaced(holders, device.device_id, request_id)
    if facts.device is not None:
        _leave_former_life(tx, facts, device, key)
        issuance.replace_unused(tx, device)
    return issuance.record_device(ctx, tx, device.device_id, key.public, request_id, batch=batch.name)


def _leave_former_life(tx: Transaction, facts: Facts, device: Device, key: _Key) -> None:
    """A known device enrols again: somebody may have to decide, and what was under way is not any more."""
    active = queries.active_certificate(tx.session, device.device_id)
    is_at_work = active is not None and active.not_after > tx.now
    comes_back = not is_at_work and admission.is_of_its_batch(facts, device)
    may_return = comes_back or may_reenroll(device, tx.now)
    if not may_return and not quarantine.use_approval(tx, device, key.digest):
        raise quarantine.file_claim(tx, device, key.digest, facts.application.sender)
    rotation = queries.open_rotation(tx.session, device.device_id)
    if rotation is not None:
        close(tx, rotation, RotationState.ABANDONED, Code.STALE, "the device enrolled again")
