# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""One HTTP connection: uvicorn's, with bounds on what a peer may do before anybody knows who it is."""

import asyncio
import hashlib
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: A request line and headers longer than this are refused.
MAX_HEAD = 32 * 1024

#: A request has to be complete within this time of the connection or of its first byte.
REQUEST_TIMEOUT_S = 20.0


class Connection(HttpToolsProtocol):
    """Tells the application whose certificate the peer showed, and gives up on peers that dawdle.

    ``scope["state"]["certificate_id"]`` is the certificate id, or None when the peer showed no certificate.
    """

    _certificate_id: str | None = None
    _head = 0
    _in_head = True
    _deadline: asyncio.TimerHandle | None = None

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
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Go on with a request, unless its head never ends."""
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD and not self.transport.is_closing():
                self.send_400_response("Request head too large.")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head, self._head = True, 0
        state: dict[str, Any] = self.scope["state"]
        state["certificate_id"] = self._certificate_id
        self._expect_request()

    def on_headers_complete(self) -> None:
        """The head of a request is complete."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is complete."""
        self._forget_deadline()
        super().on_message_complete()

    def _expect_request(self) -> None:
        self._forget_deadline()
        self._deadline = self.loop.call_later(REQUEST_TIMEOUT_S, self.transport.close)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
