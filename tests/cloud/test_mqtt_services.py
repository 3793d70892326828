# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Services without a broker: what happens to requests that fail, or that nobody certifies."""

import logging

import pytest
from aiomqtt import Message
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fleetpki import lifecycle
from fleetpki.lifecycle import Context
from fleetpki.mqtt import services, worker
from fleetpki.mqtt.services import SERVICES, Request, serve
from fleetpki.registry.models import OutboxKind, OutboxMessage

ENROLMENT, CSR, STATUS = SERVICES


def request(payload: bytes) -> Request:
    return Request("dev-1", "a" * 64, payload)


def test_an_unexpected_error_is_logged_answered_and_survived(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("secret of the inner workings")

    monkeypatch.setattr(lifecycle, "enroll", explode)
    answer = serve(ENROLMENT, ctx, request(b'{"request_id": "r-1", "csr": "x"}'))
    assert answer is not None
    assert answer.topic == "bootstrap/dev-1/enroll/rejected"
    assert b'"request_id":"r-1","code":"internal"' in answer.message.to_payload()
    assert b"inner workings" not in answer.message.to_payload()
    assert "RuntimeError" in caplog.text


def test_a_refused_status_is_logged_and_not_answered(ctx: Context, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, services.__name__):
        assert serve(STATUS, ctx, request(b"garbage")) is None
    assert "bad_message" in caplog.text


def test_a_refused_certificate_request_is_answered_on_the_rejected_topic(ctx: Context) -> None:
    answer = serve(CSR, ctx, request(b'{"rotation_id": "r-1"}'))
    assert answer is not None
    assert answer.topic == "devices/dev-1/certs/rejected"
    assert b'"rotation_id":"r-1","code":"bad_message"' in answer.message.to_payload()


def received(*user_properties: tuple[str, str]) -> Message:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if user_properties:
        properties.UserProperty = list(user_properties)
    return Message("devices/dev-1/certs/csr", b"{}", 1, False, 1, properties)


def test_a_certified_message_becomes_a_request() -> None:
    assert worker.request_in(received(("certificate-id", "a" * 64))) == Request("dev-1", "a" * 64, b"{}")


@pytest.mark.parametrize(
    "user_properties",
    [(), (("other", "x"),), (("certificate-id", "a" * 64), ("certificate-id", "b" * 64))],
)
def test_a_message_without_exactly_one_certified_sender_is_dropped_and_logged(
    user_properties: tuple[tuple[str, str], ...], caplog: pytest.LogCaptureFixture
) -> None:
    assert worker.request_in(received(*user_properties)) is None
    assert "no certified sender" in caplog.text


def test_the_outbox_knows_where_its_messages_go() -> None:
    rotate = OutboxMessage(kind=OutboxKind.ROTATE, device_id="dev-1", body={})
    disconnect = OutboxMessage(kind=OutboxKind.DISCONNECT, body={})
    assert worker.topic_of(rotate) == "devices/dev-1/certs/rotate"
    assert worker.topic_of(disconnect) == "$CONTROL/fleetpki/v1/disconnect"
