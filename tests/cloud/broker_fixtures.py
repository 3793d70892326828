# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A fleet that really runs, and what talks to it: an MQTT peer, a device, the command line."""

import contextlib
import io
import json
import os
import queue
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from unittest import mock

import httpx
import paho.mqtt.client as paho
import pytest
from cryptography import x509
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from fleetpki import cli, fleet
from fleetpki.config import BROKER_PORTS, PORTS, Layout, Settings
from fleetpki.mqtt import topics
from fleetpki.pki import keys
from fleetpki.pki.identifiers import certificate_id
from fleetpki.pki.keys import PrivateKey
from tests.cloud.doubles import make_csr, new_key

#: Far longer than anything takes: reached only when a test fails.
PATIENCE_S = 20.0
PASSPHRASE = b"correct horse battery staple"

NOT_AUTHORISED = 0x87
RETAIN_NOT_SUPPORTED = 0x9A


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def client_hello() -> bytes:
    """The first words of a TLS handshake."""
    to_client, from_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(
            to_client, from_client, server_hostname="x"
        ).do_handshake()
    return from_client.read()


def make_fleet(directory: Path, **changes: Any) -> Layout:
    """A new fleet in ``directory/fleet``, on free ports; without the web unless asked for."""
    ports = {**dict.fromkeys(PORTS, 0), **dict(zip(BROKER_PORTS, free_ports(3), strict=True))}
    settings = Settings(outbox_poll_ms=20).model_copy(update={**ports, **changes})
    fleet.create(directory / "fleet", directory / "root", PASSPHRASE, settings)
    return Layout(directory / "fleet")


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def data(self) -> Any:
        return json.loads(self.stdout)


def run_cli(*args: str | Path) -> Outcome:
    """Run ``fleetpki`` in this process."""
    stdout, stderr = io.StringIO(), io.StringIO()
    code = 0
    with (
        mock.patch.object(sys, "argv", ["fleetpki", *map(str, args)]),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
    return Outcome(code, stdout.getvalue(), stderr.getvalue())


def start_up(
    layout: Layout, log: IO[str] | int = subprocess.PIPE, environment: dict[str, str] | None = None
) -> "subprocess.Popen[str]":
    """Start ``fleetpki up``; it may not be ready yet."""
    return subprocess.Popen(
        [sys.executable, "-m", "fleetpki.cli", "up", "--dir", layout.directory],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, **(environment or {})},
    )


def ready_line(process: "subprocess.Popen[str]") -> str:
    """Wait for the line that says that devices can connect."""
    assert process.stdout is not None
    return process.stdout.readline()


def children_of(up: int) -> dict[bool, int]:
    """The processes of an ``up`` without the web: by whether it is Mosquitto; the other gives verdicts."""
    children = Path(f"/proc/{up}/task/{up}/children").read_text().split()
    return {Path(f"/proc/{pid}/comm").read_text().startswith("mosquitto"): int(pid) for pid in children}


def mosquitto_of(up: int) -> int:
    return children_of(up)[True]


@dataclass(frozen=True)
class Identity:
    """A certificate with its chain and key, as files."""

    certificate: Path
    key: Path

    @property
    def certificate_id(self) -> str:
        return certificate_id(x509.load_pem_x509_certificate(self.certificate.read_bytes()))


@dataclass
class RunningFleet:
    """A fleet with its ``fleetpki up``."""

    layout: Layout
    settings: Settings
    workspace: Path
    pid: int
    log: Path

    @property
    def bootstrap(self) -> Identity:
        return Identity(self.layout.bootstrap / "bootstrap.crt", self.layout.bootstrap / "bootstrap.key")

    @property
    def operator(self) -> Identity:
        return Identity(self.layout.services / "operator.crt", self.layout.services / "operator.key")

    def cli(self, command: str, *args: str | Path) -> Outcome:
        return run_cli(command, *args, "--dir", self.layout.directory, "--json")

    def web(self, listener: str, identity: Identity) -> httpx.Client:
        """A client of a listener, showing a certificate."""
        tls = ssl.create_default_context(cafile=str(self.layout.bootstrap / "trust_anchors.pem"))
        tls.load_cert_chain(identity.certificate, identity.key)
        address = f"https://localhost:{getattr(self.settings, f'{listener}_port')}"
        return httpx.Client(base_url=address, verify=tls, timeout=PATIENCE_S)

    def bootstrap_peer(self, client_id: str, **options: Any) -> "Peer":
        return self._peer(self.bootstrap, client_id, self.settings.bootstrap_port, options)

    def device_peer(self, identity: Identity, client_id: str, **options: Any) -> "Peer":
        return self._peer(identity, client_id, self.settings.port, options)

    def operator_peer(self, client_id: str) -> "Peer":
        return self._peer(self.operator, client_id, self.settings.service_port, {})

    def enrolled(self, device_id: str) -> "Device":
        """A device with its own, activated certificate; not connected."""
        device = Device(self, device_id)
        device.enroll()
        with device.connect():
            device.report("connected")
            device.await_active()
        return device

    def _peer(self, identity: Identity, client_id: str, port: int, options: dict[str, Any]) -> "Peer":
        return Peer(self.layout.bootstrap / "trust_anchors.pem", identity, client_id, port, **options)


