# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""One HTTP connection: uvicorn's, with bounds on what a peer may do before anybody knows who it is."""

import asyncio
import hashlib
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: A request whose target and headers, with a separator and a line end for each, are longer is refused.
MAX_HEAD = 32 * 1024

_SEPARATORS = len(": \r\n")
_REQUEST_LINE = 1024  # what is left of it without the target, and white space

#: A request has to be complete within this time of the connection or of its first byte.
REQUEST_TIMEOUT_S = 20.0

#: A peer that makes an answer wait for longer, because it does not read, is left.
READ_TIMEOUT_S = 30.0


class Connection(HttpToolsProtocol):
    """Tells the application whose certificate the peer showed, and gives up on peers that dawdle.

    ``scope["state"]["certificate_id"]`` is the certificate id, or None when the peer showed no certificate.
    """

    _certificate_id: str | None = None
    _head = 0
    """How long the head is, as far as it is known."""
    _received = 0
    _in_head = True
    _in_head_only = True
    """Whether what has just come is all of one head, which goes on."""
    _deadline: asyncio.TimerHandle | None = None
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take over a connection whose TLS handshake is done."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        self._certificate_id = hashlib.sha256(certificate).hexdigest() if certificate else None
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._forget_deadline()
        self._forget_patience()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Go on with a request, unless its head, or a header, never ends."""
        self._in_head_only = self._in_head
        super().data_received(data)
        if self._in_head_only:
            self._received += len(data)
            if self._received > MAX_HEAD + _REQUEST_LINE and not self.transport.is_closing():
                self.send_400_response("Request head too large.")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head = self._received = 0
        state: dict[str, Any] = self.scope["state"]
        state["certificate_id"] = self._certificate_id
        self._expect_request()

    def on_url(self, url: bytes) -> None:
        """The target of a request, or a part of it."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._count(len(name) + len(value) + _SEPARATORS)
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEAD:
            raise ValueError("request head too large")  # the parser gives up, and that is answered with 400

    def on_headers_complete(self) -> None:
        """The head of a request is complete."""
        self._in_head = self._in_head_only = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is complete; the head of the next may follow."""
        self._in_head = True
        self._forget_deadline()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Much has been written that the peer has not read."""
        super().pause_writing()
        self._patience = self.loop.call_later(READ_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The peer has read most of it."""
        self._forget_patience()
        super().resume_writing()

    def _forget_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _expect_request(self) -> None:
        self._forget_deadline()
        self._deadline = self.loop.call_later(REQUEST_TIMEOUT_S, self.transport.close)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
