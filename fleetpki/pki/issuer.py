# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""An issuing authority: plans a certificate, lints it, signs it."""

import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from fleetpki.errors import FleetError
from fleetpki.pki import keys
from fleetpki.pki.host_names import check_host_name
from fleetpki.pki.keyring import KeyUnavailable
from fleetpki.pki.keys import KeyType, PrivateKey, PublicKey
from fleetpki.pki.lint import lint
from fleetpki.pki.name_constraints import name_constraints
from fleetpki.pki.profiles import BACKDATE, Profile

_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True)
class Plan:
    """Everything a certificate will say, fixed before it is signed so that it can be recorded first."""

    profile: Profile
    common_name: str
    public_key: PublicKey
    serial: int
    not_before: datetime
    not_after: datetime
    hosts: tuple[str, ...] = ()
    crl_partition: int | None = None
    permitted_hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Repository:
    """Where everybody finds what an authority publishes."""

    public_url: str
    authority: str

    def crl(self, partition: int) -> str:
        """The URL of a partition of its revocation list."""
        return f"{self.public_url}/crl/{self.authority}/{partition}.crl"

    @property
    def ocsp(self) -> str:
        """The URL of the OCSP responder."""
        return f"{self.public_url}/ocsp"

    @property
    def certificate(self) -> str:
        """The URL of its own certificate, in DER."""
        return f"{self.public_url}/ca/{self.authority}.crt"