@contextlib.contextmanager
def running(
    workspace: Path, *, environment: dict[str, str] | None = None, **settings: Any
) -> Iterator[RunningFleet]:
    """A new fleet, up until the end of the block."""
    layout = make_fleet(workspace, **settings)
    current = fleet.Fleet.open(layout.directory).settings
    with tempfile.NamedTemporaryFile("w") as log, start_up(layout, log, environment) as process:
        path = Path(log.name)
        try:
            assert ready_line(process).startswith("fleetpki: ready"), path.read_text()
            yield RunningFleet(layout, current, workspace, process.pid, path)
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, path.read_text()


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    """One running fleet for all tests of a process; each test uses device ids of its own."""
    with running(tmp_path_factory.mktemp("live")) as fleet_:
        yield fleet_


@dataclass(frozen=True)
class Received:
    """A message as it arrived."""

    topic: str
    payload: bytes
    user_properties: tuple[tuple[str, str], ...]

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Peer:
    """An MQTT client that says what the broker answered."""

    def __init__(
        self,
        anchors: Path,
        identity: Identity,
        client_id: str,
        port: int,
        *,
        protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
        will: tuple[str, bytes, Properties | None] | None = None,
    ) -> None:
        self._port = port
        self._connacks: queue.Queue[ReasonCode | None] = queue.Queue()
        self._disconnects: queue.Queue[ReasonCode] = queue.Queue()
        self._subacks: queue.Queue[list[ReasonCode]] = queue.Queue()
        self._pubacks: queue.Queue[ReasonCode] = queue.Queue()
        self._messages: queue.Queue[Received] = queue.Queue()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=protocol, reconnect_on_failure=False
        )
        context = ssl.create_default_context(cafile=str(anchors))
        context.load_cert_chain(identity.certificate, identity.key)
        self._client.tls_set_context(context)
        if will is not None:
            self._client.will_set(will[0], will[1], qos=1, properties=will[2])
        self._client.on_connect = lambda _c, _u, _flags, reason, _p: self._connacks.put(reason)
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = lambda _c, _u, _mid, reasons, _p: self._subacks.put(reasons)
        self._client.on_publish = lambda _c, _u, _mid, reason, _p: self._pubacks.put(reason)
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        reason = self.try_connect()
        assert reason is not None, "the connection was closed without an answer"
        assert not reason.is_failure, reason
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self.close()

    def try_connect(self) -> ReasonCode | None:
        """What the broker answers to the CONNECT; None when it closes the connection without an answer."""
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        return self._connacks.get(timeout=PATIENCE_S)

    def close(self) -> None:
        """Say goodbye."""
        self._client.disconnect()
        self._client.loop_stop()

    def drop(self) -> None:
        """Lose the connection, as a crash does."""
        sock = self._client.socket()
        assert isinstance(sock, ssl.SSLSocket)
        sock.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()

    def subscribe(self, topic_filter: str) -> ReasonCode:
        """What the broker says to a subscription."""
        self._client.subscribe(topic_filter, qos=1)
        return self._subacks.get(timeout=PATIENCE_S)[0]

    def publish(
        self,
        topic: str,
        payload: bytes | dict[str, Any],
        *,
        user_properties: Sequence[tuple[str, str]] = (),
        retain: bool = False,
    ) -> ReasonCode:
        """What the broker says to a message."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self._client.publish(topic, body, qos=1, retain=retain, properties=properties(user_properties))
        return self._pubacks.get(timeout=PATIENCE_S)

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish without waiting for an acknowledgement."""
        self._client.publish(topic, payload, qos=1, retain=retain)

    def receive(self) -> Received:
        """The next message."""
        return self._messages.get(timeout=PATIENCE_S)

    def received_nothing(self) -> bool:
        return self._messages.empty()

    def disconnected(self) -> ReasonCode:
        """Wait until the broker ends the connection; why it did."""
        return self._disconnects.get(timeout=PATIENCE_S)

    def is_connected(self) -> bool:
        return self._client.is_connected()

    def _on_disconnect(
        self,
        _c: paho.Client,
        _u: Any,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _p: Properties | None,
    ) -> None:
        self._connacks.put(None)
        self._disconnects.put(reason)

    def _on_message(self, _c: paho.Client, _u: Any, message: paho.MQTTMessage) -> None:
        stamps = getattr(message.properties, "UserProperty", [])
        self._messages.put(Received(message.topic, bytes(message.payload), tuple(stamps)))


