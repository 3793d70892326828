# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The EST server: ASGI without a framework, because a fleet that is switched on comes all at once."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from fleetpki.desk import Desk
from fleetpki.errors import Code, FleetError, Rejected, Unavailable
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import Context
from fleetpki.web.body import BodyLimit
from fleetpki.web.est import operations
from fleetpki.web.est.messages import PKCS10
from fleetpki.web.est.operations import Peer

log = logging.getLogger(__name__)

PREFIX = "/.well-known/est/"
MAX_BODY = 16 * 1024

#: The header with the proof of a factory secret, for which EST has no place of its own.
PROOF = "FleetPKI-Proof"

_BAD_REQUEST = (Code.BAD_MESSAGE, Code.BAD_CSR, Code.WEAK_KEY, Code.WRONG_SUBJECT, Code.KEY_MISMATCH)


@dataclass(frozen=True)
class Operation:
    """One of EST's operations."""

    method: str
    answer: Callable[[Desk, Peer, bytes], Awaitable[Response]]


OPERATIONS = {
    "cacerts": Operation("GET", operations.ca_certificates),
    "csrattrs": Operation("GET", operations.csr_attributes),
    "simpleenroll": Operation("POST", operations.simple_enroll),
    "simplereenroll": Operation("POST", operations.simple_reenroll),
    "serverkeygen": Operation("POST", operations.server_key_generation),
}


class Est:
    """Serves the EST operations of a fleet."""

    def __init__(self, ctx: Context) -> None:
        """Serve what the rules of ``ctx`` allow."""
        self._desk = Desk(ctx)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        response = _objection(request) or await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        operation = OPERATIONS[request.scope["path"].removeprefix(PREFIX)]
        peer = Peer(request.scope["state"]["certificate_id"], request.headers.get(PROOF))
        body = await request.body()
        try:
            return await operation.answer(self._desk, peer, body)
        except Rejected as rejected:
            return _refusal(rejected)
        except FleetError:
            log.exception("an EST request could not be served")
            return _refusal(Unavailable("an operator has to act first"))
        except Exception:
            log.exception("an EST request failed")
            return _text(500, "internal: internal error")


def make_est(fleet: Fleet) -> ASGIApp:
    """The EST server of a fleet."""
    return BodyLimit(Est(fleet.context), MAX_BODY)


def _objection(request: Request) -> Response | None:
    path: str = request.scope["path"]
    operation = OPERATIONS.get(path.removeprefix(PREFIX)) if path.startswith(PREFIX) else None
    if operation is None:
        return _text(404, "bad_message: no such EST operation")
    if request.method != operation.method:
        return _text(405, f"bad_message: use {operation.method}", {"Allow": operation.method})
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if operation.method == "POST" and kind != PKCS10:
        return _text(415, f"bad_message: send {PKCS10}")
    return None


def _refusal(rejected: Rejected) -> Response:
    """A refusal; one that may end by itself invites another try with the same request (RFC 7030, 4.2.3)."""
    text = f"{rejected.code}: {rejected.message}"
    if rejected.retry_after_s is not None:
        status = 503 if isinstance(rejected, Unavailable) else 202
        return _text(status, text, {"Retry-After": str(rejected.retry_after_s)})
    return _text(400 if rejected.code in _BAD_REQUEST else 403, text)


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(text.encode("utf-8", "replace") + b"\n", status, headers)
