# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Which host names an issuing authority may certify (RFC 5280, 4.2.1.10): those of its fleet's brokers.

The extension is not marked critical, as the RFC would have it: mbedTLS knows no name constraints and refuses
a certificate with a critical extension it does not know, so no device could verify its own chain. OpenSSL and
Go enforce the constraints all the same.
"""

import ipaddress
from collections.abc import Iterable

from cryptography import x509

_ALL_NAMES = [x509.DNSName("")]
_ALL_ADDRESSES = [
    x509.IPAddress(ipaddress.ip_network("0.0.0.0/0")),
    x509.IPAddress(ipaddress.ip_network("::/0")),
]


def name_constraints(hosts: Iterable[str]) -> x509.NameConstraints:
    """Permit these names and those below them, and these addresses; nothing of a kind not among them."""
    names: list[x509.GeneralName] = []
    addresses: list[x509.GeneralName] = []
    for host in hosts:
        try:
            addresses.append(x509.IPAddress(ipaddress.ip_network(host)))
        except ValueError:
            names.append(x509.DNSName(host.removeprefix("*.")))
    excluded = [*([] if names else _ALL_NAMES), *([] if addresses else _ALL_ADDRESSES)]
    return x509.NameConstraints([*names, *addresses] or None, excluded or None)


def permitted_hosts(constraints: x509.NameConstraints) -> tuple[str, ...]:
    """The hosts that constraints were made of."""
    return tuple(str(name.value) for name in constraints.permitted_subtrees or ())