def properties(user_properties: Sequence[tuple[str, str]]) -> Properties | None:
    """User properties of a PUBLISH."""
    if not user_properties:
        return None
    made = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    made.UserProperty = list(user_properties)
    return made


def will_properties(user_properties: Sequence[tuple[str, str]]) -> Properties:
    """User properties of a will."""
    made = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
    made.UserProperty = list(user_properties)
    return made


@dataclass
class Device:
    """The least that speaks the protocol as a device does."""

    fleet: RunningFleet
    device_id: str
    key: PrivateKey = field(default_factory=new_key, repr=False)
    identity: Identity | None = None
    peer: Peer | None = None
    generation: int = 1

    def csr(self, key: PrivateKey | None = None) -> str:
        return make_csr(key or self.key, self.device_id)

    def enroll(self) -> Any:
        """Enrol; the answer."""
        request = {"request_id": f"enroll-{self.device_id}", "csr": self.csr()}
        with self.fleet.bootstrap_peer(self.device_id) as peer:
            assert not peer.subscribe(f"bootstrap/{self.device_id}/enroll/#").is_failure
            peer.publish(f"bootstrap/{self.device_id}/enroll", request)
            answer = peer.receive()
        assert answer.topic == topics.enroll_accepted(self.device_id), answer
        self.adopt(answer.json["certificate"], answer.json["chain"], self.key)
        return answer.json

    def adopt(self, certificate_pem: str, chain_pem: str, key: PrivateKey) -> None:
        """From now on be this."""
        name = self.fleet.workspace / f"{self.device_id}-{self.generation}"
        self.generation += 1
        self.key = key
        self.identity = Identity(name.with_suffix(".crt"), name.with_suffix(".key"))
        self.identity.certificate.write_text(certificate_pem + chain_pem)
        self.identity.key.write_bytes(keys.private_key_pem(key, None))

    def connect(self) -> Peer:
        """A connection with the current certificate, to be entered."""
        self.peer = self.fleet.device_peer(self.me, self.device_id)
        return self.peer

    @property
    def me(self) -> Identity:
        assert self.identity is not None, "enrol first"
        return self.identity

    @property
    def online(self) -> Peer:
        assert self.peer is not None, "connect first"
        return self.peer

    def report(self, state: str, rotation_id: str | None = None, certificate: str | None = None) -> None:
        """Publish a status."""
        status = {
            "state": state,
            "certificate_id": certificate or self.me.certificate_id,
            "generation": self.generation,
            "not_after": "2040-01-01T00:00:00Z",
            **({"rotation_id": rotation_id} if rotation_id else {}),
        }
        assert not self.online.publish(topics.certs(self.device_id, "status"), status).is_failure

    def listen(self) -> None:
        """Subscribe to one's own certificate commands."""
        for kind in ("rotate", "issued", "rejected", "commit"):
            assert not self.online.subscribe(topics.certs(self.device_id, kind)).is_failure

    def await_active(self) -> None:
        """Wait until the registry says that this certificate is the active one."""
        await_(lambda: self.record()["certificate_id"] == self.me.certificate_id)

    def record(self) -> Any:
        """What the registry knows."""
        return self.fleet.cli("show", self.device_id).data


def await_(condition: Any) -> None:
    """Poll a fact that becomes true soon, and say so when it does not."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.02)
