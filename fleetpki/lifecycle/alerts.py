# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What an operator should know: raised once, told over every channel, cleared when it is over."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import delete, select

from fleetpki.errors import NotFound
from fleetpki.lifecycle.context import OPERATOR, Context, Transaction
from fleetpki.registry.database import reading
from fleetpki.registry.models import Alert, AlertEvent, AlertNotice


class AlertKind(StrEnum):
    """What there is to know."""

    EXPIRING = "expiring"
    EXPIRED = "expired"
    FAILED = "rotation_failed"
    ROLLED_BACK = "rolled_back"
    SILENT = "silent"
    CAMPAIGN_PAUSED = "campaign_paused"
    HEALTH = "health"


class Severity(StrEnum):
    """How urgent that is."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Concern:
    """Why an alert is to be open."""

    severity: Severity
    message: str


Concerns = Mapping[AlertKind, Concern]


def reconcile(
    ctx: Context, tx: Transaction, subject: str, concerns: Concerns, known: Collection[Alert]
) -> tuple[int, int]:
    """Let the open alerts of a subject be these; how many were raised, and how many cleared.

    ``known`` are its open alerts. One that becomes more or less urgent is told anew.
    """
    open_now = {alert.kind: alert for alert in known}
    for kind, alert in open_now.items():
        if kind not in concerns:
            _clear(ctx, tx, alert)
    raised = [
        kind
        for kind, concern in concerns.items()
        if _raise(ctx, tx, subject, kind, concern, open_now.get(kind))
    ]
    return len(raised), sum(kind not in concerns for kind in open_now)


def list_alerts(ctx: Context, *, include_cleared: bool = False, limit: int = 1000) -> Sequence[Alert]:
    """The open alerts, or the newest of all; newest first."""
    query = select(Alert).order_by(Alert.id.desc()).limit(limit)
    if not include_cleared:
        query = query.where(Alert.cleared_at.is_(None))
    with reading(ctx.sessions) as session:
        return session.scalars(query).all()


def acknowledge(ctx: Context, alert_id: int, *, actor: str = OPERATOR) -> Alert:
    """Note that somebody takes care of an alert."""
    with ctx.transaction(actor, "acknowledge", str(alert_id)) as tx:
        alert = tx.session.get(Alert, alert_id, with_for_update=True)
        if alert is None:
            raise NotFound(f"no alert {alert_id}", "`fleetpki alerts list` lists them")
        if alert.acknowledged_at is None:
            alert.acknowledged_at, alert.acknowledged_by = tx.now, actor
            tx.audit("alert.acknowledged", alert.subject, alert_id=alert_id, kind=alert.kind)
        return alert


def _raise(
    ctx: Context, tx: Transaction, subject: str, kind: AlertKind, concern: Concern, alert: Alert | None
) -> bool:
    if alert is not None and alert.severity == concern.severity:
        return False
    if alert is None:
        alert = Alert(kind=kind, subject=subject, raised_at=tx.now)
        tx.session.add(alert)
    alert.severity, alert.message = concern.severity, concern.message
    tx.session.flush()
    _tell(ctx, tx, alert, AlertEvent.RAISED)
    return True


def _clear(ctx: Context, tx: Transaction, alert: Alert) -> None:
    alert.cleared_at = tx.now
    _tell(ctx, tx, alert, AlertEvent.CLEARED)


def _tell(ctx: Context, tx: Transaction, alert: Alert, event: AlertEvent) -> None:
    """Queue the news for every channel; nobody needs the old news any more."""
    waiting = AlertNotice.alert_id == alert.id, AlertNotice.leased_until.is_(None)
    untold = set(tx.session.scalars(select(AlertNotice.channel).where(*waiting)))
    tx.session.execute(delete(AlertNotice).where(*waiting))
    for channel in ctx.policy.alert_channels:
        if event == AlertEvent.RAISED or channel not in untold:
            tx.session.add(AlertNotice(alert_id=alert.id, channel=channel, event=event))
