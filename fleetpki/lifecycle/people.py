# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates of people, and of programs, that use the API: each has a name and a role."""

import re
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select

from fleetpki.errors import Code, FleetError, NotFound, Rejected
from fleetpki.lifecycle import authorities, issuance
from fleetpki.lifecycle.context import OPERATOR, Context, Transaction
from fleetpki.lifecycle.own_certificates import activate, earlier
from fleetpki.lifecycle.transitions import revoke
from fleetpki.pki import profiles
from fleetpki.pki.csr_policy import check_csr
from fleetpki.registry.database import reading
from fleetpki.registry.models import (
    IS_OF_CLOUD,
    LIVE_CERTIFICATE,
    ApiRole,
    Certificate,
    CertificateState,
    Role,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PEOPLE = select(Certificate).where(Certificate.api_role.is_not(None)).order_by(Certificate.id)


def certify_person(
    ctx: Context,
    name: str,
    role: ApiRole,
    csr_pem: str,
    *,
    validity: timedelta = profiles.PERSON.validity,
    actor: str = OPERATOR,
) -> Certificate:
    """Certify the key of somebody who may use the API in a role. The same key again, the same certificate."""
    if _NAME.fullmatch(name) is None:
        raise FleetError(
            f"{name!r} is no name for a person",
            "use 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit",
            exit_code=2,
        )
    with ctx.transaction(actor, "certify_person", name) as tx:
        key = check_csr(csr_pem, name).public_key
        _require_free_name(tx, name)
        recorded = earlier(tx, key, Role.PERSON, name)
        if recorded is None:
            authority = authorities.active(tx.session)
            planned = issuance.planned(ctx, tx, Role.PERSON, name, key, authority, validity=validity)
            recorded = issuance.record(tx, planned)
            recorded.api_role = role
            tx.audit("person.certified", name, role=role)
        elif recorded.api_role != role:
            raise Rejected(Code.NOT_ALLOWED, f"this key has the role {recorded.api_role}; make another")
    return activate(ctx, actor, issuance.release(ctx, actor, recorded, key))


def people(ctx: Context) -> Sequence[Certificate]:
    """The certificates that permit something at the API, oldest first."""
    with reading(ctx.sessions) as session:
        return session.scalars(_PEOPLE).all()


def revoke_person(ctx: Context, name: str, reason: str, *, actor: str = OPERATOR) -> None:
    """End all certificates of a person, at once and for good."""
    with ctx.transaction(actor, "revoke_person", name) as tx:
        found = tx.session.scalars(_PEOPLE.where(Certificate.common_name == name)).all()
        if not found:
            raise NotFound(f"nobody is called {name}", "`fleetpki person list` shows them")
        _require_free_name(tx, name)
        for certificate in found:
            if certificate.state != CertificateState.REVOKED:
                revoke(tx, certificate, reason)


def _require_free_name(tx: Transaction, name: str) -> None:
    """The name of a part of the cloud is nobody else's: the audit chain calls it by that."""
    ours = select(Certificate).where(IS_OF_CLOUD)
    if any(each.common_name == name and each.state in LIVE_CERTIFICATE for each in tx.session.scalars(ours)):
        raise Rejected(Code.NOT_ALLOWED, f"{name} is the name of a part of the cloud")
