# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A key made here reaches its device, or nobody: it is sent once and stored nowhere."""

from fleetpki import lifecycle
from fleetpki.errors import Code, FleetError
from fleetpki.lifecycle import Context, KeyRequest, PushedCredential
from fleetpki.lifecycle.context import OPERATOR
from fleetpki.mqtt import messages, topics
from fleetpki.mqtt.bus import Bus
from fleetpki.mqtt.push import push
from fleetpki.registry.models import Rotation


def push_new_key(
    ctx: Context, bus: Bus, device_id: str, key: KeyRequest, *, actor: str = OPERATOR
) -> Rotation:
    """Send a new key to a device that is online. If it is not, the key is gone and the rotation over."""
    rotation, credential = lifecycle.push_rotation(ctx, device_id, key=key, actor=actor)
    delivered = False
    try:
        delivered = push(bus, topics.certs(device_id, "rotate"), _message(rotation, credential).to_payload())
    finally:
        if not delivered:
            lifecycle.abandon_rotation(
                ctx,
                device_id,
                rotation.rotation_id,
                Code.BUSY,
                "the device did not get the new key",
                actor=actor,
            )
    if not delivered:
        raise FleetError(f"{device_id} is offline; nothing was sent to it", "try again when it is online")
    return rotation


def _message(rotation: Rotation, credential: PushedCredential) -> messages.PushedRotation:
    return messages.PushedRotation(
        new_certificate=credential.certificate_pem,
        new_private_key=credential.private_key_pem,
        chain=credential.chain_pem,
        rotation_id=rotation.rotation_id,
    )
