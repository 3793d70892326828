# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Why did it fail? What a device makes of each way a connection can fail, and what it counts.

Every row makes one failure with a real server, lets a device that has enrolled try once, and reads two of
its lines: ``disconnected: … why=…`` and ``status: … refusals=…``. Only a refusal of the identity may count.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from fleetpki.sim.agent import Agent
from fleetpki.sim.cloud import HOST
from fleetpki.sim.transcript import Transcript
from fleetpki.sim.world import World
from tests.system.authority import DAY, FOR_CLIENTS, FOR_SERVERS, GOOD_NOW, Authority, Identity, Validity
from tests.system.conftest import DEVICE
from tests.system.enrolled_device import write_store
from tests.system.servers import (
    Behaviour,
    Server,
    Tls,
    answer,
    bound_port,
    connack,
    hang_up,
    mosquitto,
    reset,
    reset_when_spoken_to,
    s_server,
    say_nothing,
    scripted,
    vanish,
)

HOSTS = (HOST, "localhost")
AN_HOUR = timedelta(hours=1)

MakeServer = Callable[[Tls], contextlib.AbstractAsyncContextManager[Server]]

#: What can be wrong with an identity, and the alert it is refused with.
BAD_IDENTITIES = {
    "revoked": "certificate revoked",
    "expired": "certificate expired",
    "not yet valid": "bad certificate",
    "of an unknown CA": "unknown CA",
    "not for clients": "unsupported certificate",
}

#: What can be wrong with a server's certificate, and why a device does not trust it.
BAD_SERVERS = {
    "expired": "certificate has expired",
    "not yet valid": "certificate is not yet valid",
    "of another host": "IP address mismatch",
    "of an unknown CA": "unable to get local issuer certificate",
    "not for servers": "unsuitable certificate purpose",
}

#: Behaviours of a server that has accepted the identity, what a device calls them, and what it counts.
AFTER_THE_HANDSHAKE = [
    pytest.param(connack(1), "unknown", 0, "unacceptable protocol version", id="CONNACK 1, wrong protocol"),
    pytest.param(connack(2), "refused", 1, "identifier rejected", id="CONNACK 2, identifier rejected"),
    pytest.param(connack(3), "network", 0, "broker unavailable", id="CONNACK 3, server unavailable"),
    pytest.param(connack(4), "refused", 1, "bad user name or password", id="CONNACK 4, bad credentials"),
    pytest.param(connack(5), "refused", 1, "not authorised", id="CONNACK 5, not authorised"),
    pytest.param(hang_up, "unknown", 0, "before CONNACK", id="closed at once"),
    pytest.param(answer(), "unknown", 0, "before CONNACK", id="closed after CONNECT"),
    pytest.param(vanish, "unknown", 0, "before CONNACK", id="TCP closed, TLS not"),
    pytest.param(reset, "unknown", 0, "before CONNACK", id="reset"),
    pytest.param(answer(b"\xff" * 9), "unknown", 0, "before CONNACK", id="nonsense instead of CONNACK"),
]

#: Behaviours of something that answers TCP but is no TLS server of ours. It has not seen the identity.
BEFORE_THE_HANDSHAKE = [
    pytest.param(hang_up, id="closed at once"),
    pytest.param(answer(), id="closed after ClientHello"),
    pytest.param(reset, id="reset at once"),
    pytest.param(reset_when_spoken_to, id="reset during the handshake"),
    pytest.param(answer(b"HTTP/1.1 400 Bad Request\r\n\r\n"), id="plain-text HTTP"),
    pytest.param(answer(bytes((0x15, 3, 3, 0, 2, 2, 70))), id="alert: protocol version"),
    pytest.param(answer(bytes((0x15, 3, 3, 0, 2, 2, 44))), id="forged alert: certificate revoked"),
    pytest.param(answer(bytes((0x15, 3, 3, 0, 2, 2, 48))), id="forged alert: unknown CA"),
]

by_server = pytest.mark.parametrize("server", [mosquitto, s_server], ids=["mosquitto", "s_server"])
by_version = pytest.mark.parametrize("version", ["1.2", "1.3"], ids=["TLS 1.2", "TLS 1.3"])


