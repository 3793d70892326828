# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A device's whole life in ten steps. Each looks at facts from outside, not at what a part says of itself."""

import asyncio
import json
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fleetpki.mqtt.bus import Bus
from fleetpki.registry.models import LIVE_CERTIFICATE, CertificateState
from fleetpki.sim.agent import Agent
from fleetpki.sim.commands import SimError
from fleetpki.sim.slots import Slot, find_slot, read_slots
from fleetpki.sim.sockets import connections
from fleetpki.sim.workshop import Forger
from fleetpki.sim.world import World, for_each

#: A stranger: holds the bootstrap certificate, has not enrolled.
STRANGER = "stranger"

TRIAL_REFUSALS = 3
KILLS = 5
WATCH_S = 5.0

#: More attempts than this within WATCH_S mean that a device spins; a backoff of 0.1 to 2 s makes about eight.
MAX_ATTEMPTS = 16


class Life:
    """The ten steps for a number of devices at once, and a bystander that is to notice nothing."""

    def __init__(self, world: World, devices: int) -> None:
        """Live the life of so many devices in a world."""
        self.world = world
        self.cloud = world.cloud
        self.witness = world.witness
        self._device_ids = [f"device-{number:02}" for number in range(1, devices + 1)]
        self.agents: list[Agent] = []
        self.rotation_s = 0.0

    @property
    def bystander(self) -> Agent:
        """The device to which nothing happens."""
        return self.agents[-1]

    @property
    def tested(self) -> list[Agent]:
        """The devices to which everything happens."""
        return self.agents[:-1]

    # 1 ------------------------------------------------------------------------------------------------------

    async def make_pki(self) -> None:
        """The chain verifies; the root key is encrypted, gone from the cloud, and never needed again."""
        world, layout = self.world, self.cloud.layout
        await self.cloud.init()
        root, issuing = layout.ca / "root.crt", layout.ca / "issuing.crt"
        await world.runner.check(["openssl", "verify", "-x509_strict", "-CAfile", root, issuing])
        for leaf in (layout.broker / "broker.crt", layout.services / "operator.crt"):
            await world.runner.check(
                ["openssl", "verify", "-x509_strict", "-CAfile", root, "-untrusted", issuing, leaf]
            )
        root_key = self.cloud.root_directory / "root.key"
        opened = await world.runner.run(["openssl", "pkey", "-noout", "-passin", "pass:", "-in", root_key])
        world.check("the root key cannot be read without its passphrase", opened.code != 0)
        foreign = await world.runner.run(
            ["openssl", "verify", "-CAfile", root, layout.bootstrap / "bootstrap.crt"]
        )
        world.check("the bootstrap certificate does not chain to the root", foreign.code != 0)

        safe = world.directory / "safe"
        safe.mkdir(mode=0o700)
        shutil.move(self.cloud.root_directory, safe)
        shutil.move(self.cloud.passphrase_file, safe)
        root_public = x509.load_pem_x509_certificate(root.read_bytes()).public_key()
        world.check(
            "no key in the fleet directory is the root's", root_public not in public_keys(layout.directory)
        )
        await world.cloud_up()

    # 2 ------------------------------------------------------------------------------------------------------

    async def enrol(self) -> None:
        """Devices with nothing but the bootstrap certificate get one of their own; the key stays inside."""
        self.agents = [self.world.new_agent(name) for name in [*self._device_ids, "bystander"]]
        await for_each(self.agents, self._enrol)

    async def _enrol(self, agent: Agent) -> None:
        world, device_id = self.world, agent.device_id
        world.check("a new device has no identity", not agent.home.exists() or not read_slots(agent.home))
        await world.switch_on(agent)
        request = await self.witness.message(
            0, f"bootstrap/{device_id}/enroll", lambda m: "csr" in m.fields, "CSR"
        )
        bootstrap_id = certificate_id((agent.factory / "bootstrap.crt").read_bytes())
        world.check("it asks with the bootstrap certificate", request.certificate_id == bootstrap_id)
        csr = request.fields["csr"].encode()
        subject = await world.runner.check(
            ["openssl", "req", "-verify", "-noout", "-subject", "-nameopt", "RFC2253"], stdin=csr
        )
        world.check("the request is signed and names the device", f"CN={device_id}" in subject, subject)

        answer = await self.witness.message(
            0, f"bootstrap/{device_id}/enroll/accepted", lambda m: "certificate" in m.fields, "certificate"
        )
        world.check("the answer brings no private key", b"PRIVATE KEY" not in answer.payload)
        issued = answer.fields["certificate"].encode()
        same_key = (
            x509.load_pem_x509_certificate(issued).public_key() == x509.load_pem_x509_csr(csr).public_key()
        )
        world.check("the certificate is for the requested key", same_key)
        await world.until("the device stores an identity", lambda: bool(read_slots(agent.home)))
        shown = await self.cloud.json("show", device_id)
        known = [certificate["certificate_id"] for certificate in shown["certificates"]]
        world.check("the registry has exactly this certificate", known == [certificate_id(issued)], known)
        self._check_key_stayed(find_slot(agent.home, certificate_id(issued)), issued)

    def _check_key_stayed(self, slot: Slot, certificate: bytes) -> None:
        key = serialization.load_der_private_key(slot.key_der, password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - what a device makes unless told otherwise
        own = key.public_key() == x509.load_pem_x509_certificate(certificate).public_key()
        self.world.check("the device has the key of its certificate", own)
        secret = key.private_numbers().private_value.to_bytes(32, "big")
        cloud_files = [path for path in self.cloud.layout.directory.rglob("*") if path.is_file()]
        leaked = [path for path in cloud_files if secret in path.read_bytes()]
        self.world.check("no file of the cloud contains the key", not leaked, leaked)
        told = [message.topic for message in self.witness.messages if b"PRIVATE KEY" in message.payload]
        self.world.check("no message contained a private key", not told, told)

    # 3 ------------------------------------------------------------------------------------------------------

    async def reconnect(self) -> None:
        """Each device is online with its own certificate; the bootstrap identity is untouched and works."""
        await for_each(self.agents, self._reconnect)
        accepted = await self.world.probe.accepts(self.cloud.bootstrap_bus(), STRANGER)
        self.world.check("the bootstrap certificate is still accepted for enrolment", accepted)

    async def _reconnect(self, agent: Agent) -> None:
        world, device_id = self.world, agent.device_id
        [slot] = read_slots(agent.home)
        await self.witness.status(0, device_id, state="connected", sender=slot.certificate_id)
        await world.until(
            "the registry has activated it", lambda: self.world.active(agent.device_id) == slot.certificate_id
        )
        for name in ("bootstrap.crt", "bootstrap.key", "trust_anchors.pem"):
            same = (agent.factory / name).read_bytes() == (self.cloud.layout.bootstrap / name).read_bytes()
            world.check(f"{name} is what it was", same)

    # 4 ------------------------------------------------------------------------------------------------------

    async def borders(self) -> None:
        """Nobody reads or writes what is not theirs."""
        world, neighbour = self.world, self.bystander
        await neighbour.stop()  # its identity is used by somebody else now, under its name
        stolen = self._steal(neighbour, self.world.active(neighbour.device_id))
        bootstrap = self.cloud.bootstrap_bus()
        probe = world.probe
        own = await probe.may_subscribe(bootstrap, STRANGER, f"bootstrap/{STRANGER}/enroll/#")
        world.check("a bootstrap holder may wait for its own answer", own)
        own = await probe.may_subscribe(stolen, neighbour.device_id, f"devices/{neighbour.device_id}/#")
        world.check("a device may read its own topics", own)
        for topic in ("#", "devices/+/certs/status", "bootstrap/+/enroll/accepted", "$share/x/devices/#"):
            for bus, client_id in ((bootstrap, STRANGER), (stolen, neighbour.device_id)):
                granted = await probe.may_subscribe(bus, client_id, topic)
                world.check(f"{client_id} may not read {topic}", not granted)
        mark = self.witness.mark()
        for (
            agent
        ) in self.tested:  # one after the other: two clients with the neighbour's id would end each other
            await self._border(agent, bootstrap, stolen)
            told = self.witness.since(mark, f"devices/{agent.device_id}/certs/rotate")
            world.check(
                "no forged message got through", not told and not self.witness.statuses(mark, agent.device_id)
            )
        mark = self.witness.mark()
        await neighbour.start()
        await self.witness.status(mark, neighbour.device_id, state="connected")

    async def _border(self, agent: Agent, bootstrap: Bus, neighbour: Bus) -> None:
        world, device_id = self.world, agent.device_id
        for bus, client_id in (
            (bootstrap, f"{STRANGER}-to-{device_id}"),
            (neighbour, self.bystander.device_id),
        ):
            for topic in (f"devices/{device_id}/#", f"bootstrap/{device_id}/enroll/#"):
                granted = await world.probe.may_subscribe(bus, client_id, topic)
                world.check(f"{client_id} may not read {topic}", not granted)
            for topic in (f"devices/{device_id}/certs/status", f"devices/{device_id}/certs/rotate"):
                granted = await world.probe.may_publish(bus, client_id, topic)
                world.check(f"{client_id} may not write {topic}", not granted)
        link = self._connection(agent)
        for bus, who in ((bootstrap, "a bootstrap holder"), (neighbour, self.bystander.device_id)):
            posing = await world.probe.accepts(bus, device_id)
            world.check(f"{who} may not call itself {device_id}", not posing)
        world.check("nor did trying throw it off", self._connection(agent) == link)

    # 5 ------------------------------------------------------------------------------------------------------

    async def rotate(self) -> None:
        """A new key and certificate, proven on the connection; the old one is accepted no longer."""
        await for_each(self.tested, self._rotate)

    async def _rotate(self, agent: Agent) -> None:
        world, device_id, old = self.world, agent.device_id, self.world.active(agent.device_id)
        stolen = self._steal(agent, old)
        mark = self.witness.mark()
        rotation = await self.cloud.json("rotate", device_id)
        new = self.world.active(agent.device_id)
        world.check("the registry works with a new certificate", new not in (None, old))
        await self.witness.status(mark, device_id, state="connected", sender=new)
        commit = self.witness.since(mark, f"devices/{device_id}/certs/commit")
        world.check("the cloud committed it", [m.fields["certificate_id"] for m in commit] == [new])
        await self.witness.status(mark, device_id, state="committed", sender=new)
        before, after = self.cloud.certificates(device_id)[-2:]
        world.check("the key is new as well", before.key_digest != after.key_digest)
        world.check(
            "the old certificate is superseded", before.state == CertificateState.SUPERSEDED, before.state
        )
        world.check("the command says so too", rotation["certificate_id"] == new)
        world.check("the old certificate is refused", not await world.probe.accepts(stolen, device_id))
        [asked] = self.witness.since(mark, f"devices/{device_id}/certs/rotate")
        self.rotation_s = max(self.rotation_s, self.witness.statuses(mark, device_id)[-1].at - asked.at)

    # 6 ------------------------------------------------------------------------------------------------------

    async def push(self) -> None:
        """A key made elsewhere, certified by the operator and pushed by plain mosquitto_pub."""
        await for_each(self.tested, self._push)

    async def _push(self, agent: Agent) -> None:
        device_id = agent.device_id
        certificate, key = await self._issue(agent, f"{device_id}-push")
        new = certificate_id(certificate.read_bytes())
        mark = self.witness.mark()
        await self.world.push(device_id, await self.world.rotate_message(device_id, certificate, key))
        await self.witness.status(mark, device_id, state="connected", sender=new)
        await self.witness.status(mark, device_id, state="committed", sender=new)
        await self.world.until(
            "the registry works with the pushed certificate",
            lambda: self.world.active(agent.device_id) == new,
        )

    async def _issue(self, agent: Agent, name: str) -> tuple[Path, Path]:
        """A certificate for a key that openssl made."""
        key = await self.world.workshop.key(name)
        request = await self.world.workshop.request(key, agent.device_id)
        certificate = key.with_suffix(".crt")
        await self.cloud.json("issue", agent.device_id, "--csr", request, "--out", certificate)
        return certificate, key

    # 7 ------------------------------------------------------------------------------------------------------

    async def bad_pushes(self) -> None:
        """What is wrong is refused with its code; the device stays who and where it is."""
        layout = self.cloud.layout
        issuing = Forger.with_stolen(layout.ca / "issuing.crt", layout.ca / "issuing.key")
        await for_each(self.tested, lambda agent: self._bad_pushes(agent, issuing))

    async def _bad_pushes(self, agent: Agent, issuing: Forger) -> None:
        world, device_id, identity = self.world, agent.device_id, self.world.active(agent.device_id)
        link = self._connection(agent)
        mark = self.witness.mark()
        for name, (payload, code) in bad_pushes(device_id, issuing).items():
            here = self.witness.mark()
            await world.push(
                device_id, world.workshop.file(f"{device_id}-{name.replace(' ', '-')}.json", payload)
            )
            status = await self.witness.status(here, device_id, state="rejected", sender=identity)
            world.check(f"{name} is rejected as {code}", status.fields["code"] == code, status.fields)
        again = [m for m in self.witness.statuses(mark, device_id) if m.fields["state"] != "rejected"]
        world.check("the device reported nothing but rejections", not again, [m.fields for m in again])
        world.check(
            "the registry works with the same certificate", self.world.active(agent.device_id) == identity
        )
        world.check(
            "the device has the same identity",
            find_slot(agent.home, identity or "").certificate_id == identity,
        )
        world.check("the connection was kept", self._connection(agent) == link)

    # 8 ------------------------------------------------------------------------------------------------------

    async def roll_back(self) -> None:
        """A certificate the device accepts and the broker refuses: three refusals, back to the old one."""
        await for_each(self.tested, self._roll_back)

    async def _roll_back(self, agent: Agent) -> None:
        world, device_id, old = self.world, agent.device_id, self.world.active(agent.device_id)
        certificate, key = await self._issue(agent, f"{device_id}-refused")
        new = certificate_id(certificate.read_bytes())
        message = await world.rotate_message(device_id, certificate, key)
        await self.cloud.json("revoke", device_id, "--certificate", new)
        mark = self.witness.mark()
        await world.push(device_id, message)
        await self.witness.status(mark, device_id, state="staged", certificate_id=new, sender=old)
        await self.witness.status(mark, device_id, state="rolled_back", sender=old)
        refusals = [
            line
            for line in self.cloud.broker_log()
            if f"refused certificate {new} as client {device_id}" in line
        ]
        world.check("the broker refused it three times", len(refusals) == TRIAL_REFUSALS, refusals)
        await self.witness.status(mark, device_id, state="connected", sender=old)
        world.check("the registry works with the old certificate", self.world.active(agent.device_id) == old)

    # 9 ------------------------------------------------------------------------------------------------------

    async def kill(self) -> None:
        """Killed five times in the middle of a rotation: always online again, always one identity."""
        await for_each(self.tested, self._kill)

    async def _kill(self, agent: Agent) -> None:
        world, device_id = self.world, agent.device_id
        for _ in range(KILLS):
            mark = self.witness.mark()
            await self.cloud.ask_to_rotate(device_id)
            await self.witness.message(
                mark, f"devices/{device_id}/certs/rotate", lambda _: True, "rotate message"
            )
            await asyncio.sleep(
                world.random.uniform(0, self.rotation_s)
            )  # the moment of the kill is the point
            await agent.kill()
            mark = self.witness.mark()
            await agent.start()
            await self.witness.status(mark, device_id, state="connected")
            await world.until("the rotation has ended", lambda: not self.cloud.rotation_is_open(device_id))
            live = [
                c.certificate_id for c in self.cloud.certificates(device_id) if c.state in LIVE_CERTIFICATE
            ]
            world.check("the registry has one live certificate", len(live) == 1, live)
            await self.witness.status(mark, device_id, state="connected", sender=live[0])
            find_slot(agent.home, live[0] or "")

    # 10 -----------------------------------------------------------------------------------------------------

    async def revoke(self) -> None:
        """Out at once and not in again, without spinning, and without disturbing anybody else."""
        link = self._connection(self.bystander)
        mark = self.witness.mark()
        await for_each(self.tested, self._revoke)
        self.world.check("the bystander's connection is the same", self._connection(self.bystander) == link)
        noticed = self.witness.statuses(mark, self.bystander.device_id)
        self.world.check("the bystander had nothing to report", not noticed, noticed)

    async def _revoke(self, agent: Agent) -> None:
        world, device_id = self.world, agent.device_id
        stolen = self._steal(agent, self.world.active(agent.device_id))
        [link] = self._connection(agent)
        await self.cloud.json("revoke", device_id, "--reason", "stolen")
        await world.until(
            "the live session is dropped", lambda: link not in self._connection(agent), within=5
        )
        world.check("the certificate is refused", not await world.probe.accepts(stolen, device_id))
        attempts = self._attempts(agent)
        mark = self.witness.mark()
        start = time.monotonic()
        await asyncio.sleep(WATCH_S)  # how often it tries within this time is the point
        made = self._attempts(agent) - attempts
        world.check(
            f"it keeps trying, but not often ({time.monotonic() - start:.0f} s)",
            0 < made <= MAX_ATTEMPTS,
            made,
        )
        world.check("it got nowhere", not self.witness.statuses(mark, device_id))
        world.check("nor did it get another certificate", self.world.active(agent.device_id) is None)

    # What the steps share -----------------------------------------------------------------------------------

    def _connection(self, agent: Agent) -> set[str]:
        return connections(agent.pid, self.cloud.settings.port)

    def _attempts(self, agent: Agent) -> int:
        """Connections the broker saw under the device's id."""
        name = agent.device_id
        return sum(
            f" as client {name}:" in line or f" as {name} (" in line for line in self.cloud.broker_log()
        )

    def _steal(self, agent: Agent, certificate: str | None) -> Bus:
        """A device's identity, read out of its store, in other hands."""
        if certificate is None:
            raise SimError("the device has no active certificate in the registry")
        slot = find_slot(agent.home, certificate)
        workshop, name = self.world.workshop, f"stolen-{certificate[:16]}"
        return self.cloud.device_bus(
            workshop.file(f"{name}.crt", slot.chain_pem), workshop.file(f"{name}.key", slot.key_pem)
        )


@dataclass(frozen=True)
class Step:
    """One step: what it shows, and how."""

    title: str
    run: Callable[[Life], Awaitable[None]]


STEPS = (
    Step("PKI made: chain verifies, root key encrypted and taken away", Life.make_pki),
    Step("enrolled by CSR with the bootstrap certificate; the key never left the device", Life.enrol),
    Step("online with its own certificate; bootstrap identity untouched", Life.reconnect),
    Step("borders hold: bootstrap holder and neighbour read and write nothing of others", Life.borders),
    Step("rotated by CSR: proven on the connection, committed, the old one refused", Life.rotate),
    Step("rotated by a push with plain mosquitto_pub", Life.push),
    Step("seven bad pushes rejected, each with its code; identity and connection kept", Life.bad_pushes),
    Step("accepted by the device, refused by the broker: three refusals, rolled back", Life.roll_back),
    Step("killed at five random moments of a rotation: online again, one identity", Life.kill),
    Step("revoked: dropped, refused, backs off; the bystander noticed nothing", Life.revoke),
)


def bad_pushes(device_id: str, issuing: Forger) -> dict[str, tuple[str | bytes, str]]:
    """What everyday mistakes and attackers send, and the code each has to be rejected with."""
    foreign = Forger.with_own_authority("fleetpki issuing CA")

    def message(pair: tuple[str, str], chain: str) -> str:
        return json.dumps({"new_certificate": pair[0], "new_private_key": pair[1], "chain": chain})

    good = issuing.device(device_id)
    # Younger than the device's own all the same: only the end of its life speaks against it.
    expired = issuing.device(device_id, end=timedelta(seconds=-1))
    _, other_key = issuing.device(device_id)
    return {
        "broken JSON": (message(good, issuing.chain)[:-1], "bad_message"),
        "unescaped newlines": (message(good, issuing.chain).replace("\\n", "\n"), "bad_message"),
        "key of another certificate": (message((good[0], other_key), issuing.chain), "key_mismatch"),
        "foreign CA": (message(foreign.device(device_id), foreign.chain), "untrusted"),
        "expired": (message(expired, issuing.chain), "expired"),
        "another device's name": (message(issuing.device("somebody-else"), issuing.chain), "wrong_subject"),
        "64 KB of garbage": (bytes(range(256)) * 256, "bad_message"),
    }


def certificate_id(pem: bytes) -> str:
    """The certificate id of the first certificate."""
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()


def public_keys(directory: Path) -> list[object]:
    """The public halves of all unencrypted private keys below a directory."""
    keys = [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
    return [
        serialization.load_pem_private_key(key, password=None).public_key()
        for key in keys
        if key.startswith(b"-----BEGIN PRIVATE KEY-----")
    ]
