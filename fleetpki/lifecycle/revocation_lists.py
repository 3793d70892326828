# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Revocation lists: signed for a week every day, and as soon as there is something new to tell.

A list is overdue only if nothing could be signed for six days: time enough to notice and to repair.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from sqlalchemy import ColumnElement, Integer, func, literal_column, select
from sqlalchemy.orm import Session

from fleetpki.errors import Code, FleetError, Rejected
from fleetpki.lifecycle import authorities
from fleetpki.lifecycle.context import CLOUD, OPERATOR, Context
from fleetpki.lifecycle.revocation import revoke_orphans
from fleetpki.pki import keys
from fleetpki.pki.crl import ListPlan, sign_list
from fleetpki.pki.keyring import KeyUnavailable
from fleetpki.pki.reasons import Revocation, reason_code
from fleetpki.registry.database import reading
from fleetpki.registry.models import (
    Authority,
    AuthorityKind,
    AuthorityState,
    Certificate,
    CertificateState,
    RevocationList,
)

VALIDITY = timedelta(days=7)
REFRESH = timedelta(days=1)

_SETTLED = timedelta(minutes=1)
"""Every transaction that was to revoke something this long ago is over. A list is dated back that far, so a
revocation that became visible after its list was made is newer than the list, and is found."""


def newest(session: Session, authority_id: str, partition: int) -> RevocationList | None:
    """The newest list of a partition."""
    return session.get(RevocationList, (authority_id, partition))


def oldest(ctx: Context, session: Session) -> list[tuple[str, datetime, datetime]]:
    """When the oldest list of each authority was made, and when the first is overdue; by name.

    Only of those whose lists go on: that sign them here, and the roots.
    """
    going_on = [*authorities.in_use(session, AuthorityKind.ROOT), *_signing(ctx, session)]
    query = (
        select(Authority.name, func.min(RevocationList.this_update), func.min(RevocationList.next_update))
        .join(RevocationList, RevocationList.authority_id == Authority.authority_id)
        .where(Authority.authority_id.in_([authority.authority_id for authority in going_on]))
        .group_by(Authority.name)
        .order_by(Authority.name)
    )
    return [(name, made, due) for name, made, due in session.execute(query)]


def publish(ctx: Context, authority_id: str | None = None) -> list[RevocationList]:
    """Sign all lists anew: of one authority, or of all whose keys are here."""
    with reading(ctx.sessions) as session:
        signing = _signing(ctx, session)
    chosen = [authority for authority in signing if authority_id in (None, authority.authority_id)]
    return _publish_all(
        ctx,
        [(authority, partition) for authority in chosen for partition in range(_partitions(ctx, authority))],
    )


def publish_due(ctx: Context) -> list[RevocationList]:
    """Sign the lists that are missing, a day old, or lack a revocation. To be called every few seconds."""
    with reading(ctx.sessions) as session:
        due = list(_due(ctx, session))
    return _publish_all(ctx, due)


def install_list(ctx: Context, der: bytes, *, actor: str = OPERATOR) -> RevocationList:
    """Take over a list that a root signed where its key is.

    The authorities it revokes sign no more, and what they have signed is revoked. When that was interrupted,
    the same list again goes on with it.
    """
    try:
        crl = x509.load_der_x509_crl(der)
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (ValueError, x509.ExtensionNotFound) as error:
        raise FleetError("this is no revocation list of a root", "make one with 'ca root-crl'", 2) from error
    with ctx.transaction(actor, "install_crl", "root") as tx:
        root = _signer(tx.session, crl)
        former = newest(tx.session, root.authority_id, 0)
        if former is not None and former.number >= number and former.der != der:
            raise Rejected(Code.STALE, f"the list of {root.name} here is as new, or newer")
        installed = RevocationList(
            authority_id=root.authority_id,
            partition=0,
            number=number,
            this_update=crl.last_update_utc,
            next_update=crl.next_update_utc,
            der=der,
        )
        tx.audit("crl.installed", root.name, number=number, entries=len(crl))
        authorities.revoke_listed(tx, root, crl)
        installed = tx.session.merge(installed)
    revoke_orphans(ctx, actor=actor)
    return installed


def _signer(session: Session, crl: x509.CertificateRevocationList) -> Authority:
    for root in authorities.in_use(session, AuthorityKind.ROOT):
        key, _ = keys.accept(x509.load_pem_x509_certificate(root.pem.encode()).public_key())
        if crl.is_signature_valid(key):
            return root
    raise FleetError("no root of this fleet signed this list", "'fleetpki ca list' shows the roots", 2)


