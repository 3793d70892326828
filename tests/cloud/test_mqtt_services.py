# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Services without a broker: what happens to requests that fail, or that nobody certifies."""

import logging
from unittest import mock

import aiomqtt
import pytest
from aiomqtt import Message
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fleetpki import lifecycle
from fleetpki.desk import Desk
from fleetpki.errors import Code
from fleetpki.lifecycle import Context
from fleetpki.mqtt import messages, services, worker
from fleetpki.mqtt.services import SERVICES, Answer, Request, Service, serve
from fleetpki.registry.models import OutboxKind, OutboxMessage

ENROLMENT, CSR, STATUS = SERVICES


def request(payload: bytes) -> Request:
    return Request("dev-1", "a" * 64, payload)


async def test_an_unexpected_error_is_logged_answered_and_survived(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("secret of the inner workings")

    monkeypatch.setattr(lifecycle, "enroll_newcomers", explode)
    answer = await serve(ENROLMENT, Desk(ctx), request(b'{"request_id": "r-1", "csr": "x"}'))
    assert answer is not None
    assert answer.topic == "bootstrap/dev-1/enroll/rejected"
    assert b'"request_id":"r-1","code":"internal"' in answer.message.to_payload()
    assert b"inner workings" not in answer.message.to_payload()
    assert "RuntimeError" in caplog.text


async def test_a_refused_status_is_logged_and_not_answered(
    ctx: Context, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, services.__name__):
        assert await serve(STATUS, Desk(ctx), request(b"garbage")) is None
    assert "bad_message" in caplog.text


async def test_a_refused_certificate_request_is_answered_on_the_rejected_topic(ctx: Context) -> None:
    answer = await serve(CSR, Desk(ctx), request(b'{"rotation_id": "r-1"}'))
    assert answer is not None
    assert answer.topic == "devices/dev-1/certs/rejected"
    assert b'"rotation_id":"r-1","code":"bad_message"' in answer.message.to_payload()


@pytest.mark.parametrize("service", [ENROLMENT, CSR])
@pytest.mark.parametrize("odd", [r"\ud800", r"\u0000", "a b", r"x\n"])
async def test_an_impossible_id_does_not_come_back(ctx: Context, service: Service, odd: str) -> None:
    payload = f'{{"request_id": "{odd}", "rotation_id": "{odd}", "csr": "x"}}'.encode()
    answer = await serve(service, Desk(ctx), request(payload))
    assert answer is not None
    assert b'_id":"","code":"bad_message"' in answer.message.to_payload()


@pytest.mark.parametrize("number", ["1e400", "-1e999"])
async def test_a_number_too_large_for_json_is_refused(ctx: Context, number: str) -> None:
    payload = f'{{"request_id": "r-1", "csr": "x", "hardware": {{"a": [{number}]}}}}'.encode()
    answer = await serve(ENROLMENT, Desk(ctx), request(payload))
    assert answer is not None
    assert b'"code":"bad_message"' in answer.message.to_payload()


async def test_an_answer_that_cannot_be_written_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    refusal = messages.EnrollRejected(request_id="\ud800", code=Code.INTERNAL, message="")
    with mock.patch.object(aiomqtt, "Client", autospec=True) as client:
        await worker.send(client, Answer("bootstrap/dev-1/enroll/rejected", refusal))
        client.publish.assert_not_called()
    assert "cannot be written" in caplog.text


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
