# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Who calls the API, and whether their role permits it."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from fleetpki import lifecycle
from fleetpki.lifecycle import Context, Principal
from fleetpki.registry.models import ApiRole
from fleetpki.web.logins import FailedLogins

_bearer = HTTPBearer(auto_error=False, description="A token made with `fleetpki token create`.")
Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


class AccessRefused(Exception):  # noqa: N818 - an answer, not an accident
    """The caller may not do this."""

    def __init__(self, status: int, message: str, retry_after_s: int | None = None) -> None:
        """Refuse with 401 (who are you?), 403 (not you) or 429 (not now)."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s


def context(request: Request) -> Context:
    """What the rules work with."""
    ctx: Context = request.app.state.context
    return ctx


def authenticate(request: Request, ctx: Context, token: str | None) -> Principal:
    """Who is there: by token when one is shown, else by the certificate of the connection."""
    certificate_id: str | None = request.state.certificate_id
    principal = None
    if token is not None:
        principal = lifecycle.principal_with_token(ctx, token)
    elif certificate_id is not None:
        principal = lifecycle.principal_with_certificate(ctx, certificate_id)
    if principal is not None:
        return principal
    if token is not None or certificate_id is not None:
        _note_failure(request, ctx, certificate_id, "no valid token" if token is not None else "no operator")
    raise AccessRefused(401, "show a valid token, or the certificate of an operator")


def _note_failure(request: Request, ctx: Context, certificate_id: str | None, what: str) -> None:
    """Count it and keep it; who fails too often is put off and fills nothing. Nobody else is held up."""
    logins: FailedLogins = request.app.state.failed_logins
    peer = request.client.host if request.client else ""
    if wait_s := logins.wait_s(peer):
        raise AccessRefused(429, "too many failed logins from this address", wait_s)
    logins.failed(peer)
    lifecycle.record_refusal(
        ctx, actor=certificate_id or "anonymous", subject="api", message=f"{what}, from {peer}"
    )


def require(role: ApiRole) -> Callable[..., Principal]:
    """A dependency: the caller, who has this role or one that includes it."""

    def caller(request: Request, ctx: "Ctx", bearer: Bearer) -> Principal:
        principal = authenticate(request, ctx, bearer.credentials if bearer else None)
        if not principal.may_act_as(role):
            action = f"{request.method} {request.scope['route'].path}"
            message = f"{action} takes the role {role}, not {principal.role}"
            lifecycle.record_refusal(ctx, actor=principal.actor, subject="api", message=message)
            raise AccessRefused(403, message)
        return principal

    return caller


Ctx = Annotated[Context, Depends(context)]
Viewer = Annotated[Principal, Depends(require(ApiRole.VIEWER))]
Operator = Annotated[Principal, Depends(require(ApiRole.OPERATOR))]
CaOfficer = Annotated[Principal, Depends(require(ApiRole.CA_OFFICER))]
