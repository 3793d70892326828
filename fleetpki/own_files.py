# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The files with the certificates of broker, services and operator."""

from enum import StrEnum
from pathlib import Path

from fleetpki import files
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import authorities, own_certificates
from fleetpki.lifecycle.context import OPERATOR
from fleetpki.pki import keys
from fleetpki.pki.keys import KeyType
from fleetpki.registry.models import Certificate


class Own(StrEnum):
    """Whose certificate it is."""

    BROKER = "broker"
    SERVICE = "service"
    OPERATOR = "operator"


def certificate_file(fleet: Fleet, own: Own) -> Path:
    """Where the certificate is."""
    folder = fleet.layout.broker if own is Own.BROKER else fleet.layout.services
    return folder / f"{own}.crt"


def renew(fleet: Fleet, own: Own, *, new_key: bool = False, actor: str = OPERATOR) -> Certificate:
    """Certify the key, or a new one, by the active authority; the broker's with the hosts of fleet.toml.

    Should it break off between the two files of a new key, it is to be done again.
    """
    path = certificate_file(fleet, own)
    key = keys.generate(KeyType.EC_P256) if new_key else None
    certificate = own_certificates.renew_own(
        fleet.context,
        path.read_text(),
        hosts=fleet.settings.hosts,
        new_key=key.public_key() if key else None,
        actor=actor,
    )
    if key is not None:
        files.replace(path.with_suffix(".key"), keys.private_key_pem(key), mode=0o600)
    files.replace(path, certificate.signed_pem + authorities.chain(fleet.context, certificate), mode=0o644)
    return certificate