@dataclass(frozen=True)
class Failure:
    """What a device says about a failure, and what it counts."""

    why: str
    refusals: int
    detail: str


class Surroundings:
    """The authorities of a device and its server, and the device itself."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ours = Authority("our root")
        self.foreign = Authority("foreign root")
        self._agents: list[Agent] = []

    def identity(self, flaw: str = "") -> Identity:
        """The device's identity, with a flaw if wanted."""
        issuer = self.foreign if flaw == "of an unknown CA" else self.ours
        usage = FOR_SERVERS if flaw == "not for clients" else FOR_CLIENTS
        return issuer.issue(DEVICE, usage=usage, validity=_validity(flaw))

    def tls(self, version: str, flaw: str = "", revoked: Identity | None = None) -> Tls:
        """A server's side of TLS; the server's certificate with a flaw if wanted."""
        issuer = self.foreign if flaw == "of an unknown CA" else self.ours
        hosts = ("broker.example",) if flaw == "of another host" else HOSTS
        usage = FOR_CLIENTS if flaw == "not for servers" else FOR_SERVERS
        identity = issuer.issue("broker", usage=usage, hosts=hosts, validity=_validity(flaw))
        certificate, key = identity.write(self.directory / "broker")
        clients = self._file("clients.crt", self.ours.pem)
        crl = self._file("revoked.crl", self.ours.revocation_list(revoked)) if revoked else None
        return Tls(version, certificate, key, clients, crl)

    async def device(
        self,
        port: int,
        identity: Identity | None = None,
        broker: str = HOST,
        *,
        trial: Identity | None = None,
        backoff_ms: int = 3_600_000,
    ) -> Agent:
        """Switch on a device that enrolled once; unless told otherwise it tries once."""
        identity = identity or self.identity()
        directory = self.directory / f"device-{len(self._agents)}"
        factory = directory / "factory"
        factory.mkdir(parents=True)
        self.foreign.issue("bootstrap-1").write(factory / "bootstrap")
        (factory / "trust_anchors.pem").write_text(self.ours.pem)
        settings: dict[str, str | int] = {
            "id": DEVICE,
            "broker": broker,
            "port": port,
            "bootstrap-port": port,
            "backoff-min-ms": backoff_ms,
            "backoff-max-ms": backoff_ms,
        }
        write_store(directory / "state", identity, settings, trial=trial)
        agent = Agent(DEVICE, directory / "state", factory, Transcript())
        self._agents.append(agent)
        await agent.start()
        return agent

    async def failure(self, port: int, identity: Identity | None = None, broker: str = HOST) -> Failure:
        """How a device's attempt to connect fails."""
        return await failure_of(await self.device(port, identity, broker))

    async def switch_off(self) -> None:
        await asyncio.gather(*(agent.stop() for agent in self._agents))

    def _file(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Surroundings]:
    place = Surroundings(tmp_path)
    yield place
    await place.switch_off()


async def failure_of(agent: Agent) -> Failure:
    """The next failure of a device that uses its operational identity."""
    ended = await agent.expect(r'disconnected: identity=operational why=(\w+) .*detail="(.*)"')
    await agent.write("status")
    status = await agent.expect(r"status: .* refusals=(\d+) last_failure=(\w+)")
    assert status[2] == ended[1]
    return Failure(ended[1], int(status[1]), ended[2])


def _validity(flaw: str) -> Validity:
    return {"expired": (-DAY, -AN_HOUR), "not yet valid": (AN_HOUR, DAY)}.get(flaw, GOOD_NOW)


# ---------------------------------------------------------------- our identity was refused


@by_version
@by_server
@pytest.mark.parametrize("flaw", BAD_IDENTITIES)
async def test_the_server_refuses_an_identity_that_is(
    flaw: str, server: MakeServer, version: str, place: Surroundings
) -> None:
    identity = place.identity(flaw)
    async with server(place.tls(version, revoked=identity if flaw == "revoked" else None)) as running:
        failure = await place.failure(running.port, identity)
    assert (failure.why, failure.refusals) == ("refused", 1)
    assert BAD_IDENTITIES[flaw] in failure.detail


