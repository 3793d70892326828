# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates with any flaw a test needs, from a root that signs everything."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)

Validity = tuple[timedelta, timedelta]
"""When a certificate begins and ends, relative to now."""

GOOD_NOW: Validity = (-DAY / 2, DAY)

FOR_CLIENTS = ExtendedKeyUsageOID.CLIENT_AUTH
FOR_SERVERS = ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True)
class Identity:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self._key(serialization.Encoding.PEM).decode()

    @property
    def key_der(self) -> bytes:
        return self._key(serialization.Encoding.DER)

    def write(self, base: Path) -> tuple[Path, Path]:
        """Make the files ``base``.crt and ``base``.key."""
        certificate, key = base.with_suffix(".crt"), base.with_suffix(".key")
        certificate.write_text(self.pem)
        key.touch(mode=0o600)
        key.write_text(self.key_pem)
        return certificate, key

    def _key(self, encoding: serialization.Encoding) -> bytes:
        form = serialization.PrivateFormat.TraditionalOpenSSL  # SEC1, as a device stores it
        return self.key.private_bytes(encoding, form, serialization.NoEncryption())


class Authority:
    """A root CA without a policy."""

    def __init__(self, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        builder = _builder(subject, subject, key.public_key(), (-DAY, 365 * DAY))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.identity = Identity(builder.sign(key, hashes.SHA256()), key)

    @property
    def pem(self) -> str:
        """The root's certificate."""
        return self.identity.pem

    def issue(
        self,
        name: str,
        *,
        usage: x509.ObjectIdentifier = FOR_CLIENTS,
        validity: Validity = GOOD_NOW,
        hosts: tuple[str, ...] = (),
    ) -> Identity:
        """A certificate for ``name``."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.identity.certificate.subject
        builder = _builder(_name(name), issuer, key.public_key(), validity)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return Identity(builder.sign(self.identity.key, hashes.SHA256()), key)

    def revocation_list(self, *revoked: Identity) -> str:
        """A CRL with these certificates on it."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder(
            self.identity.certificate.subject, now - DAY, now + DAY
        )
        for identity in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder(identity.certificate.serial_number, now - DAY / 2).build()
            )
        return (
            builder.sign(self.identity.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
        )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host(host: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, validity: Validity
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    begins, ends = (now + moment for moment in validity)
    return x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number(), begins, ends)
