# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Sends one message to one device and finds out whether the device was there to get it.

Used for commands that carry a private key: they are sent once, to a device that is connected now, or not at
all.
"""

import queue

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from fleetpki.errors import FleetError
from fleetpki.mqtt.bus import Bus, client_id

#: MQTT 5 reason codes of a PUBACK that say that the device did not get the message: nobody subscribes to the
#: topic; and, from our broker plugin, the device is not connected, whoever else may subscribe.
NO_MATCHING_SUBSCRIBERS = 0x10
NOT_AUTHORISED = 0x87


def push(bus: Bus, topic: str, payload: bytes, timeout_s: float = 10.0) -> bool:
    """Publish once; whether the device got it. FleetError when the broker cannot be reached."""
    answers: queue.SimpleQueue[ReasonCode] = queue.SimpleQueue()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id("push"), protocol=paho.MQTTv5)
    client.tls_set_context(bus.tls_context())

    def on_publish(_c: paho.Client, _u: object, _mid: int, reason: ReasonCode, _p: Properties) -> None:
        answers.put(reason)

    client.on_publish = on_publish
    try:
        client.connect(bus.host, bus.port, clean_start=True)
        client.publish(topic, payload, qos=1)
        client.loop_start()
        reason = answers.get(timeout=timeout_s)
    except OSError as error:
        raise _unreachable(bus, str(error)) from error
    except queue.Empty:
        raise _unreachable(bus, "no acknowledgement in time") from None
    finally:
        client.disconnect()
        client.loop_stop()
    if reason.value in (NO_MATCHING_SUBSCRIBERS, NOT_AUTHORISED):
        return False
    if reason.is_failure:
        raise FleetError(f"the broker refused the message: {reason}", "see broker/mosquitto.log")
    return True


def _unreachable(bus: Bus, why: str) -> FleetError:
    return FleetError(
        f"cannot reach the broker at {bus.host} port {bus.port}: {why}",
        "is 'fleetpki up' running for this fleet?",
        exit_code=4,
    )