class Issuer:
    """An authority's certificate and key, and the chain its certificates are sent with."""

    def __init__(
        self,
        certificate: x509.Certificate,
        key: PrivateKey,
        chain_pem: str = "",
        *,
        repository: Repository | None = None,
        crl_partitions: int = 1,
    ) -> None:
        """Pair a certificate with its key; refuses a key of another certificate."""
        if certificate.public_key() != key.public_key():
            raise FleetError(
                f"the key does not belong to the certificate of {certificate.subject.rfc4514_string()}",
                "restore the pair of files that were made together",
            )
        self.certificate = certificate
        self.chain_pem = chain_pem
        self.repository = repository
        self._crl_partitions = crl_partitions
        self._key = key

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies what it signs."""
        return self._key.public_key()

    def plan(
        self,
        profile: Profile,
        common_name: str,
        public_key: PublicKey,
        now: datetime,
        *,
        validity: timedelta | None = None,
        hosts: Sequence[str] = (),
        permitted_hosts: Sequence[str] = (),
    ) -> Plan:
        """Fix serial number and validity; a certificate never starts before nor outlives its issuer."""
        issuer = self.certificate
        if now >= issuer.not_valid_after_utc:
            raise KeyUnavailable(
                f"the issuing certificate expired on {issuer.not_valid_after_utc:%Y-%m-%d}",
                "make a new issuing CA with the root key",
            )
        if now < issuer.not_valid_before_utc:
            raise KeyUnavailable(
                f"it is {now:%Y-%m-%d} by our clock, and the issuing certificate begins on "
                f"{issuer.not_valid_before_utc:%Y-%m-%d}",
                "set the clock of this machine",
            )
        start = now.replace(microsecond=0)
        serial = x509.random_serial_number()
        return Plan(
            profile=profile,
            common_name=common_name,
            public_key=public_key,
            serial=serial,
            not_before=max(start - BACKDATE, issuer.not_valid_before_utc),
            not_after=min(start + (validity or profile.validity), issuer.not_valid_after_utc),
            hosts=tuple(hosts),
            crl_partition=serial % self._crl_partitions,
            permitted_hosts=tuple(permitted_hosts),
        )

    def sign(self, plan: Plan) -> x509.Certificate:
        """Lint the planned certificate under a throw-away signature, then sign what was linted for real."""
        builder = build(plan, self.certificate.subject, self._key.public_key(), self.repository)
        digest = signature_hash(self._key)
        draft = builder.sign(_draft_key(isinstance(self._key, rsa.RSAPrivateKey)), digest)
        lint(draft, plan.profile, self.certificate)
        return _signed(draft, keys.sign(self._key, draft.tbs_certificate_bytes, digest))

    def sign_list(self, builder: x509.CertificateRevocationListBuilder) -> bytes:
        """Sign a revocation list; its DER."""
        return builder.sign(self._key, signature_hash(self._key)).public_bytes(serialization.Encoding.DER)


@asn1.sequence
class _Certificate:
    """The outermost layer of a certificate (RFC 5280, 4.1)."""

    content: asn1.TLV
    algorithm: asn1.TLV
    signature: asn1.BitString


def _signed(draft: x509.Certificate, signature: bytes) -> x509.Certificate:
    """The draft under another signature, by a key of the same kind."""
    outer = asn1.decode_der(_Certificate, draft.public_bytes(serialization.Encoding.DER))
    outer.signature = asn1.BitString(data=signature, padding_bits=0)
    return x509.load_der_x509_certificate(asn1.encode_der(outer))


@cache
def _draft_key(rsa_key: bool) -> PrivateKey:
    """Signs what is only looked at."""
    return keys.generate(KeyType.RSA_2048 if rsa_key else KeyType.EC_P256)


def build(
    plan: Plan, issuer_name: x509.Name, issuer_key: PublicKey, repository: Repository | None = None
) -> x509.CertificateBuilder:
    """Put the plan into the form that is signed."""
    profile = plan.profile
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject_name(plan.common_name))
        .issuer_name(issuer_name)
        .public_key(plan.public_key)
        .serial_number(plan.serial)
        .not_valid_before(plan.not_before)
        .not_valid_after(plan.not_after)
        .add_extension(x509.BasicConstraints(profile.is_ca, profile.path_length), critical=True)
        .add_extension(_key_usage(profile), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(plan.public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )
    if profile.extended_key_usage is not None:
        usage = x509.ExtendedKeyUsage([profile.extended_key_usage])
        builder = builder.add_extension(usage, critical=False)
    if plan.hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in plan.hosts])
        builder = builder.add_extension(names, critical=False)
    if profile.has_status and repository is not None and plan.crl_partition is not None:
        for extension in _addresses(profile, repository, plan.crl_partition):
            builder = builder.add_extension(extension, critical=False)
    if profile.constrains_hosts:
        builder = builder.add_extension(name_constraints(plan.permitted_hosts), critical=False)
    if profile.no_check:
        builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
    return builder


def subject_name(common_name: str) -> x509.Name:
    """A name that is a common name and nothing else."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def common_name(certificate: x509.Certificate) -> str:
    """The common name of a certificate of ours, which has exactly one."""
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def signature_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    """The digest that matches the strength of a signing key."""
    return hashes.SHA384() if keys.accept(key.public_key())[1] == keys.KeyType.EC_P384 else hashes.SHA256()


def to_pem(certificate: x509.Certificate) -> str:
    """PEM text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _key_usage(profile: Profile) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in profile.key_usage for usage in _KEY_USAGES})


def _addresses(profile: Profile, repository: Repository, partition: int) -> Iterator[x509.ExtensionType]:
    """Revocation list, OCSP responder (not of authorities: their issuer is offline), issuer's certificate."""
    access = [(AuthorityInformationAccessOID.CA_ISSUERS, repository.certificate)]
    if not profile.is_ca:
        access.insert(0, (AuthorityInformationAccessOID.OCSP, repository.ocsp))
    point = x509.DistributionPoint([_url(repository.crl(partition))], None, None, None)
    yield x509.CRLDistributionPoints([point])
    yield x509.AuthorityInformationAccess(x509.AccessDescription(kind, _url(url)) for kind, url in access)


def _url(url: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(url)


def _general_name(host: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(host))
    return x509.DNSName(check_host_name(host))
