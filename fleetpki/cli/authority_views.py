# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""How authorities and their lists are shown."""

from collections.abc import Sequence
from typing import Any

from fleetpki.registry.models import Authority, RevocationList
from fleetpki.views import TextTable

Data = dict[str, Any]


def authority_data(authority: Authority) -> Data:
    """An authority; its key's place, never its key."""
    return {
        "name": authority.name,
        "kind": str(authority.kind),
        "state": str(authority.state),
        "authority_id": authority.authority_id,
        "issuer_id": authority.issuer_id,
        "key_uri": authority.key_uri,
        "crl_partitions": authority.crl_partitions,
        "not_before": authority.not_before.isoformat(),
        "not_after": authority.not_after.isoformat(),
    }


def revocation_list_data(revocation_list: RevocationList) -> Data:
    """A revocation list without its contents."""
    return {
        "authority_id": revocation_list.authority_id,
        "partition": revocation_list.partition,
        "number": revocation_list.number,
        "this_update": revocation_list.this_update.isoformat(),
        "next_update": revocation_list.next_update.isoformat(),
    }


def authority_table(authorities: Sequence[Data]) -> TextTable:
    """All authorities, one a line."""
    table = TextTable("Authority", "Kind", "State", "Valid until", "Key")
    for each in authorities:
        until = each["not_after"][:10]
        table.add_texts(each["name"], each["kind"], each["state"], until, each["key_uri"] or "offline")
    return table


def authority_page(authority: Data) -> str:
    """Everything about one authority."""
    lines = [f"{name:15} {value}" for name, value in authority.items() if name not in ("pem", "chain_pem")]
    return "\n".join([*lines, "", authority["pem"].rstrip()])
