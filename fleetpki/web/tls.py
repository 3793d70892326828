# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""TLS of the listeners that want to know who is there."""

import asyncio
import logging
import ssl

from fleetpki.config import Layout
from fleetpki.errors import RegistryUnavailable
from fleetpki.lifecycle import Context, authorities
from fleetpki.registry.models import AuthorityKind

log = logging.getLogger(__name__)

#: How soon a new authority, or a new certificate of this host, is used for new connections.
REFRESH_S = 10.0

_KINDS = (AuthorityKind.ROOT, AuthorityKind.ISSUING, AuthorityKind.BOOTSTRAP)


def server_context(layout: Layout, ctx: Context) -> ssl.SSLContext:
    """TLS with the certificate of this host; peers may show one of ours, of either trust domain.

    That it chains to an authority of ours admits nobody: what it permits is in the registry.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    refresh(tls, layout, authorities.anchors(ctx, *_KINDS))
    tls.verify_mode = ssl.CERT_OPTIONAL
    return tls


def refresh(tls: ssl.SSLContext, layout: Layout, anchors_pem: str) -> None:
    """Use the certificate this host has now, and trust these authorities too."""
    tls.load_cert_chain(layout.broker / "broker.crt", layout.broker / "broker.key")
    tls.load_verify_locations(cadata=anchors_pem)


async def keep_current(tls: ssl.SSLContext, layout: Layout, ctx: Context) -> None:
    """Refresh now and then; in the event loop, because connections are made there."""
    while True:
        await asyncio.sleep(REFRESH_S)
        try:
            refresh(tls, layout, await asyncio.to_thread(authorities.anchors, ctx, *_KINDS))
        except (OSError, RegistryUnavailable):
            log.exception("TLS goes on with the certificates it has; it is tried again in %s s", REFRESH_S)
