# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Alerts reach their channels: an HTTP server, a mail server, the log; at least once, rarely twice."""

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import ValidationError

from fleetpki.lifecycle import Context, utc_now
from fleetpki.lifecycle.alerts import AlertKind, Concern, Severity, acknowledge, list_alerts, reconcile
from fleetpki.monitoring.delivery import channels, deliver
from fleetpki.monitoring.mail import Mail
from fleetpki.monitoring.news import Channel, DeliveryError, News
from fleetpki.monitoring.settings import AlertSettings
from fleetpki.monitoring.webhook import Webhook, signature
from fleetpki.pki.hierarchy import make_hierarchy
from fleetpki.registry import queries
from tests.cloud.doubles import START, Clock

SECRET = b"0123456789abcdef"
SILENT = {AlertKind.SILENT: Concern(Severity.WARNING, "not heard of")}


def set_alerts(ctx: Context, subject: str, concerns: dict[AlertKind, Concern]) -> None:
    with ctx.transaction("monitor", "test", subject) as tx:
        reconcile(ctx, tx, subject, concerns, queries.open_alerts(tx.session, [subject]))


@dataclass
class Listener:
    """A channel that remembers, and fails as often as it is told to."""

    failures: int = 0
    heard: list[tuple[str, str, str]] = field(default_factory=list)

    async def tell(self, news: Sequence[News]) -> None:
        if self.failures:
            self.failures -= 1
            raise DeliveryError("nobody there")
        self.heard += [(each.subject, each.event, each.severity) for each in news]


class TestDelivery:
    async def test_an_alert_is_told_once_and_its_end_too(self, ctx: Context) -> None:
        listener = Listener()
        set_alerts(ctx, "sensor-1", SILENT)
        set_alerts(ctx, "sensor-1", SILENT)
        assert await deliver(ctx, {"log": listener}) == 1
        assert await deliver(ctx, {"log": listener}) == 0
        set_alerts(ctx, "sensor-1", {})
        await deliver(ctx, {"log": listener})
        assert listener.heard == [("sensor-1", "raised", "warning"), ("sensor-1", "cleared", "warning")]

    async def test_what_gets_more_urgent_is_told_again(self, ctx: Context) -> None:
        listener = Listener()
        set_alerts(ctx, "sensor-1", {AlertKind.EXPIRING: Concern(Severity.WARNING, "soon")})
        await deliver(ctx, {"log": listener})
        set_alerts(ctx, "sensor-1", {AlertKind.EXPIRING: Concern(Severity.CRITICAL, "very soon")})
        await deliver(ctx, {"log": listener})
        assert [severity for _, _, severity in listener.heard] == ["warning", "critical"]
        assert len(list_alerts(ctx)) == 1

    async def test_what_was_over_before_it_was_told_is_not_told(self, ctx: Context) -> None:
        set_alerts(ctx, "sensor-1", SILENT)
        set_alerts(ctx, "sensor-1", {})
        assert await deliver(ctx, {"log": Listener()}) == 0

    async def test_a_channel_that_fails_is_tried_again_and_holds_up_no_other(
        self, two_channels: Context
    ) -> None:
        broken, fine = Listener(failures=2), Listener()
        set_alerts(two_channels, "sensor-1", SILENT)
        told = [await deliver(two_channels, {"webhook": broken, "log": fine}) for _ in range(4)]
        assert told == [1, 0, 1, 0]
        assert broken.heard == fine.heard

    async def test_an_alert_that_a_channel_fails_over_holds_up_neither_others_nor_other_channels(
        self, two_channels: Context
    ) -> None:
        class Choking(Listener):
            async def tell(self, news: Sequence[News]) -> None:
                if any(each.subject == "sensor-1" for each in news):
                    raise ValueError("cannot be put in words")
                await super().tell(news)

        choking, fine = Choking(), Listener()
        ways = {"webhook": choking, "log": fine}
        for number in range(7):
            set_alerts(two_channels, f"sensor-{number}", SILENT)
        assert [await deliver(two_channels, ways) for _ in range(2)] == [7 + 6, 0]
        set_alerts(two_channels, "sensor-8", SILENT)
        assert await deliver(two_channels, ways) == 2
        assert set(fine.heard) - set(choking.heard) == {("sensor-1", "raised", "warning")}
        assert await deliver(two_channels, {"webhook": Listener()}) == 1

    async def test_two_tellers_at_once_tell_once(self, ctx: Context) -> None:
        listener = Listener()
        for number in range(20):
            set_alerts(ctx, f"sensor-{number}", SILENT)
        await asyncio.gather(*(deliver(ctx, {"log": listener}) for _ in range(4)))
        assert len(listener.heard) == 20

    async def test_what_a_teller_took_and_died_with_is_told_by_another(
        self, ctx: Context, clock: Clock
    ) -> None:
        class Killed(BaseException):
            pass

        class Dying:
            async def tell(self, _news: Sequence[News]) -> None:
                raise Killed

        set_alerts(ctx, "sensor-1", SILENT)
        with pytest.raises(Killed):
            await deliver(ctx, {"log": Dying()})
        assert await deliver(ctx, {"log": Listener()}) == 0
        clock.advance(timedelta(minutes=3))
        assert await deliver(ctx, {"log": Listener()}) == 1

    async def test_the_log_is_always_told(self, ctx: Context, caplog: pytest.LogCaptureFixture) -> None:
        set_alerts(ctx, "sensor-1", SILENT)
        with caplog.at_level(logging.WARNING):
            await deliver(ctx, channels(AlertSettings()))
        assert "alert warning: sensor-1: silent: not heard of" in caplog.text

    def test_somebody_takes_care(self, ctx: Context) -> None:
        set_alerts(ctx, "sensor-1", SILENT)
        (alert,) = list_alerts(ctx)
        assert acknowledge(ctx, alert.id, actor="token:ann").acknowledged_by == "token:ann"
        assert acknowledge(ctx, alert.id).acknowledged_by == "token:ann"

    @pytest.fixture
    def two_channels(self, ctx: Context) -> Context:
        return replace(ctx, policy=replace(ctx.policy, alert_channels=("log", "webhook")))


