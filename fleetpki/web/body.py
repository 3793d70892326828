# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""How much of a request's body is read."""

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fleetpki.web.problems import problem_response


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    """The whole body of a request, or None when it is longer than ``limit`` bytes.

    ClientDisconnect when it breaks off.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > limit:
            return None
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        body += chunk
        if len(body) > limit:
            return None
        if not message.get("more_body", False):
            return body


def too_large(limit: int) -> Response:
    """The answer to a body that is too long."""
    return problem_response(413, "too_large", f"the body is longer than {limit} bytes")


class BodyLimit:
    """Reads a request's body before the application sees the request; refuses what is too long.

    Nobody acts on a request that breaks off.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        """Let up to ``limit`` bytes through to ``app``."""
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await read_body(scope, receive, self._limit)
        except ClientDisconnect:
            return
        if body is None:
            await too_large(self._limit)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay
