# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Borders on the broker, tried from outside with ordinary MQTT clients against a real Mosquitto."""

import contextlib
import ssl

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from fleetpki.mqtt import topics
from fleetpki.mqtt.worker import STAMP
from tests.cloud.broker_fixtures import (
    NOT_AUTHORISED,
    RETAIN_NOT_SUPPORTED,
    Device,
    Peer,
    RunningFleet,
    live,
    will_properties,
)

__all__ = ["live"]

STATUS = b'{"state": "connected"}'
FORGED = [(STAMP, "f" * 64)]


@pytest.fixture(scope="module")
def device(live: RunningFleet) -> Device:
    return live.enrolled("border-device")


def test_a_device_reads_and_writes_below_its_own_id(live: RunningFleet, device: Device) -> None:
    with device.connect() as peer, live.operator_peer("border-observer-1") as observer:
        observer.subscribe("devices/border-device/telemetry")
        peer.subscribe("devices/border-device/#")
        peer.publish("devices/border-device/telemetry", b"21")
        assert observer.receive().payload == b"21"
        observer.publish("devices/border-device/hello", b"42")
        assert [peer.receive().payload, peer.receive().payload] == [b"21", b"42"]


@pytest.mark.parametrize(
    "topic_filter",
    [
        "#",
        "+/border-device/#",
        "devices/+/certs/rotate",
        "devices/other-device/#",
        "devices/border-device2/#",
        "bootstrap/border-device/enroll/#",
        "$share/g/devices/border-device/#",
        "$SYS/#",
    ],
)
def test_a_device_cannot_read_what_is_not_its_own(device: Device, topic_filter: str) -> None:
    with device.connect() as peer:
        assert peer.subscribe(topic_filter).value == NOT_AUTHORISED


@pytest.mark.parametrize(
    "topic",
    [
        "devices/other-device/telemetry",
        "devices/other-device/certs/status",
        "devices/border-device/certs/rotate",
        "devices/border-device/certs/commit",
        "bootstrap/border-device/enroll",
        topics.DISCONNECT,
    ],
)
def test_a_device_cannot_write_what_is_not_its_own(device: Device, topic: str) -> None:
    with device.connect() as peer:
        assert peer.publish(topic, b"{}").value == NOT_AUTHORISED


def test_a_bootstrap_holder_can_only_enrol_under_its_client_id(live: RunningFleet) -> None:
    with live.bootstrap_peer("border-claimer") as peer:
        assert not peer.subscribe("bootstrap/border-claimer/enroll/#").is_failure
        assert peer.subscribe("bootstrap/border-device/enroll/#").value == NOT_AUTHORISED
        assert peer.subscribe("devices/border-device/#").value == NOT_AUTHORISED
        assert peer.subscribe("devices/border-claimer/#").value == NOT_AUTHORISED
        assert peer.publish("devices/border-claimer/certs/status", STATUS).value == NOT_AUTHORISED
        assert peer.publish("bootstrap/border-device/enroll", b"{}").value == NOT_AUTHORISED


def test_a_device_cannot_connect_under_another_client_id(live: RunningFleet, device: Device) -> None:
    answer = live.device_peer(device.me, "another-device").try_connect()
    assert answer is not None
    assert answer.value == NOT_AUTHORISED


def test_nobody_can_throw_a_device_off_by_taking_its_name(live: RunningFleet, device: Device) -> None:
    with device.connect() as peer:
        for thief in (live.bootstrap_peer("border-device"), live.operator_peer("border-device")):
            answer = thief.try_connect()
            assert answer is None or answer.is_failure
        assert not peer.publish("devices/border-device/still", b"here").is_failure


def test_an_mqtt_3_client_is_told_not_authorised_too(live: RunningFleet, device: Device) -> None:
    answer = live.device_peer(
        device.me, "another-device", protocol=MQTTProtocolVersion.MQTTv311
    ).try_connect()
    assert answer is not None
    assert answer.getName() == "Not authorized"


def test_the_bootstrap_certificate_is_worth_nothing_on_the_device_listener(live: RunningFleet) -> None:
    peer = live.device_peer(live.bootstrap, "border-claimer")
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        assert peer.try_connect() is None


def test_a_device_certificate_is_worth_nothing_on_the_bootstrap_listener(
    live: RunningFleet, device: Device
) -> None:
    peer = Peer(
        live.layout.bootstrap / "trust_anchors.pem", device.me, "border-device", live.settings.bootstrap_port
    )
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        assert peer.try_connect() is None


