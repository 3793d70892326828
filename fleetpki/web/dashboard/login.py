# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Logging in: the browser keeps the token in a cookie that no script can read and no other site can use."""

from urllib.parse import parse_qs

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from fleetpki.lifecycle import Principal
from fleetpki.web import security
from fleetpki.web.security import AccessRefused, Ctx

#: Browsers take a cookie of this prefix only over TLS, for this host alone and for all of it.
COOKIE = "__Host-fleetpki"
_HOURS = 8
_MAX_FIELDS = 10


class LoginNeeded(Exception):  # noqa: N818 - leads to a page, not to a report
    """Nobody has logged in, or not for long enough."""


def visitor(request: Request, ctx: Ctx) -> Principal:
    """Who looks at the dashboard: by cookie, or by an operator's certificate."""
    token = request.cookies.get(COOKIE)
    if token is None and request.state.certificate_id is None:
        raise LoginNeeded
    try:
        return security.authenticate(request, ctx, token)
    except AccessRefused as refused:
        raise LoginNeeded from refused


async def submitted_token(request: Request) -> str:
    """The token from the login form."""
    try:
        fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=_MAX_FIELDS)
    except ValueError:  # more fields than the form has
        return ""
    return fields.get("token", [""])[0].strip()


def log_in(request: Request, ctx: Ctx, token: str) -> Response:
    """Check a token and have the browser keep it; AccessRefused when it is none."""
    security.authenticate(request, ctx, token)
    response = RedirectResponse("/", 303)
    response.set_cookie(
        COOKIE, token, max_age=_HOURS * 3600, secure=True, httponly=True, samesite="strict", path="/"
    )
    return response


def log_out() -> Response:
    """Have the browser forget the token."""
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="strict", path="/")
    return response
