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

#: MQTT 5 reason code of a PUBACK: the broker has the message, but nobody subscribes to its topic.
NO_MATCHING_SUBSCRIBERS = 0x10


def push(bus: Bus, topic: str, payload: bytes, timeout_s: float = 10.0) -> bool:
    """Publish once; whether somebody was subscribed. FleetError when the broker cannot be reached."""
    acknowledged: queue.SimpleQueue[ReasonCode] = queue.SimpleQueue()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id("push"), protocol=paho.MQTTv5)
    client.tls_set_context(bus.tls_context())

    def on_publish(_c: paho.Client, _u: object, _mid: int, reason: ReasonCode, _p: Properties) -> None:
        acknowledged.put(reason)

    client.on_publish = on_publish
    try:
        client.connect(bus.host, bus.port, clean_start=True)
        client.publish(topic, payload, qos=1)
        client.loop_start()
        reason = acknowledged.get(timeout=timeout_s)
    except OSError as error:
        raise _unreachable(bus, str(error)) from error
    except queue.Empty:
        raise _unreachable(bus, "no acknowledgement in time") from None
    finally:
        client.disconnect()
        client.loop_stop()
    if reason.is_failure:
        raise FleetError(f"the broker refused the message: {reason}", "see broker/mosquitto.log")
    return reason.value != NO_MATCHING_SUBSCRIBERS


def _unreachable(bus: Bus, why: str) -> FleetError:
    return FleetError(
        f"cannot reach the broker at {bus.host} port {bus.port}: {why}",
        "is 'fleetpki up' running for this fleet?",
        exit_code=4,
    )
