# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What browsers are told about every answer, and what is not taken from them."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fleetpki.errors import Code
from fleetpki.web.problems import problem_response

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_OURS = ("same-origin", "none")

#: Everything comes from here, nothing is executed, nobody may frame us.
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
}


class SafeHeaders:
    """Adds the headers, and refuses changes that another site made a browser ask for."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap ``app``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if scope["method"] not in _SAFE_METHODS and _from_elsewhere(Headers(scope=scope)):
            refusal = problem_response(403, Code.NOT_ALLOWED, "another site asked for this")
            await refusal(scope, receive, send_safely)
            return
        await self._app(scope, receive, send_safely)


def _from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that another site is behind a request; programs say nothing."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in _OURS
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")
