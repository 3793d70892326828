# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Who may use the API: bearer tokens, of which only a digest is kept, and operators' certificates."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from fleetpki.errors import Code, FleetError, NotFound, Rejected
from fleetpki.lifecycle.context import OPERATOR, Context
from fleetpki.registry import queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import LIVE_CERTIFICATE, ApiRole, ApiToken
from fleetpki.times import rfc3339

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PREFIX = "fleetpki_"  # lets scanners for leaked secrets recognise a token
_RANKS = tuple(ApiRole)


@dataclass(frozen=True)
class Principal:
    """Somebody who has shown who they are."""

    actor: str
    """The name in the audit chain: ``token:<name>`` or ``certificate:<common name>``."""
    role: ApiRole

    def may_act_as(self, role: ApiRole) -> bool:
        """Whether this role includes the other."""
        return _RANKS.index(self.role) >= _RANKS.index(role)


def create_token(
    ctx: Context, name: str, role: ApiRole, *, valid_for: timedelta | None = None, actor: str = OPERATOR
) -> str:
    """Make a token and return it; it can never be shown again."""
    if _NAME.fullmatch(name) is None:
        raise FleetError(
            f"{name!r} is no name for a token",
            "use 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit",
            exit_code=2,
        )
    token = _PREFIX + secrets.token_urlsafe(32)
    with ctx.transaction(actor, "create_token", name) as tx:
        if tx.session.get(ApiToken, name) is not None:
            raise Rejected(Code.NOT_ALLOWED, f"there is, or was, a token {name}; choose another name")
        expires_at = tx.now + valid_for if valid_for else None
        tx.session.add(
            ApiToken(
                name=name,
                role=role,
                digest=_digest(token),
                created_at=tx.now,
                created_by=actor,
                expires_at=expires_at,
            )
        )
        tx.audit("token.created", name, role=role, expires_at=rfc3339(expires_at) if expires_at else None)
    return token


def tokens(ctx: Context) -> Sequence[ApiToken]:
    """All tokens there are or were, by name."""
    with reading(ctx.sessions) as session:
        return session.scalars(select(ApiToken).order_by(ApiToken.name)).all()


def revoke_token(ctx: Context, name: str, *, actor: str = OPERATOR) -> None:
    """End a token, at once and for good."""
    with ctx.transaction(actor, "revoke_token", name) as tx:
        token = tx.session.get(ApiToken, name, with_for_update=True)
        if token is None:
            raise NotFound(f"no token {name}", "`fleetpki token list` shows them")
        if token.revoked_at is None:
            token.revoked_at = tx.now
            tx.audit("token.revoked", name)


def principal_with_token(ctx: Context, token: str) -> Principal | None:
    """Who holds this token, if it is one and still good."""
    digest = _digest(token)
    with reading(ctx.sessions) as session:
        found = session.scalar(select(ApiToken).where(ApiToken.digest == digest))
    if found is None or not hmac.compare_digest(found.digest, digest) or found.revoked_at is not None:
        return None
    if found.expires_at is not None and found.expires_at <= ctx.clock():
        return None
    return Principal(f"token:{found.name}", found.role)


def principal_with_certificate(ctx: Context, certificate_id: str) -> Principal | None:
    """Who holds this certificate, if it is an operator's and still good."""
    with reading(ctx.sessions) as session:
        found = queries.certificate(session, certificate_id)
    if found is None or found.api_role is None or found.state not in LIVE_CERTIFICATE:
        return None
    if found.not_after <= ctx.clock():
        return None
    return Principal(f"certificate:{found.common_name}", found.api_role)


def record_refusal(ctx: Context, *, actor: str, subject: str, message: str) -> None:
    """Keep in the audit chain that somebody was turned away."""
    with ctx.transaction(actor, "access", subject) as tx:
        tx.audit("access.refused", subject, message=message)


def _digest(token: str) -> str:
    """A fast digest will do: nobody guesses 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()
