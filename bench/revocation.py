# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""How long a revoked device's session lives on, with a thousand sessions open, and whom else it disturbs."""

import asyncio
import tempfile
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from bench.cloud import bootstrap_sender, make_fleet, tls, up
from bench.mqtt import Session
from bench.report import Figure
from fleetpki import lifecycle
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import Application
from fleetpki.pki import keys
from fleetpki.pki.keys import KeyType

_SESSIONS = 1000
_REVOKED = 200


def measure(scratch: Path, _seconds: int) -> list[Figure]:
    """Revoke some of a thousand live sessions, one after the other."""
    fleet = make_fleet(scratch / "revocation")
    with tempfile.TemporaryDirectory(dir=scratch) as files:
        identities = _enroll(fleet, Path(files))
        with up(fleet):
            delays, disturbed = asyncio.run(_revoke(fleet, identities))
    delays.sort()
    note = f"{_SESSIONS} sessions, {len(delays)} revoked, {disturbed} others disturbed"
    return [
        Figure("revoked to dropped, median", delays[len(delays) // 2] * 1000, "ms", more_is_better=False),
        Figure(
            "revoked to dropped, p99",
            delays[int(len(delays) * 0.99)] * 1000,
            "ms",
            more_is_better=False,
            note=note,
        ),
    ]


def _enroll(fleet: Fleet, files: Path) -> dict[str, tuple[Path, Path]]:
    sender = bootstrap_sender(fleet)
    return {name: _enroll_one(fleet, sender, name, files) for name in (f"s-{n:04}" for n in range(_SESSIONS))}


def _enroll_one(fleet: Fleet, sender: str, name: str, files: Path) -> tuple[Path, Path]:
    key = keys.generate(KeyType.EC_P256)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    csr_pem = csr.public_bytes(serialization.Encoding.PEM).decode()
    enrolled = lifecycle.enroll(fleet.context, Application(name, sender, f"r-{name}", csr_pem))
    certificate, key_file = files / f"{name}.crt", files / f"{name}.key"
    certificate.write_text(enrolled.certificate_pem + enrolled.chain_pem)
    key_file.write_bytes(keys.private_key_pem(key))
    return certificate, key_file


async def _revoke(fleet: Fleet, identities: dict[str, tuple[Path, Path]]) -> tuple[list[float], int]:
    sessions = {
        name: await Session.open_patiently(fleet.settings.port, tls(fleet, *files), name)
        for name, files in identities.items()
    }
    endings = {name: asyncio.create_task(session.ended()) for name, session in sessions.items()}
    revoked = list(sessions)[:: _SESSIONS // _REVOKED]
    delays = []
    for name in revoked:
        started = time.perf_counter()
        await asyncio.to_thread(lifecycle.revoke_device, fleet.context, name, "unspecified")
        await asyncio.wait_for(endings[name], 30)
        delays.append(time.perf_counter() - started)
    disturbed = sum(ending.done() for name, ending in endings.items() if name not in revoked)
    for name, session in sessions.items():
        endings[name].cancel()
        session.close()
    return delays, disturbed
