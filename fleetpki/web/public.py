# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What everybody may read, over plain HTTP: revocation lists, OCSP and CA certificates. All of it is signed.

An ASGI application without a framework: caches and relying parties ask for little, but often.
"""

import asyncio
import base64
import binascii
import hashlib
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import format_datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from fleetpki.errors import FleetError, NotFound
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import Context, authorities, ocsp, revocation_lists
from fleetpki.registry.database import reading
from fleetpki.web.body import BodyLimit
from fleetpki.web.problems import UNUSABLE

log = logging.getLogger(__name__)

MAX_BODY = 16 * 1024
OCSP_REQUEST, OCSP_RESPONSE = "application/ocsp-request", "application/ocsp-response"
CRL, CERTIFICATE = "application/pkix-crl", "application/pkix-cert"

_CRL_PATH = re.compile(r"/crl/([^/]{1,64})/([0-9]{1,9})\.crl")
_CA_PATH = re.compile(r"/ca/([^/]{1,64})\.crt")
_OCSP_PATH = "/ocsp"
_CA_MAX_AGE_S = 3600
_THREADS = 16

Answer = Callable[[], Response]


class Public:
    """Serves what the authorities of a fleet publish."""

    def __init__(self, ctx: Context) -> None:
        """Serve what ``ctx`` has."""
        self._ctx = ctx
        self._pool = ThreadPoolExecutor(_THREADS, "public")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        answer = self._route(request, await request.body())
        response = await asyncio.get_running_loop().run_in_executor(self._pool, self._run, answer)
        if request.headers.get("if-none-match") == response.headers.get("etag", ""):
            response = Response(status_code=304, headers=_caching(response))
        await response(scope, receive, send)

    def _route(self, request: Request, body: bytes) -> Answer:
        """What to do for a request; to be done in a thread."""
        path: str = request.scope["path"]
        reads = request.method in ("GET", "HEAD")
        if match := _CRL_PATH.fullmatch(path):
            authority, partition = match[1], int(match[2])
            return (lambda: self._revocation_list(authority, partition)) if reads else _wrong_method
        if match := _CA_PATH.fullmatch(path):
            name = match[1]
            return (lambda: self._certificate(name)) if reads else _wrong_method
        if path == _OCSP_PATH and request.method == "POST":
            if request.headers.get("content-type") != OCSP_REQUEST:
                return lambda: _text(415, f"send {OCSP_REQUEST}")
            return lambda: self._ocsp(body)
        if path.startswith(_OCSP_PATH + "/") and reads:
            return lambda: self._ocsp(_from_path(path.removeprefix(_OCSP_PATH + "/")))
        return _nothing_here

    def _run(self, answer: Answer) -> Response:
        try:
            return answer()
        except NotFound:
            return _nothing_here()
        except (*UNUSABLE, FleetError):
            log.exception("a public request could not be served")
            return _text(503, "not now, try again later", {"Retry-After": "60"})

    def _revocation_list(self, authority: str, partition: int) -> Response:
        with reading(self._ctx.sessions) as session:
            authority_id = authorities.named(session, authority).authority_id
            found = revocation_lists.newest(session, authority_id, partition)
        if found is None:
            raise NotFound(f"no partition {partition} of {authority}")
        headers = _headers(found.der, found.this_update, found.next_update, self._ctx.clock())
        return Response(found.der, media_type=CRL, headers=headers)

    def _certificate(self, name: str) -> Response:
        with reading(self._ctx.sessions) as session:
            pem = authorities.named(session, name).pem
        der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
        headers = {"Cache-Control": f"public, max-age={_CA_MAX_AGE_S}", "ETag": _etag(der)}
        return Response(der, media_type=CERTIFICATE, headers=headers)

    def _ocsp(self, request_der: bytes) -> Response:
        answer = ocsp.answer(self._ctx, request_der)
        headers = {"Cache-Control": "no-store"}
        if answer.cacheable and answer.this_update and answer.next_update:
            headers = _headers(answer.der, answer.this_update, answer.next_update, self._ctx.clock())
        return Response(answer.der, media_type=OCSP_RESPONSE, headers=headers)


def make_public(fleet: Fleet) -> ASGIApp:
    """The public part of a fleet."""
    return BodyLimit(Public(fleet.context), MAX_BODY)


def _headers(content: bytes, this_update: datetime, next_update: datetime, now: datetime) -> dict[str, str]:
    """Let caches keep an answer for as long as it is good (RFC 5019, 6.2)."""
    max_age = max(0, int((next_update - now).total_seconds()))
    return {
        "Last-Modified": format_datetime(this_update, usegmt=True),
        "Expires": format_datetime(next_update, usegmt=True),
        "ETag": _etag(content),
        "Cache-Control": f"max-age={max_age}, public, no-transform, must-revalidate",
    }


def _etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _caching(response: Response) -> dict[str, str]:
    names = ("etag", "cache-control", "last-modified", "expires")
    return {name: response.headers[name] for name in names if name in response.headers}


def _from_path(text: str) -> bytes:
    """The request in a GET (RFC 6960, A.1); what is no base64 is no request either, and answered as such."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _nothing_here() -> Response:
    return _text(404, "nothing here")


def _wrong_method() -> Response:
    return _text(405, "read only", {"Allow": "GET, HEAD"})


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(text + "\n", status, headers)
