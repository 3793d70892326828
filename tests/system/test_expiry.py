# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Time passes and clocks are wrong: a device always has a way back, and no clock can take it away."""

import dataclasses
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fleetpki import lifecycle
from fleetpki.fleet import Fleet
from fleetpki.pki.identifiers import certificate_id
from fleetpki.registry.models import RotationState
from fleetpki.sim.agent import PROGRAM, Agent
from fleetpki.sim.world import World
from tests.system.authority import DAY, Identity
from tests.system.conftest import DEVICE
from tests.system.enrolled_device import read_time_floor, write_store
from tests.wrong_clock import WrongClock, needs_libfaketime

#: What a clock may say, compared to the right time, so that no server's certificate is valid by it.
NOT_SET = timedelta(seconds=10 - time.time())
FAR_AHEAD = 70 * 365 * DAY

#: By this clock the broker's certificate is valid (2 years) and the device's is not any more (1 year).
PAST_THE_CERTIFICATE = 500 * DAY
WITHIN_THE_CERTIFICATE = 200 * DAY


# ---------------------------------------------------------------- expiry


async def test_a_device_that_slept_past_its_expiry_is_enrolled_again_without_an_operator(up: World) -> None:
    device, slept_with = enrolled_for(up, timedelta(seconds=2))
    await up.until("expired", lambda: lifecycle.utc_now() > slept_with.certificate.not_valid_after_utc)
    await device.start()
    for _ in range(5):
        await device.expect("disconnected: identity=operational why=refused .*certificate expired")
    await device.expect("connected: identity=bootstrap")
    await device.expect("enroll: accepted")
    connected = await device.expect("connected: identity=trial certificate=([0-9a-f]{64})")
    await up.until("activated", lambda: up.active(DEVICE) == connected[1])
    await device.write("status")
    await device.expect("status: .* generation=2 .* refusals=0 ")
    assert connected[1] != certificate_id(slept_with.certificate)
    assert len(up.cloud.certificates(DEVICE)) == 2


async def test_a_device_that_comes_online_shortly_before_its_expiry_renews_by_itself(up: World) -> None:
    device, old = enrolled_for(up, timedelta(seconds=50))  # of 350, as certificates begin 5 minutes ago
    await device.start()
    await device.expect("connected: identity=operational")
    await renewed(up, device)
    assert up.active(DEVICE) != certificate_id(old.certificate)


async def renewed(world: World, device: Agent) -> None:
    """The device begins and completes a renewal."""
    renewal = await device.expect("rotation: renewing id=(.*)")
    await device.expect(f"rotation: committed id={renewal[1]}")
    await world.until("committed", lambda: not world.cloud.rotation_is_open(DEVICE))
    assert [rotation.state for rotation in world.cloud.rotations(DEVICE)] == [RotationState.COMMITTED]


def enrolled_for(world: World, validity: timedelta) -> tuple[Agent, Identity]:
    """A device that enrolled, connected once, and was switched off; its certificate ends soon."""
    context = Fleet.open(world.cloud.layout.directory).context
    context = dataclasses.replace(
        context, policy=dataclasses.replace(context.policy, device_validity=validity)
    )
    key = ec.generate_private_key(ec.SECP256R1())
    answer = lifecycle.enroll(
        context, lifecycle.Application(DEVICE, bootstrap_id(world), "first", request(key))
    )
    connected = lifecycle.DeviceStatus(lifecycle.StatusState.CONNECTED, answer.certificate_id, generation=1)
    lifecycle.record_status(context, device_id=DEVICE, sender=answer.certificate_id, status=connected)
    identity = Identity(x509.load_pem_x509_certificate(answer.certificate_pem.encode()), key)
    device = world.new_agent(DEVICE)
    settings = world.cloud.device_settings(DEVICE)
    write_store(device.home, identity, settings, issuers_pem=answer.chain_pem)
    return device, identity


def bootstrap_id(world: World) -> str:
    certificate = (world.cloud.layout.bootstrap / "bootstrap.crt").read_bytes()
    return certificate_id(x509.load_pem_x509_certificate(certificate))


