# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What is told of an alert, whichever way it goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from fleetpki.registry.models import Alert, AlertEvent
from fleetpki.times import rfc3339


@dataclass(frozen=True)
class News:
    """An alert was raised or cleared. Id and event together name it: told twice, it is the same news."""

    alert_id: int
    event: str
    kind: str
    subject: str
    severity: str
    message: str
    at: datetime

    @classmethod
    def of(cls, alert: Alert, event: AlertEvent) -> "News":
        """The news of an alert."""
        at = alert.cleared_at if event == AlertEvent.CLEARED and alert.cleared_at else alert.raised_at
        return cls(alert.id, str(event), alert.kind, alert.subject, alert.severity, alert.message, at)

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {**vars(self), "at": rfc3339(self.at, "seconds")}

    def to_text(self) -> str:
        """One line for people."""
        word = "over" if self.event == AlertEvent.CLEARED else self.severity
        return " ".join(f"{word}: {self.subject}: {self.kind}: {self.message}".split())


class Channel(Protocol):
    """A way to tell somebody."""

    async def tell(self, news: Sequence[News]) -> None:
        """Tell all of it, or raise ``DeliveryError``."""


class DeliveryError(Exception):
    """The news did not get through; it is tried again in the next round."""
