# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a fleet's certificate hierarchy. Pure: where the parts are written is the caller's business.

::

    root CA ── issuing CA ── broker, services, devices
    bootstrap CA ── bootstrap certificates

The bootstrap CA is self-signed on purpose: nothing it signs chains to the root.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509

from fleetpki.pki import keys, profiles
from fleetpki.pki.issuer import Issuer, Plan, Repository, build, signature_hash, subject_name, to_pem
from fleetpki.pki.keys import KeyType, PrivateKey
from fleetpki.pki.lint import lint
from fleetpki.pki.profiles import BACKDATE, Profile

#: The names of a new fleet's authorities.
ROOT, ISSUING, BOOTSTRAP_CA = "root", "issuing", "bootstrap-ca"

#: How many parts the revocation list of an issuing authority has. Those of other authorities are whole.
ISSUING_PARTITIONS = 16


@dataclass(frozen=True)
class Credential:
    """A certificate, its private key, and the certificates between it and its trust anchor."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    chain_pem: str = ""

    @property
    def certificate_pem(self) -> str:
        """The certificate alone."""
        return to_pem(self.certificate)

    @property
    def full_chain_pem(self) -> str:
        """The certificate followed by its chain, as TLS servers and clients want it."""
        return self.certificate_pem + self.chain_pem

    def key_pem(self, passphrase: bytes | None = None) -> bytes:
        """The private key as PKCS#8 PEM, encrypted when there is a passphrase."""
        return keys.private_key_pem(self.key, passphrase)


@dataclass(frozen=True)
class Hierarchy:
    """Everything a new fleet starts with."""

    root: Credential
    issuing: Credential
    bootstrap_ca: Credential
    broker: Credential
    service: Credential
    operator: Credential
    bootstrap: Credential


def make_hierarchy(
    *,
    hosts: Sequence[str],
    now: datetime,
    name: str = "fleetpki",
    bootstrap_name: str = "bootstrap-1",
    public_url: str | None = None,
) -> Hierarchy:
    """Make a new hierarchy; ``hosts`` are the names and addresses devices reach the broker at."""

    def repository(authority: str) -> Repository | None:
        return None if public_url is None else Repository(public_url, authority)

    root = make_root(profiles.ROOT, f"{name} root CA", KeyType.EC_P384, now)
    top = Issuer(root.certificate, root.key, repository=repository(ROOT))
    issuing = make_credential(top, profiles.ISSUING, f"{name} issuing CA", now, permitted_hosts=hosts)
    bootstrap_ca = make_root(profiles.BOOTSTRAP_CA, f"{name} bootstrap CA", KeyType.EC_P256, now)
    operational = Issuer(
        issuing.certificate,
        issuing.key,
        chain_pem=issuing.certificate_pem,
        repository=repository(ISSUING),
        crl_partitions=ISSUING_PARTITIONS,
    )
    claims = Issuer(bootstrap_ca.certificate, bootstrap_ca.key)
    return Hierarchy(
        root=root,
        issuing=issuing,
        bootstrap_ca=bootstrap_ca,
        broker=make_credential(operational, profiles.BROKER, "fleetpki-broker", now, hosts=hosts),
        service=make_credential(operational, profiles.SERVICE, "fleetpki-service", now),
        operator=make_credential(operational, profiles.SERVICE, "fleetpki-operator", now),
        bootstrap=make_credential(claims, profiles.BOOTSTRAP, bootstrap_name, now),
    )


def make_root(profile: Profile, common_name: str, key_type: KeyType, now: datetime) -> Credential:
    """Make a self-signed authority and its key."""
    key = keys.generate(key_type)
    return Credential(self_signed(profile, common_name, key, now), key)


def self_signed(profile: Profile, common_name: str, key: PrivateKey, now: datetime) -> x509.Certificate:
    """Certify an authority's key with itself."""
    start = now.replace(microsecond=0)
    plan = Plan(
        profile=profile,
        common_name=common_name,
        public_key=key.public_key(),
        serial=x509.random_serial_number(),
        not_before=start - BACKDATE,
        not_after=start + profile.validity,
    )
    builder = build(plan, subject_name(common_name), key.public_key())
    certificate = builder.sign(key, signature_hash(key))
    lint(certificate, profile, issuer=None)
    return certificate


def make_credential(
    issuer: Issuer,
    profile: Profile,
    common_name: str,
    now: datetime,
    *,
    key_type: KeyType = KeyType.EC_P256,
    hosts: Sequence[str] = (),
    permitted_hosts: Sequence[str] = (),
) -> Credential:
    """Make a key pair and have the issuer certify it."""
    key = keys.generate(key_type)
    plan = issuer.plan(
        profile, common_name, key.public_key(), now, hosts=hosts, permitted_hosts=permitted_hosts
    )
    return Credential(issuer.sign(plan), key, issuer.chain_pem)
