# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The protocol's messages: strict about what is required, deaf to what is unknown."""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpki.errors import Code, Rejected
from fleetpki.mqtt import messages

STATUS = {
    "state": "staged",
    "certificate_id": "a" * 64,
    "generation": 3,
    "not_after": "2027-01-01T00:00:00Z",
    "rotation_id": "r-1",
}


def payload(**changes: Any) -> bytes:
    return json.dumps(STATUS | changes).encode()


def test_a_status_is_read_and_unknown_fields_are_ignored() -> None:
    status = messages.parse(messages.StatusReport, payload(colour="blue"))
    assert (status.state, status.generation, status.rotation_id) == ("staged", 3, "r-1")


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"garbage",
        b"[]",
        b"null",
        b"\xff\xfe",
        payload(state="dancing"),
        payload(state=None),
        payload(generation="3"),
        payload(generation=-1),
        payload(certificate_id="short"),
        payload(rotation_id=""),
        payload(rotation_id="r" * 65),
        payload(rotation_id="a b"),
        payload(rotation_id="r\n1"),
        payload(generation=2**32),
        payload(code="[red]"),
        payload(message="\x1b]0;owned\x07"),
        payload(message="two\nlines"),
        payload(message="two\x85lines"),
        payload(message="two\u2028lines"),
        payload(message="two\u2029lines"),
        payload(message="x" * 513),
        payload(padding="x" * messages.MAX_MESSAGE),
    ],
)
def test_a_broken_status_is_a_bad_message(broken: bytes) -> None:
    with pytest.raises(Rejected) as rejected:
        messages.parse(messages.StatusReport, broken)
    assert rejected.value.code == Code.BAD_MESSAGE


def test_the_refusal_names_the_field_and_repeats_no_input() -> None:
    with pytest.raises(Rejected) as rejected:
        messages.parse(messages.EnrollRequest, b'{"request_id": "r", "csr": ["secret"]}')
    assert rejected.value.message == "csr: Input should be a valid string"


def test_absent_optional_fields_are_left_out() -> None:
    refusal = messages.EnrollRejected(request_id="r", code=Code.BUSY, message="later")
    assert json.loads(refusal.to_payload()) == {"request_id": "r", "code": "busy", "message": "later"}


def test_times_are_rfc_3339_in_utc() -> None:
    accepted = messages.EnrollAccepted(
        request_id="r",
        certificate="c",
        chain="d",
        certificate_id="e",
        time=datetime(2026, 6, 1, 12, 0, tzinfo=UTC),
    )
    assert json.loads(accepted.to_payload())["time"] == "2026-06-01T12:00:00Z"


def test_a_pushed_key_does_not_show_in_logs() -> None:
    pushed = messages.PushedRotation(
        new_certificate="c", new_private_key="secret", chain="d", rotation_id="r"
    )
    assert "secret" not in repr(pushed)
    assert json.loads(pushed.to_payload())["new_private_key"] == "secret"


@pytest.mark.parametrize(
    ("request_payload", "found"),
    [
        (b'{"request_id": "r-1", "csr": 5}', "r-1"),
        (b'{"request_id": 5}', ""),
        (b'["request_id"]', ""),
        (b"garbage", ""),
        (b"[" * 8000, ""),
        (b"\xff", ""),
        (json.dumps({"request_id": "r" * 65}).encode(), ""),
    ],
)
def test_a_broken_request_is_answered_by_its_id_if_it_has_one(request_payload: bytes, found: str) -> None:
    assert messages.request_id_in(request_payload, "request_id") == found


@given(st.binary(max_size=400))
def test_no_payload_does_worse_than_being_refused(garbage: bytes) -> None:
    messages.request_id_in(garbage, "request_id")
    for model in (messages.EnrollRequest, messages.CsrRequest, messages.StatusReport):
        with contextlib.suppress(Rejected):
            messages.parse(model, garbage)