def _signing(ctx: Context, session: Session) -> Sequence[Authority]:
    """The authorities that sign lists here, also revoked ones; the root's comes from where its key is."""
    query = select(Authority).where(
        Authority.kind.in_((AuthorityKind.ISSUING, AuthorityKind.BOOTSTRAP)),
        Authority.state != AuthorityState.RETIRED,
        Authority.key_uri.is_not(None),
        Authority.not_after > ctx.clock(),
    )
    return session.scalars(query.order_by(Authority.created_at.desc(), Authority.name)).all()


def _partitions(ctx: Context, authority: Authority) -> int:
    """Without an address in the certificates nobody could tell partitions apart: there is one list of all."""
    return 1 if ctx.policy.public_url is None else authority.crl_partitions


def _due(ctx: Context, session: Session) -> Iterator[tuple[Authority, int]]:
    signing = _signing(ctx, session)
    times = select(RevocationList.authority_id, RevocationList.partition, RevocationList.this_update)
    lists = {(authority_id, partition): at for authority_id, partition, at in session.execute(times)}
    revoked = _last_revoked(ctx, session, min(lists.values(), default=ctx.clock()))
    for authority in signing:
        for partition in range(_partitions(ctx, authority)):
            place = (authority.authority_id, partition)
            signed_at = lists.get(place)
            if (
                signed_at is None
                or not signed_at <= ctx.clock() < signed_at + REFRESH  # our clock may have been ahead
                or revoked.get(place, signed_at) > signed_at
            ):
                yield authority, partition


def _last_revoked(ctx: Context, session: Session, since: datetime) -> dict[tuple[str, int], datetime]:
    place = (Certificate.issuer_id, _partition(ctx).label("partition"))
    query = select(*place, func.max(Certificate.revoked_at)).where(Certificate.revoked_at > since)
    rows = session.execute(query.group_by(*place))
    return {(row[0], row[1]): row[2] for row in rows if row[0] is not None and row[2] is not None}


def _partition(ctx: Context) -> ColumnElement[int]:
    if ctx.policy.public_url is None:
        return literal_column("CAST(0 AS INTEGER)", Integer)  # GROUP BY 0 would mean a column
    return func.coalesce(Certificate.crl_partition, 0)


def _publish_all(ctx: Context, places: Sequence[tuple[Authority, int]]) -> list[RevocationList]:
    """Sign these lists. An authority whose key is not there holds up no other, and is told of at the end."""
    published = []
    unable: dict[str, KeyUnavailable] = {}
    for authority, partition in places:
        if authority.authority_id not in unable:
            try:
                published.append(_publish(ctx, authority, partition))
            except KeyUnavailable as error:
                unable[authority.authority_id] = error
    for reason in unable.values():
        raise reason
    return published


def _publish(ctx: Context, authority: Authority, partition: int) -> RevocationList:
    now = ctx.clock().replace(microsecond=0)
    with reading(ctx.sessions) as session:
        previous = newest(session, authority.authority_id, partition)
        revocations = _revocations(ctx, session, authority, partition, now)
    plan = ListPlan(
        # The time keeps numbers growing even when the registry comes from a backup.
        number=max(int(now.timestamp()), previous.number + 1 if previous else 0),
        this_update=now - _SETTLED,
        next_update=now + VALIDITY,
        partition=None if ctx.policy.public_url is None else partition,
    )
    der = sign_list(authorities.issuer(ctx, authority), plan, revocations)
    with ctx.transaction(CLOUD, "publish", authority.name) as tx:
        stored = tx.session.get(RevocationList, (authority.authority_id, partition), with_for_update=True)
        if stored is not None and stored.number >= plan.number:
            return stored  # somebody else was faster; what that list lacks is found the next time
        published = RevocationList(
            authority_id=authority.authority_id,
            partition=partition,
            number=plan.number,
            this_update=plan.this_update,
            next_update=plan.next_update,
            der=der,
        )
        tx.audit(
            "crl.published",
            authority.name,
            partition=partition,
            number=plan.number,
            entries=len(revocations),
        )
        return tx.session.merge(published)


def _revocations(
    ctx: Context, session: Session, authority: Authority, partition: int, now: datetime
) -> list[Revocation]:
    """What a list has to tell; an expired certificate stays on one list beyond its end (RFC 5280, 3.3)."""
    query = select(Certificate.serial, Certificate.revoked_at, Certificate.revocation_reason).where(
        Certificate.issuer_id == authority.authority_id,
        _partition(ctx) == partition,
        Certificate.state == CertificateState.REVOKED,
        Certificate.not_after > now - 2 * REFRESH,
    )
    rows = session.execute(query.order_by(Certificate.id))
    return [Revocation(int(serial, 16), at, reason_code(reason)) for serial, at, reason in rows if at]
