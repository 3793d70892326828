# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Rotations with every kind of key, as an operator asks for them."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from fleetpki.sim.agent import Agent
from fleetpki.sim.slots import find_slot
from fleetpki.sim.world import World
from tests.system.conftest import DEVICE


@pytest.mark.parametrize(
    ("key", "kind", "bits"),
    [("ec-p256", ec.EllipticCurvePublicKey, 256), ("rsa-2048", rsa.RSAPublicKey, 2048)],
)
async def test_a_rotation_makes_the_key_asked_for_and_renewal_keeps_it(
    up: World, online: Agent, key: str, kind: type, bits: int
) -> None:
    await up.cloud.json("rotate", DEVICE, "--key", key)
    made = up.cloud.certificates(DEVICE)[-1]
    public_key = x509.load_pem_x509_certificate(made.signed_pem.encode()).public_key()
    assert isinstance(public_key, kind)
    assert getattr(public_key, "key_size", None) == bits

    await up.cloud.json("rotate", DEVICE, "--key", "same")
    renewed = up.cloud.certificates(DEVICE)[-1]
    assert renewed.key_digest == made.key_digest
    assert renewed.certificate_id == up.active(DEVICE) != made.certificate_id
    find_slot(online.home, renewed.signed_id)


async def test_a_key_made_in_the_cloud_is_pushed_and_used(up: World, online: Agent) -> None:
    await up.cloud.json("rotate", DEVICE, "--push", "--key", "rsa-2048")
    await online.write("status")
    await online.expect(f"status: .* phase=online identity=operational .* certificate={up.active(DEVICE)}")


async def test_only_one_rotation_at_a_time(up: World, online: Agent) -> None:
    await online.stop()
    await up.cloud.json("rotate", DEVICE, "--no-wait")
    second = await up.cloud.run("rotate", DEVICE)
    assert second.code == 2
    assert "busy" in second.stderr
