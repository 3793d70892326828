# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What each kind of certificate looks like, as data."""

from dataclasses import dataclass
from datetime import timedelta

from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

YEAR = timedelta(days=365)

BACKDATE = timedelta(minutes=5)
"""How far before now a certificate starts. A crystal of 20 ppm needs half a year without
synchronisation to drift this far, so a device whose clock is merely slow accepts its new certificate."""

SIGN_ONLY = frozenset({"digital_signature"})
CERTIFICATE_AUTHORITY = frozenset({"key_cert_sign", "crl_sign"})


@dataclass(frozen=True)
class Profile:
    """One kind of certificate."""

    name: str
    validity: timedelta
    key_usage: frozenset[str]
    extended_key_usage: ObjectIdentifier | None = None
    is_ca: bool = False
    path_length: int | None = None
    names_hosts: bool = False
    has_status: bool = False
    """Whether it says where its revocation list, its status and its issuer's certificate are."""
    constrains_hosts: bool = False
    """Whether it says which hosts its own certificates may name."""
    no_check: bool = False
    """Whether its own status need not be asked for (RFC 6960, 4.2.2.2.1): an OCSP signer's."""


ROOT = Profile("root", 20 * YEAR, CERTIFICATE_AUTHORITY, is_ca=True, path_length=2)
ISSUING = Profile(
    "issuing",
    5 * YEAR,
    CERTIFICATE_AUTHORITY,
    is_ca=True,
    path_length=0,
    has_status=True,
    constrains_hosts=True,
)
CROSS = Profile("cross", 10 * YEAR, CERTIFICATE_AUTHORITY, is_ca=True, path_length=1, has_status=True)
BOOTSTRAP_CA = Profile("bootstrap-ca", 20 * YEAR, CERTIFICATE_AUTHORITY, is_ca=True, path_length=0)
BROKER = Profile(
    "broker", 2 * YEAR, SIGN_ONLY, ExtendedKeyUsageOID.SERVER_AUTH, names_hosts=True, has_status=True
)
SERVICE = Profile("service", 2 * YEAR, SIGN_ONLY, ExtendedKeyUsageOID.CLIENT_AUTH, has_status=True)
PERSON = Profile("person", YEAR, SIGN_ONLY, ExtendedKeyUsageOID.CLIENT_AUTH, has_status=True)
BOOTSTRAP = Profile("bootstrap", 10 * YEAR, SIGN_ONLY, ExtendedKeyUsageOID.CLIENT_AUTH)
DEVICE = Profile("device", timedelta(days=90), SIGN_ONLY, ExtendedKeyUsageOID.CLIENT_AUTH, has_status=True)
OCSP_SIGNER = Profile(
    "ocsp-signer", timedelta(days=7), SIGN_ONLY, ExtendedKeyUsageOID.OCSP_SIGNING, no_check=True
)
