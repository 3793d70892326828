# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The programs we are measured against, as Debian packages them, each with a database that outlives it."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from bench.load import Request, Target

_VALID_H = 2160
_CFSSL_SCHEMA = """
CREATE TABLE certificates (serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, ca_label blob,
    status blob NOT NULL, reason int, expiry timestamp, revoked_at timestamp, pem blob NOT NULL,
    PRIMARY KEY(serial_number, authority_key_identifier));
CREATE TABLE ocsp_responses (serial_number blob NOT NULL, authority_key_identifier blob NOT NULL,
    body blob NOT NULL, expiry timestamp, PRIMARY KEY(serial_number, authority_key_identifier),
    FOREIGN KEY(serial_number, authority_key_identifier)
        REFERENCES certificates(serial_number, authority_key_identifier));
"""


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str | Path], directory: Path, port: int, says: bytes | None = None
) -> Iterator[None]:
    """A server, from when it listens, or says that it does, until the block ends."""
    log = directory / f"{Path(command[0]).name}.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=directory, stdout=output, stderr=subprocess.STDOUT)
        try:
            _await(server, port, log, says)
            yield
        finally:
            server.terminate()
            server.wait()


def _await(server: subprocess.Popen[bytes], port: int, log: Path, says: bytes | None) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        if says in log.read_bytes() if says else _listens(port):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{server.args!r} does not listen:\n{log.read_text(errors='replace')}")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Cfssl:
    """cfssl with SQLite (Debian: golang-cfssl)."""

    name = "cfssl + SQLite"

    def __init__(self, directory: Path) -> None:
        """Make its CA and its database in an empty directory."""
        directory.mkdir()
        self.directory = directory
        profile = {"usages": ["signing", "client auth"], "expiry": f"{_VALID_H}h"}
        self._write("config.json", {"signing": {"default": profile}})
        self._write("db.json", {"driver": "sqlite3", "data_source": "certs.db"})
        self._write("ca.json", {"CN": "bench CA", "key": {"algo": "ecdsa", "size": 256}})
        made = subprocess.run(
            ["cfssl", "gencert", "-initca", "ca.json"], cwd=directory, check=True, capture_output=True
        )
        subprocess.run(["cfssljson", "-bare", "ca"], cwd=directory, check=True, input=made.stdout)
        with sqlite3.connect(directory / "certs.db") as database:
            database.executescript(_CFSSL_SCHEMA)

    @classmethod
    def installed(cls) -> bool:
        """Whether this machine has it."""
        return shutil.which("cfssl") is not None

    @contextmanager
    def signing(self) -> Iterator[Target]:
        """Its signing service."""
        port = free_port()
        command = ["cfssl", "serve", "-loglevel", "5", "-address", "127.0.0.1", "-port", str(port)]
        command += [
            "-ca",
            "ca.pem",
            "-ca-key",
            "ca-key.pem",
            "-config",
            "config.json",
            "-db-config",
            "db.json",
        ]
        with running(command, self.directory, port):
            yield Target(f"http://127.0.0.1:{port}", 200, "BEGIN CERTIFICATE")

    def requests(self, csrs: Sequence[tuple[str, str]]) -> list[Request]:
        """Signing requests for names and CSRs."""
        headers = {"Content-Type": "application/json"}
        return [
            Request("/api/v1/cfssl/sign", json.dumps({"certificate_request": csr}), headers)
            for _, csr in csrs
        ]

    def issued(self) -> int:
        """How many certificates its database knows."""
        with sqlite3.connect(self.directory / "certs.db") as database:
            count: int = database.execute("SELECT count(*) FROM certificates").fetchone()[0]
            return count

    def _write(self, name: str, content: object) -> None:
        (self.directory / name).write_text(json.dumps(content))


class StepCa:
    """step-ca with Badger, its own default (built from Debian's golang-github-smallstep-certificates-dev)."""

    name = "step-ca + Badger"

    def __init__(self, directory: Path, program: Path, root: Path, issuing: Path, issuing_key: Path) -> None:
        """Configure it with an existing hierarchy and one provisioner."""
        directory.mkdir()
        self.directory = directory
        self._program = program
        self._root = root
        self._port = free_port()
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = json.loads(ECAlgorithm.to_jwk(self._key.public_key()))
        jwk = {**public, "kid": "bench", "use": "sig", "alg": "ES256"}
        provisioner = {"type": "JWK", "name": "bench", "key": jwk, "encryptedKey": ""}
        provisioner["claims"] = {
            "maxTLSCertDuration": f"{_VALID_H}h",
            "defaultTLSCertDuration": f"{_VALID_H}h",
        }
        configuration = {
            "root": str(root),
            "crt": str(issuing),
            "key": str(issuing_key),
            "address": f"127.0.0.1:{self._port}",
            "dnsNames": ["127.0.0.1"],
            "logger": {"format": "text"},
            "db": {"type": "badgerv2", "dataSource": str(directory / "db")},
            "authority": {"provisioners": [provisioner]},
        }
        (directory / "ca.json").write_text(json.dumps(configuration))

    @staticmethod
    def installed() -> bool:
        """Whether this machine has what it is built from."""
        return Path("/usr/share/gocode/src/github.com/smallstep/certificates/ca").is_dir()

    @contextmanager
    def signing(self) -> Iterator[Target]:
        """Its signing service."""
        with running([self._program, "ca.json"], self.directory, self._port):
            yield Target(f"https://127.0.0.1:{self._port}", 201, "BEGIN CERTIFICATE", self._root)

    def requests(self, csrs: Sequence[tuple[str, str]]) -> list[Request]:
        """Signing requests for names and CSRs, each with the one-time token it wants."""
        headers = {"Content-Type": "application/json"}
        return [
            Request("/1.0/sign", json.dumps({"csr": csr, "ott": self._token(name)}), headers)
            for name, csr in csrs
        ]

    def _token(self, name: str) -> str:
        now = datetime.now(UTC)
        claims = {
            "iss": "bench",
            "aud": f"https://127.0.0.1:{self._port}/1.0/sign",
            "sub": name,
            "sans": [name],
            "iat": now,
            "nbf": now - timedelta(minutes=1),
            "exp": now + timedelta(minutes=30),
            "jti": os.urandom(16).hex(),
        }
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return jwt.encode(claims, pem, algorithm="ES256", headers={"kid": "bench"})
