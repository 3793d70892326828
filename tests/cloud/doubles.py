# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Stand-ins: a clock that is set by hand, and devices that speak to the rules directly."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from sqlalchemy import event

from fleetpki.errors import Code, Rejected
from fleetpki.lifecycle import (
    Application,
    Context,
    DeviceStatus,
    Enrolled,
    Issued,
    KeyRequest,
    Policy,
    StatusState,
    answer_csr,
    enroll,
    enroll_newcomers,
    record_status,
    register_hierarchy,
    start_rotation,
    verdict,
)
from fleetpki.lifecycle.ceremony import activate, install_authority, key_file
from fleetpki.pki import keys, profiles
from fleetpki.pki.hierarchy import Hierarchy
from fleetpki.pki.identifiers import certificate_id
from fleetpki.pki.issuer import Issuer, to_pem
from fleetpki.pki.keyring import KeyRing, KeyUnavailable
from fleetpki.pki.keys import KeyType, PrivateKey
from fleetpki.registry import audit, outbox, queries
from fleetpki.registry.database import Database, Sessions, create_registry, engine_of, reading
from fleetpki.registry.models import (
    AuditEntry,
    Authority,
    Certificate,
    CertificateState,
    Device,
    OutboxKind,
    Rotation,
    RotationState,
)
from tests.cloud.postgres import PostgresServer

START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
POLICY = Policy()


