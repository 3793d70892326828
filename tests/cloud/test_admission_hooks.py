# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""An operator's rule at a URL: its word counts, and its silence is a no."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fleetpki.errors import Code, Rejected, Unavailable
from fleetpki.hooks import HttpHook, admission_hooks
from fleetpki.lifecycle import Applicant

APPLICANT = Applicant("sensor-1", "batch-7", "0" * 64, "1" * 64, {"chip": "esp32c3"}, is_known=False)


@contextmanager
def service(body: bytes, status: int = 200) -> Iterator[tuple[str, list[Any]]]:
    """A server that gives one answer to everybody; what it was asked."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/admit", asked
        finally:
            server.shutdown()
            thread.join()


def test_it_is_told_who_asks() -> None:
    with service(b'{"allow": true}') as (url, asked):
        HttpHook(url)(APPLICANT)
    assert asked == [
        {
            "device_id": "sensor-1",
            "batch": "batch-7",
            "certificate_id": "0" * 64,
            "key_digest": "1" * 64,
            "hardware": {"chip": "esp32c3"},
            "is_known": False,
        }
    ]


@pytest.mark.parametrize(
    ("answer", "code", "message", "retry_after_s"),
    [
        ({"allow": False}, Code.NOT_ALLOWED, "refused by a rule of the operator's", None),
        (
            {"allow": False, "code": "budget_exceeded", "message": "paid for 9"},
            Code.BUDGET_EXCEEDED,
            "paid for 9",
            None,
        ),
        (
            {"allow": False, "code": "made_up", "retry_after_s": 9},
            Code.NOT_ALLOWED,
            "refused by a rule of the operator's",
            9,
        ),
    ],
)
def test_its_no_is_passed_on(
    answer: dict[str, Any], code: Code, message: str, retry_after_s: int | None
) -> None:
    with service(json.dumps(answer).encode()) as (url, _), pytest.raises(Rejected) as caught:
        HttpHook(url)(APPLICANT)
    refusal = caught.value
    assert (refusal.code, refusal.message, refusal.retry_after_s) == (code, message, retry_after_s)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"yes", 200),
        (b"[]", 200),
        (b'{"allow": "true"}', 200),
        (b'{"allow": true}', 500),
        (b'{"allow": true}', 302),
        (b'{"allow": true, "x": "' + b"x" * 9000 + b'"}', 200),
    ],
)
def test_any_other_answer_admits_nobody(body: bytes, status: int) -> None:
    with service(body, status) as (url, _), pytest.raises(Unavailable):
        HttpHook(url)(APPLICANT)


def test_nobody_there_admits_nobody() -> None:
    with service(b"") as (url, _):
        pass
    with pytest.raises(Unavailable):
        HttpHook(url)(APPLICANT)


def test_a_fleet_without_rules_has_none() -> None:
    assert admission_hooks(None) == ()
