# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""OCSP over HTTP (RFC 6960, appendix A; RFC 5019, 5 and 6): questions in, answers out.

Everybody asks about the same certificate in the same bytes, so an answer is kept for a moment: what it says
was asked of the registry less than ``FRESH_S`` ago.
"""

import base64
import binascii
import threading
import time
from collections.abc import Callable

from cachetools import TTLCache
from starlette.requests import Request
from starlette.responses import Response

from fleetpki.lifecycle import Context, ocsp
from fleetpki.web import caching

PATH = "/ocsp"
REQUEST, RESPONSE = "application/ocsp-request", "application/ocsp-response"

#: A revocation shows within this time; relying parties keep an answer for half an hour anyway.
FRESH_S = 1.0
_KEPT_ANSWERS = 20_000


class Responder:
    """Answers questions from what is known; may be asked by many threads."""

    def __init__(self, ctx: Context, timer: Callable[[], float] = time.monotonic) -> None:
        """Answer with what the registry of ``ctx`` says; ``timer`` counts seconds."""
        self._ctx = ctx
        self._kept: TTLCache[bytes, Response] = TTLCache(_KEPT_ANSWERS, FRESH_S, timer)
        self._guard = threading.Lock()

    def kept(self, question: bytes) -> Response | None:
        """The answer given a moment ago; costs next to nothing."""
        with self._guard:
            return self._kept.get(question)

    def answer(self, question: bytes) -> Response:
        """Ask the registry. An answer that nobody may cache is not kept here either."""
        found = ocsp.answer(self._ctx, question)
        if not found.cacheable:
            return Response(found.der, media_type=RESPONSE, headers={"Cache-Control": "no-store"})
        headers = caching.headers(found.der, found.this_update, found.next_update, self._ctx.clock())
        response = Response(found.der, media_type=RESPONSE, headers=headers)
        with self._guard:
            self._kept[question] = response
        return response


def question_in(request: Request, body: bytes) -> bytes | None:
    """The question of a POST, or of a GET (RFC 6960, A.1); None when the request is about something else."""
    path: str = request.scope["path"]
    if path == PATH and request.method == "POST":
        return body if _media_type(request) == REQUEST else None
    if path.startswith(PATH + "/") and request.method in ("GET", "HEAD"):
        return _decoded(path.removeprefix(PATH + "/"))
    return None


def _media_type(request: Request) -> str:
    """What the body is, whatever its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _decoded(text: str) -> bytes:
    """What is no base64 is no question either, and answered as such."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
