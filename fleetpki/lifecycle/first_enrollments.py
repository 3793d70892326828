# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""First enrolments, many at once: a factory line is switched on, a fleet comes back after a power cut.

This is for what is plain: device and key are nobody's yet, and the batch has room. The rules are those of
``admission``; who needs more of them is left to ``enrollment``, which looks at one device at a time.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from fleetpki.errors import RegistryUnavailable, Rejected, Unavailable
from fleetpki.lifecycle import admission, authorities, enrollment, issuance
from fleetpki.lifecycle.admission import Facts
from fleetpki.lifecycle.context import CLOUD, Context, Transaction
from fleetpki.lifecycle.issuance import Signed
from fleetpki.lifecycle.parties import require_bootstrap
from fleetpki.lifecycle.terms import Application, Enrolled
from fleetpki.pki.csr_policy import AcceptedCsr, check_csr
from fleetpki.pki.identifiers import is_device_id
from fleetpki.registry import tags
from fleetpki.registry.bulk import insert_all
from fleetpki.registry.exclusion import serialize
from fleetpki.registry.models import AllowedDevice, Authority, Batch, Certificate, Device, Role

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Candidate:
    """Somebody who may be new."""

    application: Application
    csr: AcceptedCsr


def enroll_newcomers(ctx: Context, applications: Sequence[Application]) -> list[Enrolled | Rejected | None]:
    """Answer those who are plainly new; None for who has to be looked at by ``enroll``."""
    candidates = [_candidate(ctx, each) for each in applications]
    issued = iter(_issue(ctx, [each for each in candidates if each is not None]))
    outcomes = [None if each is None else next(issued) for each in candidates]
    return [enrollment.answer(ctx, each) if isinstance(each, Certificate) else each for each in outcomes]


def _candidate(ctx: Context, application: Application) -> _Candidate | None:
    if application.csr_pem is None or ctx.hooks or not is_device_id(application.device_id):
        return None
    try:
        return _Candidate(application, check_csr(application.csr_pem, application.device_id))
    except Rejected:
        return None


def _issue(ctx: Context, candidates: Sequence[_Candidate]) -> Sequence[Certificate | Rejected | None]:
    if not candidates:
        return []
    recorded = _record(ctx, candidates)
    try:
        signed = [
            Signed(
                certificate,
                issuance.sign(ctx, certificate, candidate.csr.public_key),
                candidate.application.sender,
            )
            for candidate, certificate in zip(candidates, recorded, strict=True)
            if isinstance(certificate, Certificate)
        ]
    except Unavailable:
        return [None if isinstance(each, Certificate) else each for each in recorded]
    issued = iter(issuance.complete_all(ctx, signed) if signed else ())
    return [next(issued) if isinstance(each, Certificate) else each for each in recorded]


def _record(ctx: Context, candidates: Sequence[_Candidate]) -> Sequence[Certificate | Rejected | None]:
    """Make them devices and record their certificates; None for who has to be looked at alone.

    That is everybody when another process was faster, or one of them trips over a mistake of ours: alone it
    takes nobody along.
    """
    try:
        with ctx.transactions() as transaction_of:
            tx = transaction_of(CLOUD)
            known = _Known.of(tx, candidates)
            devices = [
                _admit(ctx, transaction_of(each.application.sender), known, each) for each in candidates
            ]
            admitted = [device for device in devices if isinstance(device, Device)]
            insert_all(tx.session, admitted)
            insert_all(tx.session, [row for device in admitted for row in tags.rows_of(device)])
            authority = authorities.active(tx.session)
            recorded = [
                _planned(ctx, transaction_of(each.application.sender), authority, each, device)
                if isinstance(device, Device)
                else device
                for each, device in zip(candidates, devices, strict=True)
            ]
            insert_all(tx.session, [each for each in recorded if isinstance(each, Certificate)])
            return recorded
    except RegistryUnavailable:
        raise
    except Exception:
        log.info("%d first enrolments are done one by one", len(candidates), exc_info=True)
        return [None] * len(candidates)


def _admit(ctx: Context, tx: Transaction, known: "_Known", candidate: _Candidate) -> Device | Rejected | None:
    try:
        facts = known.facts(ctx, tx, candidate)
        if facts is None:
            return None
        admission.require_admissible(facts)
    except Rejected as refusal:
        tx.audit_refusal("enroll", candidate.application.device_id, refusal)
        return refusal
    return admission.newcomer(tx, facts)


def _planned(
    ctx: Context, tx: Transaction, authority: Authority, candidate: _Candidate, device: Device
) -> Certificate:
    return issuance.planned(
        ctx,
        tx,
        Role.DEVICE,
        device.device_id,
        candidate.csr.public_key,
        authority,
        request_id=candidate.application.request_id,
        batch=device.batch,
    )


@dataclass(frozen=True)
class _Known:
    """What the registry knows about all candidates, asked once."""

    devices: set[str]
    keys: set[str]
    senders: dict[str | None, Certificate]
    batches: dict[str | None, Batch]
    allowed: dict[str, AllowedDevice]
    room: dict[str, float]
    """How many more devices each batch may enrol now."""

    @classmethod
    def of(cls, tx: Transaction, candidates: Sequence[_Candidate]) -> "_Known":
        names = [each.application.device_id for each in candidates]
        digests = [each.csr.key_digest for each in candidates]
        sent_with = {each.application.sender for each in candidates}
        session = tx.session
        senders = session.scalars(select(Certificate).where(Certificate.certificate_id.in_(sent_with))).all()
        batches = session.scalars(
            select(Batch).where(Batch.name.in_({sender.batch for sender in senders}))
        ).all()
        # In the order in which somebody who is looked at alone takes them: nobody waits in a circle.
        serialize(
            session.connection(), *(("batch", batch.name) for batch in batches if admission.counts(batch))
        )
        serialize(session.connection(), *(("device", name) for name in names))
        serialize(session.connection(), *(("key", digest) for digest in digests))
        allowed = select(AllowedDevice).where(AllowedDevice.device_id.in_(names))
        return cls(
            set(session.scalars(select(Device.device_id).where(Device.device_id.in_(names)))),
            set(session.scalars(select(Certificate.key_digest).where(Certificate.key_digest.in_(digests)))),
            {sender.certificate_id: sender for sender in senders},
            {batch.name: batch for batch in batches},
            {line.device_id: line for line in session.scalars(allowed)},
            {
                each.name: min(admission.places(session, each), admission.pace(session, each, tx.now))
                for each in batches
            },
        )

    def facts(self, ctx: Context, tx: Transaction, candidate: _Candidate) -> Facts | None:
        """What there is to judge a candidate by; None when this is no plain first enrolment."""
        application = candidate.application
        name = application.device_id
        sender = require_bootstrap(self.senders.get(application.sender), tx.now)
        batch = admission.require_batch(self.batches.get(sender.batch))
        if self.room[batch.name] <= 0 or name in self.devices or candidate.csr.key_digest in self.keys:
            return None
        self.room[batch.name] -= (
            1  # perhaps for somebody who is then refused: who comes after is looked at alone
        )
        self.devices.add(name)  # who comes with the same name or key is not the first any more
        self.keys.add(candidate.csr.key_digest)
        secret = ctx.batch_secret(batch.name) if batch.proof else None
        return Facts(application, batch, None, self.allowed.get(name), secret, has_places=True)
