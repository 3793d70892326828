# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What everybody may read, over plain HTTP: revocation lists, OCSP and CA certificates. All of it is signed.

An ASGI application without a framework: caches and relying parties ask for little, but often.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from fleetpki.errors import FleetError, NotFound, RegistryUnavailable
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import Context, authorities, revocation_lists
from fleetpki.registry.database import reading
from fleetpki.web import caching, ocsp
from fleetpki.web.body import read_body, too_large

log = logging.getLogger(__name__)

MAX_BODY = 16 * 1024
CRL, CERTIFICATE = "application/pkix-crl", "application/pkix-cert"

_CRL_PATH = re.compile(r"/crl/([^/]{1,64})/([0-9]{1,9})\.crl")
_CA_PATH = re.compile(r"/ca/([^/]{1,64})\.crt")
_CA_MAX_AGE_S = 3600
_THREADS = 16

Answer = Callable[[], Response]


class Public:
    """Serves what the authorities of a fleet publish."""

    def __init__(self, ctx: Context) -> None:
        """Serve what ``ctx`` has."""
        self._ctx = ctx
        self._pool = ThreadPoolExecutor(_THREADS, "public")
        self._ocsp = ocsp.Responder(ctx)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope)
        try:
            body = await read_body(scope, receive, MAX_BODY)
        except ClientDisconnect:
            return
        response = too_large(MAX_BODY) if body is None else await self._answer(request, body)
        await caching.conditional(request, response)(scope, receive, send)

    async def _answer(self, request: Request, body: bytes) -> Response:
        question = ocsp.question_in(request, body)
        kept = self._ocsp.kept(question) if question is not None else None
        if kept is not None:
            return kept
        answer = self._route(request) if question is None else lambda: self._ocsp.answer(question)
        return await asyncio.get_running_loop().run_in_executor(self._pool, _run, answer)

    def _route(self, request: Request) -> Answer:
        """What to do for a request; to be done in a thread."""
        path: str = request.scope["path"]
        reads = request.method in ("GET", "HEAD")
        if match := _CRL_PATH.fullmatch(path):
            authority, partition = match[1], int(match[2])
            return (lambda: self._revocation_list(authority, partition)) if reads else _wrong_method
        if match := _CA_PATH.fullmatch(path):
            name = match[1]
            return (lambda: self._certificate(name)) if reads else _wrong_method
        if path == ocsp.PATH and request.method == "POST":
            return lambda: _text(415, f"send {ocsp.REQUEST}")
        return _nothing_here

    def _revocation_list(self, authority: str, partition: int) -> Response:
        with reading(self._ctx.sessions) as session:
            authority_id = authorities.named(session, authority).authority_id
            found = revocation_lists.newest(session, authority_id, partition)
        if found is None:
            raise NotFound(f"no partition {partition} of {authority}")
        headers = caching.headers(found.der, found.this_update, found.next_update, self._ctx.clock())
        return Response(found.der, media_type=CRL, headers=headers)

    def _certificate(self, name: str) -> Response:
        with reading(self._ctx.sessions) as session:
            pem = authorities.named(session, name).pem
        der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
        headers = {"Cache-Control": f"public, max-age={_CA_MAX_AGE_S}", "ETag": caching.etag(der)}
        return Response(der, media_type=CERTIFICATE, headers=headers)


def make_public(fleet: Fleet) -> ASGIApp:
    """The public part of a fleet."""
    return Public(fleet.context)


def _run(answer: Answer) -> Response:
    try:
        return answer()
    except NotFound:
        return _nothing_here()
    except (RegistryUnavailable, FleetError):
        log.exception("a public request could not be served")
        return _text(503, "not now, try again later", {"Retry-After": "60"})


def _nothing_here() -> Response:
    return _text(404, "nothing here")


def _wrong_method() -> Response:
    return _text(405, "read only", {"Allow": "GET, HEAD"})


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(text + "\n", status, headers)