@dataclass
class Clock:
    """A clock that moves when told to."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


def new_key(key_type: KeyType = KeyType.EC_P256) -> PrivateKey:
    return keys.generate(key_type)


def make_csr(key: PrivateKey, *common_names: str) -> str:
    names = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in common_names])
    csr = x509.CertificateSigningRequestBuilder().subject_name(names).sign(key, hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.PEM).decode()


def make_context(sessions: Sessions, hierarchy: Hierarchy, clock: Clock, policy: Policy = POLICY) -> Context:
    keys_by_uri = {
        "file:ca/issuing.key": hierarchy.issuing.key,
        "file:ca/bootstrap-ca.key": hierarchy.bootstrap_ca.key,
    }
    return Context(sessions, KeyRing(KeysInMemory(keys_by_uri)), policy, clock=clock)


@dataclass
class KeysInMemory:
    """A key store without files."""

    by_uri: dict[str, PrivateKey]

    def open(self, uri: str) -> PrivateKey:
        if uri not in self.by_uri:
            raise KeyUnavailable(f"no key {uri}")
        return self.by_uri[uri]

    def create(self, uri: str, key_type: KeyType) -> PrivateKey:
        return self.by_uri.setdefault(uri, keys.generate(key_type))


class ReusedRegistry(ABC):
    """One database engine, put back for every test to a fleet that has no devices yet.

    A new engine would compile every statement anew. It does not wait for the disk either: these tests crash
    rules, not machines.
    """

    def __init__(self, database: Database, hierarchy: Hierarchy) -> None:
        self._sessions = create_registry(database)
        self._engine = engine_of(self._sessions)
        register_hierarchy(make_context(self._sessions, hierarchy, Clock(START)), hierarchy)
        self._engine.dispose()

    def renewed(self) -> Sessions:
        self._engine.dispose()
        self._put_back()
        return self._sessions

    @abstractmethod
    def _put_back(self) -> None:
        """Forget everything since the beginning."""


class ReusedFile(ReusedRegistry):
    """In a SQLite file."""

    def __init__(self, folder: Path, hierarchy: Hierarchy) -> None:
        self._path = folder / "registry.db"
        self._pristine = folder / "pristine.db"
        super().__init__(self._path, hierarchy)
        shutil.copy(self._path, self._pristine)
        event.listen(self._engine, "connect", self._do_not_sync)

    def _put_back(self) -> None:
        for leftover in self._path.parent.glob("registry.db-*"):
            leftover.unlink()
        shutil.copy(self._pristine, self._path)

    @staticmethod
    def _do_not_sync(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous=OFF").close()


class ReusedPostgres(ReusedRegistry):
    """In a database of a PostgreSQL server."""

    def __init__(self, server: PostgresServer, hierarchy: Hierarchy) -> None:
        self._server = server
        self.url = server.url("registry")
        server.create("registry")
        super().__init__(self.url, hierarchy)
        server.create("pristine", template="registry")

    def terminate_connections(self) -> None:
        self._server.terminate_connections("registry")

    def _put_back(self) -> None:
        self._server.drop("registry")
        self._server.create("registry", template="pristine")


def wait_until(condition: Callable[[], bool]) -> None:
    """What happens elsewhere takes its time."""
    end = monotonic() + 30
    while not condition():
        assert monotonic() < end
        sleep(0.001)


def refused(action: Callable[[], object]) -> Code:
    """The code a rule refuses with."""
    with pytest.raises(Rejected) as caught:
        action()
    return caught.value.code


@dataclass
class Fleet:
    """The registry seen from outside, and what the cloud has to say."""

    ctx: Context
    hierarchy: Hierarchy

    @property
    def bootstrap(self) -> str:
        return certificate_id(self.hierarchy.bootstrap.certificate)

    def device(self, device_id: str = "sensor-1") -> "FakeDevice":
        """A device that has enrolled and reported."""
        device = FakeDevice(self, device_id)
        device.enroll()
        device.says(StatusState.CONNECTED)
        self.delivered()
        return device

    def registered(self, device_id: str) -> Device | None:
        with reading(self.ctx.sessions) as session:
            return queries.device(session, device_id)

    def certificates(self, device_id: str) -> Sequence[Certificate]:
        with reading(self.ctx.sessions) as session:
            return queries.certificates(session, device_id)

    def certificate(self, certificate_id: str) -> Certificate:
        with reading(self.ctx.sessions) as session:
            certificate = queries.certificate(session, certificate_id)
        assert certificate is not None
        return certificate

    def state(self, certificate_id: str) -> CertificateState:
        return self.certificate(certificate_id).state

    def rotation(self, device_id: str, rotation_id: str) -> Rotation:
        with reading(self.ctx.sessions) as session:
            rotation = queries.rotation(session, device_id, rotation_id)
        assert rotation is not None
        return rotation

    def delivered(self) -> list[tuple[OutboxKind, dict[str, Any]]]:
        """Take everything out of the outbox, as the dispatcher does."""
        with self.ctx.writing() as session:
            messages = outbox.pending(session, limit=1000)
            outbox.delete(session, [message.id for message in messages])
        return [(message.kind, message.body) for message in messages]

    def audited(self, subject: str) -> list[str]:
        """The actions about a subject, after the whole chain has been verified."""
        with reading(self.ctx.sessions) as session:
            audit.verify(session)
            return [entry.action for entry in session.query(AuditEntry).filter_by(subject=subject)]

    @contextmanager
    def signing_key_away(self) -> Iterator[None]:
        """Nothing can be signed meanwhile."""

        def gone(_uri: str) -> PrivateKey:
            raise KeyUnavailable("the token is gone")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.ctx.keyring, "key", gone)
            yield

    def admits(self, certificate_id: str, client_id: str) -> bool:
        return verdict(self.ctx, certificate_id=certificate_id, client_id=client_id).allow


def add_issuing(fleet: Fleet, name: str) -> Authority:
    """Put another issuing authority in the place of the one there is."""
    now = fleet.ctx.clock()
    key = fleet.ctx.keyring.create(key_file(name), KeyType.EC_P256)
    root = Issuer(fleet.hierarchy.root.certificate, fleet.hierarchy.root.key)
    plan = root.plan(profiles.ISSUING, name, key.public_key(), now, permitted_hosts=["broker.example"])
    install_authority(fleet.ctx, name, to_pem(root.sign(plan)))
    return activate(fleet.ctx, name)


def enroll_at_a_door(ctx: Context, application: Application) -> Enrolled:
    """As all doors do: with the newcomers first."""
    [outcome] = enroll_newcomers(ctx, [application])
    if isinstance(outcome, Rejected):
        raise outcome
    return outcome or enroll(ctx, application)


@dataclass
class FakeDevice:
    """A device without a wire: it holds keys and speaks to the rules."""

    fleet: Fleet
    device_id: str
    key: PrivateKey = field(default_factory=new_key)
    certificate_id: str = ""
    bootstrap: str = ""
    """What it enrols with, unless that is the bootstrap certificate of the fleet."""

    def csr(self, key: PrivateKey | None = None) -> str:
        return make_csr(key or self.key, self.device_id)

    def enroll(self, request_id: str = "request-1", key: PrivateKey | None = None) -> Enrolled:
        """Enrol and take the certificate over."""
        self.key = key or self.key
        bootstrap = self.bootstrap or self.fleet.bootstrap
        application = Application(self.device_id, bootstrap, request_id, self.csr())
        enrolled = enroll_at_a_door(self.fleet.ctx, application)
        self.certificate_id = enrolled.certificate_id
        return enrolled

    def is_asked_to_rotate(self, key: KeyRequest = KeyRequest.EC_P256) -> str:
        return start_rotation(self.fleet.ctx, self.device_id, key=key).rotation_id

    def requests(
        self, rotation_id: str, key: PrivateKey, *, over: str | None = None, reason: str | None = None
    ) -> Issued:
        """Send a certification request for a rotation."""
        return answer_csr(
            self.fleet.ctx,
            device_id=self.device_id,
            sender=over or self.certificate_id,
            rotation_id=rotation_id,
            csr_pem=self.csr(key),
            reason=reason,
        )

    def says(
        self,
        state: StatusState,
        rotation_id: str | None = None,
        *,
        over: str | None = None,
        claims: str | None = None,
        code: str | None = None,
    ) -> None:
        """Send a status over a connection made with a certificate, its current one unless told."""
        connection = over or self.certificate_id
        status = DeviceStatus(
            state=state,
            certificate_id=claims or connection,
            generation=1,
            rotation_id=rotation_id,
            code=code,
        )
        record_status(self.fleet.ctx, device_id=self.device_id, sender=connection, status=status)

    def rotates(self, rotation_id: str, key: PrivateKey) -> str:
        """Go through a rotation by CSR to its good end; returns the new certificate's id."""
        self.says(StatusState.ACCEPTED, rotation_id)
        new = self.requests(rotation_id, key).certificate_id
        self.says(StatusState.STAGED, rotation_id)
        self.says(StatusState.CONNECTED, rotation_id, over=new)
        self.says(StatusState.COMMITTED, rotation_id, over=new)
        self.key, self.certificate_id = key, new
        return new

    def rotation_state(self, rotation_id: str) -> RotationState:
        return self.fleet.rotation(self.device_id, rotation_id).state
