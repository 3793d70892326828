# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A fleet whose web listeners really run, in threads of the test, and what talks to them."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from fleetpki import lifecycle
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import Application, Context, DeviceStatus, Enrolled, StatusState
from fleetpki.pki import keys
from fleetpki.pki.keys import PrivateKey
from fleetpki.registry import audit, queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import ApiRole, AuditEntry, Certificate, CertificateState
from fleetpki.web.doors import doors
from fleetpki.web.listeners import APPS
from fleetpki.web.server import make_server
from fleetpki.web.tls import server_context
from tests.cloud.broker_fixtures import PATIENCE_S, Identity, make_fleet
from tests.cloud.doubles import make_csr, new_key


@contextlib.contextmanager
def serving(app: ASGIApp, tls: ssl.SSLContext | None) -> Iterator[int]:
    """Serve an application on a free port of the loopback interface; the port."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    server = make_server(app, tls)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.stop()
        thread.join()


@dataclass
class Web:
    """The listeners of a fleet, and the fleet behind them."""

    fleet: Fleet
    workspace: Path
    ports: dict[str, int]
    apps: dict[str, Any]
    tls: ssl.SSLContext
    tokens: dict[ApiRole, str] = field(default_factory=dict)

    @property
    def ctx(self) -> Context:
        return self.fleet.context

    @cached_property
    def bootstrap(self) -> Identity:
        directory = self.fleet.layout.bootstrap
        return Identity(directory / "bootstrap.crt", directory / "bootstrap.key")

    @cached_property
    def operator(self) -> Identity:
        return self._service("operator")

    @cached_property
    def service(self) -> Identity:
        return self._service("service")

    @property
    def anchors(self) -> Path:
        return self.fleet.layout.bootstrap / "trust_anchors.pem"

    def url(self, name: str) -> str:
        scheme = "http" if name == "public" else "https"
        return f"{scheme}://127.0.0.1:{self.ports[name]}"

    def client(self, name: str, identity: Identity | None = None, **options: Any) -> httpx.Client:
        """A client of a listener, showing a certificate or none."""
        tls = ssl.create_default_context(cafile=str(self.anchors))
        if identity is not None:
            tls.load_cert_chain(identity.certificate, identity.key)
        return httpx.Client(base_url=self.url(name), verify=tls, timeout=PATIENCE_S, **options)

    def api(self, role: ApiRole | None = None) -> httpx.Client:
        """A client of the API, with a token of a role or none."""
        headers = {"Authorization": f"Bearer {self.tokens[role]}"} if role else {}
        return self.client("api", headers=headers)

    def curl(self, identity: Identity | None, *args: str | Path, data: bytes = b"") -> bytes:
        """Run curl with a certificate; what the server answered."""
        command: list[str | Path] = ["curl", "-sS", "--cacert", self.anchors, *args]
        if identity is not None:
            command += ["--cert", identity.certificate, "--key", identity.key]
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout

    def enrolled(self, device_id: str, key: PrivateKey | None = None) -> Enrolled:
        """A device that has enrolled over MQTT and reported."""
        csr_pem = make_csr(key or new_key(), device_id)
        application = Application(device_id, self.bootstrap.certificate_id, "request-1", csr_pem)
        enrolled = lifecycle.enroll(self.ctx, application)
        status = DeviceStatus(StatusState.CONNECTED, enrolled.certificate_id, generation=1)
        lifecycle.record_status(self.ctx, device_id=device_id, sender=enrolled.certificate_id, status=status)
        return enrolled

    def device(self, device_id: str) -> Identity:
        """An enrolled device's certificate and key, as files."""
        key = new_key()
        enrolled = self.enrolled(device_id, key)
        return self.identity(device_id, enrolled.certificate_pem + enrolled.chain_pem, key)

    def identity(self, name: str, certificates_pem: str, key: PrivateKey) -> Identity:
        """Write a certificate with its chain and its key down."""
        identity = Identity(self.workspace / f"{name}.crt", self.workspace / f"{name}.key")
        identity.certificate.write_text(certificates_pem)
        identity.key.write_bytes(keys.private_key_pem(key))
        return identity

    def certificates(self, device_id: str) -> list[Certificate]:
        with reading(self.ctx.sessions) as session:
            return list(queries.certificates(session, device_id))

    def state(self, certificate_id: str) -> CertificateState:
        with reading(self.ctx.sessions) as session:
            certificate = queries.certificate(session, certificate_id)
        assert certificate is not None
        return certificate.state

    def audited(self, subject: str) -> list[tuple[str, str]]:
        """Actor and action of every entry about a subject, after the whole chain has been verified."""
        with reading(self.ctx.sessions) as session:
            audit.verify(session)
            entries = session.query(AuditEntry).filter_by(subject=subject).order_by(AuditEntry.seq)
            return [(entry.actor, entry.action) for entry in entries]

    def _service(self, name: str) -> Identity:
        directory = self.fleet.layout.services
        return Identity(directory / f"{name}.crt", directory / f"{name}.key")


@contextlib.contextmanager
def running_web(workspace: Path, *names: str, **settings: Any) -> Iterator[Web]:
    """A new fleet in a directory, with these of its listeners."""
    ports = {"est_port": 1, "api_port": 2, "public_port": 3}  # the test listens, on ports of its own
    fleet = Fleet.open(make_fleet(workspace, **{**ports, **settings}).directory)
    tls = server_context(fleet.layout, fleet.context)
    apps: dict[str, Any] = {}
    listening: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        for door in doors(fleet.settings):
            if door.name in names:
                apps[door.name] = APPS[door.name](fleet)
                context = tls if door.uses_tls else None
                listening[door.name] = stack.enter_context(serving(apps[door.name], context))
        yield Web(fleet, workspace, listening, apps, tls, _tokens(fleet.context))


def _tokens(ctx: Context) -> dict[ApiRole, str]:
    return {role: lifecycle.create_token(ctx, f"test-{role}", role) for role in ApiRole}