@pytest.mark.parametrize(("version", "why", "refusals"), [("1.2", "unknown", 0), ("1.3", "refused", 1)])
async def test_the_server_accepts_no_certificate_a_device_has(
    version: str, why: str, refusals: int, place: Surroundings
) -> None:
    """Asked for RSA, a device with an EC key shows nothing. Only TLS 1.3 has an alert that says so."""
    async with s_server(place.tls(version), "-client_sigalgs", "RSA-PSS+SHA256") as server:
        failure = await place.failure(server.port)
    assert (failure.why, failure.refusals) == (why, refusals)


@by_version
async def test_mosquitto_does_not_authorise_the_identity(version: str, place: Surroundings) -> None:
    async with mosquitto(place.tls(version), "allow_anonymous false") as broker:
        failure = await place.failure(broker.port)
    assert failure == Failure("refused", 1, "CONNACK: Connection Refused: not authorised.")


async def test_the_registry_does_not_authorise_the_identity(up: World, online: Agent) -> None:
    await up.cloud.json("revoke", DEVICE)
    await online.expect("disconnected: identity=operational why=network")  # how the session ends says nothing
    await online.expect("disconnected: identity=operational why=refused .* not authorised")


# ---------------------------------------------------------------- the server was not trusted


@by_version
@by_server
@pytest.mark.parametrize("flaw", BAD_SERVERS)
async def test_the_device_does_not_trust_a_server_whose_certificate_is(
    flaw: str, server: MakeServer, version: str, place: Surroundings
) -> None:
    async with server(place.tls(version, flaw)) as running:
        failure = await place.failure(running.port)
    assert (failure.why, failure.refusals) == ("server_untrusted", 0)
    assert BAD_SERVERS[flaw] in failure.detail


# ---------------------------------------------------------------- the network


async def test_no_dns(place: Surroundings) -> None:
    failure = await place.failure(1, broker="broker.invalid")
    assert (failure.why, failure.refusals) == ("network", 0)


async def test_no_route(place: Surroundings) -> None:
    failure = await place.failure(1, broker="255.255.255.255")  # TCP to everybody: no packet leaves
    assert failure == Failure("network", 0, "Network is unreachable")


async def test_connection_refused(place: Surroundings) -> None:
    with bound_port() as port:
        failure = await place.failure(port)
    assert failure == Failure("network", 0, "Connection refused")


async def test_silence(place: Surroundings) -> None:
    """One test for all that does not answer: what takes time is the device's patience."""
    async with contextlib.AsyncExitStack() as stack:
        full = stack.enter_context(bound_port(backlog=0))
        stack.enter_context(socket.create_connection((HOST, full)))  # the one that waits fills it
        unattended = stack.enter_context(bound_port(backlog=1))
        mute = await stack.enter_async_context(scripted(None, say_nothing))
        mute_tls = await stack.enter_async_context(scripted(place.tls("1.3"), say_nothing))
        failures = await asyncio.gather(*map(place.failure, (full, unattended, mute, mute_tls)))
    assert failures == [
        Failure("network", 0, "Connection timed out"),
        Failure("network", 0, "TLS handshake not done in time"),
        Failure("network", 0, "TLS handshake not done in time"),
        Failure("network", 0, "no CONNACK in time"),
    ]


@by_version
@pytest.mark.parametrize("signal", ["terminate", "kill"])
async def test_the_broker_stops_in_the_middle_of_a_session(
    signal: str, version: str, place: Surroundings
) -> None:
    async with mosquitto(place.tls(version)) as broker:
        agent = await place.device(broker.port)
        await agent.expect("connected: identity=operational")
        getattr(broker.process, signal)()
        failure = await failure_of(agent)
    assert (failure.why, failure.refusals) == ("network", 0)


@by_version
async def test_a_session_is_taken_over_by_a_copy_of_the_device(version: str, place: Surroundings) -> None:
    async with mosquitto(place.tls(version)) as broker:
        agent = await place.device(broker.port)
        await agent.expect("connected: identity=operational")
        copy = await place.device(broker.port)
        await copy.expect("connected: identity=operational")
        failure = await failure_of(agent)
    assert (failure.why, failure.refusals) == ("network", 0)


