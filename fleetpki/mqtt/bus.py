# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The connection of our services to the broker: MQTT 5 over mutual TLS."""

import ssl
import uuid
from dataclasses import dataclass
from pathlib import Path

import aiomqtt

#: Messages that have come and that nobody has looked at yet; more are dropped.
_WAITING = 10_000


@dataclass(frozen=True)
class Bus:
    """Where the broker is and who we are."""

    host: str
    port: int
    anchors: Path
    certificate: Path
    key: Path

    def tls_context(self) -> ssl.SSLContext:
        """TLS that trusts the fleet's root only and shows our certificate."""
        context = ssl.create_default_context(cafile=str(self.anchors))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client(self, name: str) -> aiomqtt.Client:
        """A client that is not connected yet; the name tells people whose connection it is."""
        return aiomqtt.Client(
            self.host,
            self.port,
            identifier=client_id(name),
            protocol=aiomqtt.ProtocolVersion.V5,
            tls_context=self.tls_context(),
            keepalive=30,
            max_queued_incoming_messages=_WAITING,
        )


def client_id(name: str) -> str:
    """A client id nobody else uses."""
    return f"fleetpki-{name}-{uuid.uuid4().hex[:12]}"