def request(key: ec.EllipticCurvePrivateKey) -> str:
    """A certification request for the device."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DEVICE)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.PEM).decode()


# ---------------------------------------------------------------- clocks


class ClockOfADevice(WrongClock):
    """A device whose wall clock can be set while it runs."""

    def __init__(self, world: World, device: Agent, directory: Path) -> None:
        super().__init__(directory)
        program = directory / "agent"
        settings = "".join(f"export {name}='{value}'\n" for name, value in self.environment.items())
        program.write_text(f"#!/bin/sh\n{settings}exec '{PROGRAM.absolute()}'\n")
        program.chmod(0o700)
        self.device = Agent(DEVICE, device.home, device.factory, world.transcript, program)


@pytest.fixture
async def clock(up: World, tmp_path: Path) -> AsyncIterator[ClockOfADevice]:
    """The clock of a new device."""
    clock = ClockOfADevice(up, up.new_agent(DEVICE), tmp_path)
    yield clock
    await clock.device.stop()


async def switched_on(world: World, clock: ClockOfADevice, ahead: timedelta) -> Agent:
    """A new device that is told its fleet while its clock is wrong."""
    clock.set(ahead)
    await world.switch_on(clock.device)
    return clock.device


async def enrolled(world: World, clock: ClockOfADevice) -> tuple[Agent, str]:
    """A device that enrolled while its clock was right, and its certificate."""
    device = await switched_on(world, clock, timedelta(0))
    connected = await device.expect("connected: identity=(?:operational|trial) certificate=(.*)")
    await world.until("activated", lambda: world.active(DEVICE) == connected[1])
    return device, connected[1]


def is_not_ahead(floor: int | None) -> bool:
    return floor is None or floor <= time.time()


@needs_libfaketime
@pytest.mark.parametrize(
    ("ahead", "reason"), [(NOT_SET, "not yet valid"), (FAR_AHEAD, "expired")], ids=["1970", "far ahead"]
)
async def test_a_wrong_clock_keeps_a_device_offline_only_until_it_is_set(
    ahead: timedelta, reason: str, up: World, clock: ClockOfADevice
) -> None:
    device, certificate = await enrolled(up, clock)
    floor = read_time_floor(device.home)
    clock.set(ahead)
    await device.write("restart")
    for _ in range(6):  # more often than refusals would be forgiven
        await device.expect(f"disconnected: identity=operational why=server_untrusted .*{reason}")
    assert read_time_floor(device.home) == floor
    clock.set(timedelta(0))
    await device.expect(f"connected: identity=operational certificate={certificate}")
    assert is_not_ahead(read_time_floor(device.home))


@needs_libfaketime
@pytest.mark.parametrize("ahead", [NOT_SET, FAR_AHEAD], ids=["1970", "far ahead"])
async def test_a_new_device_with_a_wrong_clock_enrols_when_it_is_set(
    ahead: timedelta, up: World, clock: ClockOfADevice
) -> None:
    device = await switched_on(up, clock, ahead)
    await device.expect("disconnected: identity=bootstrap why=server_untrusted")
    clock.set(timedelta(0))
    await device.expect("enroll: accepted")
    await device.expect("connected: identity=trial")


@needs_libfaketime
async def test_a_certificate_that_is_expired_by_a_wrong_clock_is_accepted_when_it_is_set(
    up: World, clock: ClockOfADevice
) -> None:
    device = await switched_on(up, clock, PAST_THE_CERTIFICATE)
    await device.expect("enroll: rejected code=expired")
    assert is_not_ahead(read_time_floor(device.home))
    clock.set(timedelta(0))
    await device.expect("enroll: accepted")
    await device.expect("connected: identity=trial")


@needs_libfaketime
async def test_a_clock_ahead_of_a_certificate_the_cloud_accepts_does_not_raise_the_floor(
    up: World, clock: ClockOfADevice
) -> None:
    device, certificate = await enrolled(up, clock)
    clock.set(PAST_THE_CERTIFICATE)
    await device.write("restart")
    await device.expect(f"connected: identity=operational certificate={certificate}")
    assert is_not_ahead(read_time_floor(device.home))


@needs_libfaketime
@pytest.mark.parametrize("ahead", [WITHIN_THE_CERTIFICATE, PAST_THE_CERTIFICATE], ids=["200 d", "500 d"])
async def test_a_device_whose_clock_was_ahead_still_rotates(
    ahead: timedelta, up: World, clock: ClockOfADevice
) -> None:
    device, certificate = await enrolled(up, clock)
    clock.set(ahead)
    await device.write("restart")
    await device.expect(f"connected: identity=operational certificate={certificate}")
    clock.set(timedelta(0))
    await device.write("restart")
    await device.expect(f"connected: identity=operational certificate={certificate}")
    await up.cloud.json("rotate", DEVICE)
    assert up.active(DEVICE) not in (None, certificate)


@needs_libfaketime
async def test_a_device_that_is_online_renews_when_85_percent_of_the_lifetime_are_over(
    up: World, clock: ClockOfADevice
) -> None:
    device, certificate = await enrolled(up, clock)
    clock.set(309 * DAY)  # of 365
    await device.write("restart")
    await device.expect(f"connected: identity=operational certificate={certificate}")
    await device.write("status")
    await device.expect("status: .* phase=online ")
    assert not any("renewing" in line for line in device.lines)
    clock.set(311 * DAY)
    await renewed(up, device)
    assert up.active(DEVICE) != certificate
