# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Keys and certificates made outside fleetpki: good ones by openssl, and forged ones to be refused."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fleetpki.sim.commands import Runner


class Workshop:
    """Makes files in a directory of its own."""

    def __init__(self, directory: Path, runner: Runner) -> None:
        """Put everything into ``directory``."""
        self.directory = directory
        self._runner = runner
        directory.mkdir(parents=True, exist_ok=True)

    async def key(self, name: str) -> Path:
        """A new P-256 key."""
        path = self.directory / f"{name}.key"
        await self._runner.check(
            ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path]
        )
        return path

    async def request(self, key: Path, common_name: str) -> Path:
        """A certification request for a key."""
        path = key.with_suffix(".csr")
        await self._runner.check(
            ["openssl", "req", "-new", "-key", key, "-subj", f"/CN={common_name}", "-out", path]
        )
        return path

    def file(self, name: str, content: str | bytes) -> Path:
        """A private file with some content."""
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path


class Forger:
    """Signs what no honest authority would, with a key that it stole or made up."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        """Sign as the holder of an authority's certificate and key."""
        self.certificate = certificate
        self._key = key

    @classmethod
    def with_stolen(cls, certificate: Path, key: Path) -> "Forger":
        """Somebody with the key of a real authority."""
        loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)  # noqa: S101 - our authorities' keys are
        return cls(x509.load_pem_x509_certificate(certificate.read_bytes()), loaded)

    @classmethod
    def with_own_authority(cls, name: str) -> "Forger":
        """Somebody with an authority of their own, which calls itself as ours does."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=365))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    def device(
        self,
        common_name: str,
        *,
        begin: timedelta = timedelta(minutes=-1),
        end: timedelta = timedelta(days=90),
    ) -> tuple[str, str]:
        """A device certificate and its key as PEM; ``begin`` and ``end`` of its life as seen from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            self.certificate.subject,
            subject,
            key.public_key(),
            x509.random_serial_number(),
            now + begin,
            now + end,
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM).decode(), private_pem(key)

    @property
    def chain(self) -> str:
        """The authority's own certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


def private_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """A private key as PKCS#8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
