# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""TLS of the listeners that want to know who is there."""

import ssl

from fleetpki.config import Layout
from fleetpki.lifecycle import Context, authorities
from fleetpki.registry.database import reading
from fleetpki.registry.models import AuthorityKind

_KINDS = (AuthorityKind.ROOT, AuthorityKind.ISSUING, AuthorityKind.BOOTSTRAP)


def server_context(layout: Layout, ctx: Context) -> ssl.SSLContext:
    """TLS with the certificate of this host; peers may show one of ours, of either trust domain.

    That it chains to an authority of ours admits nobody: what it permits is in the registry.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.load_cert_chain(layout.broker / "broker.crt", layout.broker / "broker.key")
    with reading(ctx.sessions) as session:
        trusted = [each.pem for kind in _KINDS for each in authorities.in_use(session, kind)]
    tls.load_verify_locations(cadata="".join(trusted))
    tls.verify_mode = ssl.CERT_OPTIONAL
    return tls