@pytest.mark.parametrize("protocol", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
def test_the_broker_certifies_the_sender(
    live: RunningFleet, device: Device, protocol: MQTTProtocolVersion
) -> None:
    with (
        live.operator_peer(f"border-observer-{protocol}") as observer,
        live.device_peer(device.me, "border-device", protocol=protocol) as peer,
    ):
        observer.subscribe("devices/border-device/certs/status")
        peer.publish("devices/border-device/certs/status", STATUS)
        assert observer.receive().user_properties == ((STAMP, device.me.certificate_id),)


def test_a_forged_certification_is_refused_and_the_connection_kept(
    live: RunningFleet, device: Device
) -> None:
    with live.operator_peer("border-observer-2") as observer, device.connect() as peer:
        observer.subscribe("devices/border-device/certs/status")
        forged = peer.publish("devices/border-device/certs/status", b"forged", user_properties=FORGED)
        assert forged.value == NOT_AUTHORISED
        peer.publish("devices/border-device/certs/status", STATUS)
        assert observer.receive().payload == STATUS


def test_a_will_reaches_ordinary_topics(live: RunningFleet, device: Device) -> None:
    will = ("devices/border-device/gone", b"bye", None)
    with live.operator_peer("border-observer-3") as observer:
        observer.subscribe("devices/border-device/gone")
        with live.device_peer(device.me, "border-device", will=will) as peer:
            peer.drop()
        assert observer.receive().payload == b"bye"


@pytest.mark.parametrize("ending", ["lost", "taken over"])
def test_a_will_cannot_forge_a_certificate_message(live: RunningFleet, device: Device, ending: str) -> None:
    will = ("devices/border-device/certs/status", b"forged", will_properties(FORGED))
    with live.operator_peer(f"border-observer-4-{ending[:1]}") as observer:
        observer.subscribe("devices/border-device/certs/status")
        with live.device_peer(device.me, "border-device", will=will) as peer:
            if ending == "lost":
                peer.drop()
            with device.connect() as successor:
                successor.publish("devices/border-device/certs/status", STATUS)
        assert observer.receive().payload == STATUS


def test_a_disconnect_command_ends_the_sessions_of_one_certificate_only(
    live: RunningFleet, device: Device
) -> None:
    bystander = live.enrolled("border-bystander")
    with (
        live.operator_peer("border-operator-1") as operator,
        device.connect() as victim,
        bystander.connect() as other,
    ):
        operator.publish(topics.DISCONNECT, {"certificate_id": device.me.certificate_id})
        assert victim.disconnected().is_failure
        assert not other.publish("devices/border-bystander/still", b"here").is_failure


@pytest.mark.parametrize(
    "payload", [b"", b"garbage", b"{}", b'{"certificate_id": 7}', b'{"certificate_id": "x"}']
)
def test_a_broken_disconnect_command_is_ignored(live: RunningFleet, payload: bytes) -> None:
    with live.operator_peer("border-operator-2") as operator:
        assert not operator.publish(topics.DISCONNECT, payload).is_failure
        assert not operator.publish("devices/nobody/x", b"").is_failure


def test_an_operator_cannot_end_its_own_session(live: RunningFleet) -> None:
    with live.operator_peer("border-operator-3") as operator:
        operator.publish(topics.DISCONNECT, {"certificate_id": live.operator.certificate_id})
        assert not operator.publish("devices/nobody/x", b"").is_failure


def test_nothing_can_be_retained(live: RunningFleet) -> None:
    with live.operator_peer("border-operator-4") as operator:
        operator.send("devices/border-device/certs/rotate", b"a key", retain=True)
        assert operator.disconnected().value == RETAIN_NOT_SUPPORTED


def test_64_kilobytes_of_garbage_reach_the_device_that_must_cope(live: RunningFleet, device: Device) -> None:
    with live.operator_peer("border-operator-5") as operator, device.connect() as peer:
        peer.subscribe("devices/border-device/certs/rotate")
        operator.publish("devices/border-device/certs/rotate", b"\xff" * 65536)
        assert len(peer.receive().payload) == 65536


def test_a_client_id_the_registry_never_heard_of_is_refused(live: RunningFleet) -> None:
    answer = live.bootstrap_peer("x" * 65).try_connect()
    assert answer is not None
    assert answer.value == NOT_AUTHORISED
