# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Somebody claims to be a device that is at work or another batch's: a repaired device, or a thief.

A human decides.

A claim is for one key where that is known: an approval is of no use to others. The broker refuses the
bootstrap certificate under the name of a device at work; such an attempt is a claim without a key, and its
approval lets the device enrol once, with any key, for a while. A claim never changes what it is for, because
somebody may be looking at it: one with a key takes the place of one without, under a number of its own.
"""

from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from fleetpki.errors import Code, NotFound, Rejected
from fleetpki.lifecycle.context import OPERATOR, Context, Transaction
from fleetpki.lifecycle.parties import may_enroll, require_in_service
from fleetpki.registry import queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import Claim, ClaimState, Device

RETRY_AFTER_S = 300
"""When a claimant may ask again whether somebody has decided."""

_KEYLESS_APPROVAL = timedelta(hours=24)
_DENIAL_HOLDS = timedelta(hours=24)
"""How long a denial keeps refused connections, which may be another's by then, from being claims."""


def file_claim(tx: Transaction, device: Device, key_digest: str, sender: str) -> Rejected:
    """Put an enrolment before a human; returns what to tell the claimant meanwhile."""
    latest = _latest(tx.session, device.device_id, key_digest)
    if latest is not None and latest.state == ClaimState.DENIED:
        return Rejected(Code.NOT_ALLOWED, f"claim {latest.id} to be {device.device_id} was denied")
    waiting = _waiting(tx.session, device.device_id)
    if waiting is not None and waiting.key_digest is None:
        _replace(tx, waiting)
        waiting = None
    if waiting is None:
        waiting = _add(tx, device.device_id, key_digest, sender)
    which = "" if waiting.key_digest == key_digest else ", which is for another key,"
    message = f"{device.device_id} is known already; claim {waiting.id}{which} waits for its operator"
    return Rejected(Code.NOT_ALLOWED, message, RETRY_AFTER_S)


def record_claim(ctx: Context, device_id: str, sender: str) -> None:
    """Note that the broker refused a bootstrap connection under the name of a device at work."""
    with reading(ctx.sessions) as session:
        if _is_known_claim(session, device_id, ctx.clock()):
            return
    with ctx.transaction(sender, "connect", device_id) as tx:
        device = queries.device(tx.session, device_id, lock=True)
        if device is None or may_enroll(ctx, tx.session, device_id):
            return
        if not _is_known_claim(tx.session, device_id, tx.now):
            _add(tx, device_id, None, sender)


def approve_claim(ctx: Context, claim_id: int, *, actor: str = OPERATOR) -> Claim:
    """Let the claimant be the device: its next request is answered."""
    with ctx.transaction(actor, "approve_claim", str(claim_id)) as tx:
        claim, device = _found(tx, claim_id)
        require_in_service(device)
        if _decide(tx, claim, ClaimState.APPROVED) and claim.key_digest is None:
            device.reenroll_until = tx.now + _KEYLESS_APPROVAL
        return claim


def deny_claim(ctx: Context, claim_id: int, *, actor: str = OPERATOR) -> Claim:
    """Turn the claimant away: a key for good, a refused connection for a day."""
    with ctx.transaction(actor, "deny_claim", str(claim_id)) as tx:
        claim, _ = _found(tx, claim_id)
        _decide(tx, claim, ClaimState.DENIED)
        return claim


def use_approval(tx: Transaction, device: Device, key_digest: str) -> bool:
    """Whether a human has approved that this key becomes the device's; that is good for once."""
    claim = _latest(tx.session, device.device_id, key_digest)
    if claim is None or claim.state != ClaimState.APPROVED:
        return False
    claim.state = ClaimState.USED
    tx.audit("claim.used", device.device_id, claim=claim.id, key_digest=key_digest)
    return True


def _add(tx: Transaction, device_id: str, key_digest: str | None, sender: str) -> Claim:
    claim = Claim(
        device_id=device_id,
        state=ClaimState.WAITING,
        key_digest=key_digest,
        sender=sender,
        claimed_at=tx.now,
    )
    tx.session.add(claim)
    tx.session.flush()
    tx.audit("claim.recorded", device_id, claim=claim.id, key_digest=key_digest)
    return claim


def _replace(tx: Transaction, claim: Claim) -> None:
    claim.state = ClaimState.REPLACED
    tx.session.flush()  # only one may wait
    tx.audit("claim.replaced", claim.device_id, claim=claim.id)


def _found(tx: Transaction, claim_id: int) -> tuple[Claim, Device]:
    """A claim and its device, locked: with that, its claims stay what they are."""
    claim = tx.session.get(Claim, claim_id)
    if claim is None:
        raise NotFound(f"no claim {claim_id}", "`fleetpki quarantine list` shows them")
    device = tx.session.get_one(Device, claim.device_id, with_for_update=True)
    tx.session.refresh(claim)
    return claim, device


def _decide(tx: Transaction, claim: Claim, decision: ClaimState) -> bool:
    """Decide, once; whether that had not been decided before."""
    if claim.state == decision:
        return False
    if claim.state == ClaimState.REPLACED:
        raise Rejected(Code.STALE, f"claim {claim.id} was replaced by a later one, for a key: look at that")
    if claim.state != ClaimState.WAITING:
        raise Rejected(Code.STALE, f"claim {claim.id} is {claim.state} already")
    claim.state = decision
    claim.decided_at = tx.now
    claim.decided_by = tx.actor
    tx.audit(f"claim.{decision}", claim.device_id, claim=claim.id, key_digest=claim.key_digest)
    return True


def _waiting(session: Session, device_id: str) -> Claim | None:
    return session.scalar(
        select(Claim).where(Claim.device_id == device_id, Claim.state == ClaimState.WAITING)
    )


def _latest(session: Session, device_id: str, key_digest: str) -> Claim | None:
    query = select(Claim).where(Claim.device_id == device_id, Claim.key_digest == key_digest)
    return session.scalar(query.order_by(Claim.id.desc()).limit(1))


def _is_known_claim(session: Session, device_id: str, now: datetime) -> bool:
    """Whether somebody has to decide about the device, or has just denied: more claims tell no more."""
    just_denied = and_(Claim.state == ClaimState.DENIED, Claim.decided_at > now - _DENIAL_HOLDS)
    known = or_(Claim.state == ClaimState.WAITING, just_denied)
    return session.scalar(select(Claim.id).where(Claim.device_id == device_id, known).limit(1)) is not None
