# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Which host names an issuing authority may certify (RFC 5280, 4.2.1.10): those of its fleet's brokers.

The extension is not marked critical, as the RFC would have it: mbedTLS knows no name constraints and refuses
a certificate with a critical extension it does not know, so no device could verify its own chain. OpenSSL and
Go enforce the constraints all the same.
"""

import ipaddress
from collections.abc import Iterable
from typing import Any

from cryptography import x509

from fleetpki.pki.host_names import check_host_name

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
            names.append(x509.DNSName(check_host_name(host).removeprefix("*.")))
    excluded = [*([] if names else _ALL_NAMES), *([] if addresses else _ALL_ADDRESSES)]
    return x509.NameConstraints([*names, *addresses] or None, excluded or None)


def permitted_hosts(constraints: x509.NameConstraints) -> tuple[str, ...]:
    """The hosts that constraints were made of."""
    return tuple(str(name.value) for name in constraints.permitted_subtrees or ())


def hosts_of(names: x509.SubjectAlternativeName) -> list[str]:
    """The hosts a certificate names."""
    return [str(name.value) for name in names]


def is_permitted(constraints: x509.NameConstraints, host: str) -> bool:
    """Whether a host is one of those permitted, or below one."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.removeprefix("*.").lower()
        bases = [each.value.lower() for each in _permitted(constraints, x509.DNSName)]
        return any(name == base or name.endswith(f".{base}") for base in bases)
    return any(address in network.value for network in _permitted(constraints, x509.IPAddress))


def _permitted(constraints: x509.NameConstraints, kind: type) -> list[Any]:
    return [each for each in constraints.permitted_subtrees or () if isinstance(each, kind)]