NEWS = News(7, "raised", "silent", "sensor-1", "warning", "not heard of", START)


@dataclass
class Received:
    """What came to the HTTP server."""

    headers: dict[str, str]
    body: bytes


class TestWebhook:
    async def test_a_request_is_signed_and_says_everything(self) -> None:
        with http_server([204]) as (url, received):
            await Webhook(url, SECRET).tell([NEWS])
        (request,) = received
        timestamp = request.headers["X-Fleetpki-Timestamp"]
        assert request.headers["X-Fleetpki-Signature"] == signature(SECRET, timestamp, request.body)
        assert json.loads(request.body)["alerts"] == [
            {
                "alert_id": 7,
                "event": "raised",
                "kind": "silent",
                "subject": "sensor-1",
                "severity": "warning",
                "message": "not heard of",
                "at": "2026-06-01T12:00:00Z",
            }
        ]

    async def test_an_overloaded_receiver_is_asked_again(self) -> None:
        with http_server([503, 500, 200]) as (url, received):
            await Webhook(url, SECRET, first_pause_s=0.001).tell([NEWS])
        assert len(received) == 3

    async def test_one_that_stays_broken_is_left_for_later(self) -> None:
        with http_server([500] * 9) as (url, received):
            with pytest.raises(DeliveryError, match="500"):
                await Webhook(url, SECRET, first_pause_s=0.001).tell([NEWS])
            assert len(received) == 3

    async def test_one_that_is_not_there_is_named(self) -> None:
        with http_server([]) as (url, _):
            pass
        with pytest.raises(DeliveryError, match=url):
            await Webhook(url, SECRET, first_pause_s=0.001).tell([NEWS])


@contextlib.contextmanager
def http_server(answers: list[int]) -> Iterator[tuple[str, list[Received]]]:
    """The URL of a server that answers with these codes, and what came to it."""
    received: list[Received] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(Received(dict(self.headers), body))
            self.send_response(answers[len(received) - 1])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook", received
        server.shutdown()
        thread.join()


