# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Our own cloud under measurement: a new fleet with its ``fleetpki up``."""

import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select

from bench.peers import free_port
from fleetpki import fleet as fleets
from fleetpki.config import PORTS, Settings
from fleetpki.fleet import Fleet
from fleetpki.registry.database import reading
from fleetpki.registry.models import Certificate, Role

_PASSPHRASE = b"a passphrase for benchmarks"


def make_fleet(directory: Path, **settings: object) -> Fleet:
    """A new fleet on free ports."""
    directory.mkdir()
    ports = {name: free_port() for name in PORTS}
    fleets.create(
        directory / "fleet", directory / "root", _PASSPHRASE, Settings.model_validate({**ports, **settings})
    )
    return Fleet.open(directory / "fleet")


@contextmanager
def up(fleet: Fleet) -> Iterator[None]:
    """The fleet, from when it is ready until the block ends."""
    log = fleet.layout.directory / "up.log"
    command: list[str | Path] = [sys.executable, "-m", "fleetpki.cli", "up", "--dir", fleet.layout.directory]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    assert process.stdout is not None
    try:
        if not process.stdout.readline().startswith("fleetpki: ready"):
            raise RuntimeError(f"the fleet does not come up:\n{log.read_text()}")
        yield
    finally:
        process.terminate()
        process.wait()


def bootstrap_sender(fleet: Fleet) -> str:
    """The id of the bootstrap certificate, which enrolments are sent with."""
    with reading(fleet.sessions) as session:
        query = select(Certificate.certificate_id).where(Certificate.role == Role.BOOTSTRAP)
        sender = session.scalars(query).one()
    assert sender is not None
    return sender


def tls(fleet: Fleet, certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS as the holder of a certificate."""
    context = ssl.create_default_context(cafile=str(fleet.layout.bootstrap / "trust_anchors.pem"))
    context.load_cert_chain(certificate, key)
    return context


def bootstrap_tls(fleet: Fleet) -> ssl.SSLContext:
    """TLS as a device that enrols."""
    folder = fleet.layout.bootstrap
    return tls(fleet, folder / "bootstrap.crt", folder / "bootstrap.key")
