# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""OCSP responders to compare with; each answers for the certificates of one issuing CA."""

import base64
import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509

from bench.peers import free_port, running


@contextmanager
def openssl_ocsp(
    directory: Path, issuing: Path, key: Path, certificates: Sequence[x509.Certificate]
) -> Iterator[str]:
    """``openssl ocsp`` with its index file; its signer is the CA itself."""
    directory.mkdir()
    lines = [
        f"V\t{certificate.not_valid_after_utc:%y%m%d%H%M%SZ}\t\t{certificate.serial_number:X}\tunknown\t/CN={number}\n"
        for number, certificate in enumerate(certificates)
    ]
    (directory / "index.txt").write_text("".join(lines))
    port = free_port()
    command: list[str | Path] = ["openssl", "ocsp", "-index", "index.txt", "-port", str(port), "-CA", issuing]
    command += ["-rsigner", issuing, "-rkey", key, "-ndays", "1"]
    with running(command, directory, port, says=b"waiting for OCSP client"):  # it serves one client at a time
        yield f"http://127.0.0.1:{port}"


@contextmanager
def cfssl_static(directory: Path, issuing: Path, key: Path, leaves: Sequence[Path]) -> Iterator[str]:
    """``cfssl ocspserve``: responses signed beforehand, served from memory; knows nothing of revocations."""
    directory.mkdir()
    responses = [_presign(issuing, key, leaf) for leaf in leaves]
    (directory / "responses").write_text("\n".join(responses) + "\n")
    port = free_port()
    command: list[str | Path] = [
        "cfssl",
        "ocspserve",
        "-loglevel",
        "5",
        "-port",
        str(port),
        "-responses",
        "responses",
    ]
    with running(command, directory, port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def cfssl_signing(directory: Path, issuing: Path, key: Path) -> Iterator[str]:
    """``cfssl serve`` signing each response on demand."""
    directory.mkdir()
    port = free_port()
    command: list[str | Path] = [
        "cfssl",
        "serve",
        "-loglevel",
        "5",
        "-port",
        str(port),
        "-ca",
        issuing,
        "-ca-key",
        key,
    ]
    command += ["-responder", issuing, "-responder-key", key]
    with running(command, directory, port):
        yield f"http://127.0.0.1:{port}"


def signing_body(certificate_pem: str) -> bytes:
    """What ``cfssl_signing`` wants to be asked."""
    return json.dumps({"certificate": certificate_pem, "status": "good"}).encode()


def _presign(issuing: Path, key: Path, leaf: Path) -> str:
    command: list[str | Path] = ["cfssl", "ocspsign", "-loglevel", "5", "-ca", issuing, "-responder", issuing]
    made = subprocess.run([*command, "-responder-key", key, "-cert", leaf], check=True, capture_output=True)
    response: str = json.loads(made.stdout)["ocspResponse"]
    base64.b64decode(response)
    return response