class Mailbox:
    """What came to the mail server."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 OK"


class TestMail:
    @pytest.fixture
    async def server(self, tmp_path: Path) -> AsyncIterator[tuple[Callable[..., Mail], Mailbox]]:
        hierarchy = make_hierarchy(hosts=["localhost", "127.0.0.1"], now=utc_now())
        (tmp_path / "root.crt").write_text(hierarchy.root.certificate_pem)
        (tmp_path / "server.crt").write_text(hierarchy.broker.full_chain_pem)
        (tmp_path / "server.key").write_bytes(hierarchy.broker.key_pem())
        (tmp_path / "password").write_text("sesame\n")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")

        def authenticate(
            _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: LoginPassword
        ) -> AuthResult:
            return AuthResult(success=(data.login, data.password) == (b"fleet", b"sesame"))

        mailbox = Mailbox()
        listening = await asyncio.get_running_loop().create_server(
            lambda: SMTP(
                mailbox,
                tls_context=context,
                require_starttls=True,
                auth_required=True,
                authenticator=authenticate,
            ),
            "127.0.0.1",
        )

        def mail(**changes: object) -> Mail:
            port = listening.sockets[0].getsockname()[1]
            options = {
                "ca_file": tmp_path / "root.crt",
                "user": "fleet",
                "password_file": tmp_path / "password",
                **changes,
            }
            return Mail("127.0.0.1", port, "fleet@example.com", ["ann@example.com"], **options)  # type: ignore[arg-type]

        async with listening:
            yield mail, mailbox

    async def test_people_get_one_message_for_everything(
        self, server: tuple[Callable[..., Mail], Mailbox]
    ) -> None:
        mail, mailbox = server
        await mail().tell([NEWS, NEWS])
        (envelope,) = mailbox.envelopes
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content)
        assert envelope.rcpt_tos == ["ann@example.com"]
        assert message["Subject"].startswith("fleetpki: warning: sensor-1: silent")
        assert "(and 1 more)" in message["Subject"].replace("\n", "")
        assert message.get_payload().count("sensor-1") == 2  # type: ignore[union-attr]

    async def test_whatever_an_alert_says_is_one_line(
        self, server: tuple[Callable[..., Mail], Mailbox]
    ) -> None:
        mail, mailbox = server
        breaks = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
        await mail().tell([replace(NEWS, message=f"a{breaks}Bcc: eve@example.com")])
        (envelope,) = mailbox.envelopes
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content)
        assert message["Subject"] == "fleetpki: warning: sensor-1: silent: a Bcc: eve@example.com"
        assert message["Bcc"] is None
        assert message.get_payload() == "warning: sensor-1: silent: a Bcc: eve@example.com\r\n"

    @pytest.mark.parametrize(
        "changes", [{"ca_file": None}, {"starttls": False}, {"user": "mallory"}, {"password_file": None}]
    )
    async def test_what_the_server_or_we_do_not_accept_is_an_error(
        self, server: tuple[Callable[..., Mail], Mailbox], changes: dict[str, object]
    ) -> None:
        mail, mailbox = server
        with pytest.raises(DeliveryError):
            await mail(**changes).tell([NEWS])
        assert mailbox.envelopes == []


@pytest.mark.parametrize(
    "settings",
    [
        {"webhook_url": "http://example.com"},
        {"webhook_url": "ftp://example.com", "webhook_secret_file": "x"},
        {"smtp_host": "mail.example.com"},
        {"smtp_user": "fleet"},
        {"smtp_user": "fleet", "smtp_password_file": "x", "smtp_starttls": False},
        {"sms_to": "123"},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AlertSettings.model_validate(settings)


def test_the_channels_of_a_fleet_are_what_it_sets(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    settings = AlertSettings(
        webhook_url="https://example.com/hook",
        webhook_secret_file=tmp_path / "secret",
        smtp_host="mail.example.com",
        mail_from="fleet@example.com",
        mail_to=["ann@example.com"],
    )
    found: dict[str, Channel] = channels(settings)
    assert tuple(found) == settings.channels == ("log", "webhook", "mail")
