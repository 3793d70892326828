# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Who works with the fleet through the API, and what they are alerted to."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetpki.registry.models.base import Base


class ApiRole(StrEnum):
    """What a token or an operator's certificate permits; each includes the ones before."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    CA_OFFICER = "ca-officer"


class ApiToken(Base):
    """A bearer token; only its digest is kept."""

    __tablename__ = "api_tokens"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    role: Mapped[ApiRole]
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Alert(Base):
    """Something an operator should know, until it is over."""

    __tablename__ = "alerts"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(64))
    severity: Mapped[str] = mapped_column(String(16))
    message: Mapped[str]
    raised_at: Mapped[datetime]
    cleared_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None]


class AlertEvent(StrEnum):
    """What is told of an alert."""

    RAISED = "raised"
    CLEARED = "cleared"


class AlertNotice(Base):
    """Something to be told over one channel; it is deleted once it was."""

    __tablename__ = "alert_notices"

    id: Mapped[int] = mapped_column(primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id"), index=True)
    channel: Mapped[str] = mapped_column(String(16))
    event: Mapped[AlertEvent]
    leased_until: Mapped[datetime | None]
    """Somebody is telling it; should they die, another does after this time."""

    alert: Mapped[Alert] = relationship(lazy="joined", innerjoin=True)


_OPEN = text("cleared_at IS NULL")
Index("one_open_alert", Alert.subject, Alert.kind, unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN)
Index("open_alerts", Alert.id, sqlite_where=_OPEN, postgresql_where=_OPEN)
