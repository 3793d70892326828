# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Alerts by e-mail: one message for all news of a round."""

import asyncio
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from fleetpki.monitoring.news import DeliveryError, News

_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Mail:
    """A mail server and who is told through it."""

    host: str
    port: int
    sender: str
    recipients: Sequence[str]
    starttls: bool = True
    ca_file: Path | None = None
    user: str | None = None
    password_file: Path | None = None

    async def tell(self, news: Sequence[News]) -> None:
        """Send one message."""
        try:
            await asyncio.to_thread(self._send, self._message(news))
        except (OSError, smtplib.SMTPException) as error:
            raise DeliveryError(f"{self.host} port {self.port}: {error}") from error

    def _send(self, message: EmailMessage) -> None:
        with smtplib.SMTP(self.host, self.port, timeout=_TIMEOUT_S) as server:
            if self.starttls:
                server.starttls(context=ssl.create_default_context(cafile=self.ca_file))
            if self.user is not None and self.password_file is not None:
                server.login(self.user, self.password_file.read_text().strip())
            server.send_message(message)

    def _message(self, news: Sequence[News]) -> EmailMessage:
        message = EmailMessage()
        first = news[0].to_text()
        more = f" (and {len(news) - 1} more)" if len(news) > 1 else ""
        message["Subject"] = f"fleetpki: {first}"[:160] + more
        message["From"] = self.sender
        message["To"] = ", ".join(self.recipients)
        message.set_content("\n".join(each.to_text() for each in news) + "\n")
        return message