# ---------------------------------------------------------------- it cannot be known


@by_version
@pytest.mark.parametrize(("behaviour", "why", "refusals", "detail"), AFTER_THE_HANDSHAKE)
async def test_a_server_that_accepts_the_certificate_answers_with(
    behaviour: Behaviour, why: str, refusals: int, detail: str, version: str, place: Surroundings
) -> None:
    async with scripted(place.tls(version), behaviour) as port:
        failure = await place.failure(port)
    assert (failure.why, failure.refusals) == (why, refusals)
    assert detail in failure.detail


@pytest.mark.parametrize("behaviour", BEFORE_THE_HANDSHAKE)
async def test_a_server_that_has_not_seen_the_identity_answers_with(
    behaviour: Behaviour, place: Surroundings
) -> None:
    async with scripted(None, behaviour) as port:
        failure = await place.failure(port)
    assert (failure.why, failure.refusals) == ("unknown", 0)


async def test_a_broker_without_tls(place: Surroundings) -> None:
    async with mosquitto(None) as broker:
        failure = await place.failure(broker.port)
    assert (failure.why, failure.refusals) == ("unknown", 0)


# ---------------------------------------------------------------- what follows from many of them


@pytest.mark.parametrize(
    ("behaviour", "failures"),
    [
        pytest.param(connack(5), 5, id="refused"),
        pytest.param(hang_up, 10, id="closed without a reason"),
    ],
)
async def test_the_bootstrap_identity_gets_a_try_and_nothing_is_erased(
    behaviour: Behaviour, failures: int, place: Surroundings
) -> None:
    async with scripted(place.tls("1.3"), behaviour) as port:
        agent = await place.device(port, backoff_ms=10)
        store = contents(agent)
        await agent.expect("connecting: identity=bootstrap")
        tries = sum("disconnected: identity=operational" in line for line in agent.lines)
        await agent.expect("connecting: identity=operational")
    assert tries == failures
    assert contents(agent) == store


@pytest.mark.parametrize("cause", ["unavailable", "untrusted", "refused by the port"])
async def test_what_is_not_the_identitys_fault_never_costs_it(cause: str, place: Surroundings) -> None:
    async with contextlib.AsyncExitStack() as stack:
        if cause == "unavailable":
            port = await stack.enter_async_context(scripted(place.tls("1.3"), connack(3)))
        elif cause == "untrusted":
            port = (await stack.enter_async_context(s_server(place.tls("1.3", "expired")))).port
        else:
            port = stack.enter_context(bound_port())
        agent = await place.device(port, backoff_ms=10)
        store = contents(agent)
        for _ in range(25):
            await agent.expect("disconnected: identity=operational")
    assert not any("identity=bootstrap" in line for line in agent.lines)
    assert contents(agent) == store


async def test_three_refusals_of_an_identity_on_trial_bring_back_the_one_before(place: Surroundings) -> None:
    trial = place.identity()
    async with mosquitto(place.tls("1.3", revoked=trial)) as broker:
        agent = await place.device(broker.port, trial=trial, backoff_ms=10)
        await agent.expect("connected: identity=operational")
        failures = [line for line in agent.lines if "disconnected:" in line]
    assert len(failures) == 3
    assert all("identity=trial why=refused" in line for line in failures)


async def test_an_identity_on_trial_outlasts_what_is_not_its_fault(place: Surroundings) -> None:
    async with scripted(place.tls("1.3"), connack(3)) as port:
        agent = await place.device(port, trial=place.identity(), backoff_ms=10)
        store = contents(agent)
        for _ in range(25):
            await agent.expect("disconnected: identity=trial why=network")
    changed = {name for name, content in contents(agent).items() if store.get(name) != content}
    assert changed <= {"commit"}  # which counts the boot
    assert not any("rolled_back" in line for line in agent.lines)


def contents(agent: Agent) -> dict[str, bytes]:
    """What a device has stored."""
    return {path.name: path.read_bytes() for path in (agent.home / "store").iterdir()}
