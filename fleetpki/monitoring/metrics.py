# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of a fleet, from its registry: whichever process is asked, the answer is the fleet's.

Every label has a fixed, small set of values. Counters count from the start of the process that is asked, as
Prometheus expects: they read the audit entries that were added since the last time.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from fleetpki.errors import Code
from fleetpki.lifecycle import revocation_lists
from fleetpki.lifecycle.context import Context
from fleetpki.registry.database import engine_of, reading
from fleetpki.registry.models import (
    Alert,
    AuditEntry,
    Authority,
    AuthorityKind,
    AuthorityState,
    Campaign,
    CampaignState,
    Certificate,
    CertificateState,
    Device,
    DeviceState,
    OutboxMessage,
    Rotation,
    RotationState,
)

#: Answers are kept for so long, however many ask.
CACHE_S = 10.0

EXPIRY_BUCKETS_DAYS = (0, 1, 7, 14, 30, 60, 90, 180, 365)

_REFUSALS = {"enroll.refused": "enroll", "csr.refused": "csr"}
_EVENTS = {
    "certificate.issued": "fleetpki_certificates_issued",
    "certificate.revoked": "fleetpki_certificates_revoked",
    "device.created": "fleetpki_devices_created",
}


def render(ctx: Context) -> bytes:
    """The metrics in Prometheus' text format."""
    with _LOCK:
        fleet = _FLEETS.setdefault(engine_of(ctx.sessions), _FleetMetrics())
    return fleet.render(ctx)


class _FleetMetrics:
    """The last answer, and the counters so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._text = b""
        self._until = 0.0
        self._head: int | None = None
        self._events: Counter[str] = Counter()
        self._refusals: Counter[tuple[str, str]] = Counter()

    def render(self, ctx: Context) -> bytes:
        with self._lock:
            if time.monotonic() >= self._until:
                registry = CollectorRegistry(auto_describe=False)
                with reading(ctx.sessions) as session:
                    self._count(session)
                    registry.register(_Collected([*_gauges(ctx, session), *self._counters()]))
                self._text = generate_latest(registry)
                self._until = time.monotonic() + CACHE_S
            return self._text

    def _count(self, session: Session) -> None:
        head = session.scalar(select(func.max(AuditEntry.seq))) or 0
        if self._head is not None:
            code = AuditEntry.detail["code"].as_string()
            added = (
                select(AuditEntry.action, code, func.count())
                .where(AuditEntry.seq > self._head, AuditEntry.seq <= head)
                .where(AuditEntry.action.in_([*_EVENTS, *_REFUSALS]))
                .group_by(AuditEntry.action, code)
            )
            for action, refusal, count in session.execute(added):
                if action in _EVENTS:
                    self._events[action] += count
                else:
                    self._refusals[_REFUSALS[action], str(refusal)] += count
        self._head = head

    def _counters(self) -> Iterator[Metric]:
        for action, name in _EVENTS.items():
            yield CounterMetricFamily(name, f"How often {action} happened.", value=self._events[action])
        refused = CounterMetricFamily(
            "fleetpki_requests_refused", "Requests of devices that were refused.", labels=["request", "code"]
        )
        for request in _REFUSALS.values():
            for code in Code:
                refused.add_metric([request, code], self._refusals[request, code])
        yield refused


class _Collected:
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _gauges(ctx: Context, session: Session) -> Iterator[Metric]:
    yield _by_state(session, "fleetpki_devices", "Devices.", Device.state, DeviceState)
    yield _by_state(session, "fleetpki_certificates", "Certificates.", Certificate.state, CertificateState)
    yield _by_state(session, "fleetpki_rotations", "Rotations.", Rotation.state, RotationState)
    yield _by_state(session, "fleetpki_campaigns", "Campaigns.", Campaign.state, CampaignState)
    yield _expiry(ctx, session)
    yield from _outbox(ctx, session)
    yield from _monitor(ctx, session)
    yield from _authorities(ctx, session)
    yield _alerts(session)
    length = session.scalar(select(func.max(AuditEntry.seq))) or 0
    yield GaugeMetricFamily("fleetpki_audit_entries", "Length of the audit chain.", value=length)


def _by_state(
    session: Session, name: str, text: str, column: InstrumentedAttribute[Any], states: Iterable[str]
) -> Metric:
    counts = {row[0]: row[1] for row in session.execute(select(column, func.count()).group_by(column))}
    metric = GaugeMetricFamily(name, text, labels=["state"])
    for state in states:
        metric.add_metric([state], counts.get(state, 0))
    return metric


def _expiry(ctx: Context, session: Session) -> Metric:
    """How many active certificates have at most so many days left."""
    now = ctx.clock()
    buckets = []
    active = select(func.count()).where(Certificate.state == CertificateState.ACTIVE)
    for days in EXPIRY_BUCKETS_DAYS:
        count = session.scalar(active.where(Certificate.not_after <= now + timedelta(days=days))) or 0
        buckets.append((str(float(days)), float(count)))
    buckets.append(("+Inf", float(session.scalar(active) or 0)))
    text = "Days the active certificates have left."
    return HistogramMetricFamily("fleetpki_certificate_days_left", text, buckets=buckets, sum_value=None)


def _outbox(ctx: Context, session: Session) -> Iterator[Metric]:
    oldest, count = session.execute(select(func.min(OutboxMessage.created_at), func.count())).one()
    age = (ctx.clock() - oldest).total_seconds() if oldest else 0.0
    yield GaugeMetricFamily("fleetpki_outbox_messages", "Messages that wait to be sent.", value=count)
    yield GaugeMetricFamily("fleetpki_outbox_oldest_seconds", "Age of the oldest of them.", value=age)


def _monitor(ctx: Context, session: Session) -> Iterator[Metric]:
    late = select(func.count()).where(Certificate.look_at <= ctx.clock())
    text = "Certificates the monitor should have looked at by now."
    yield GaugeMetricFamily("fleetpki_monitor_backlog", text, value=session.scalar(late) or 0)


def _authorities(ctx: Context, session: Session) -> Iterator[Metric]:
    in_use = select(Authority).where(
        Authority.state != AuthorityState.RETIRED, Authority.kind != AuthorityKind.OCSP
    )
    ends = GaugeMetricFamily(
        "fleetpki_authority_not_after_seconds",
        "When an authority expires, in seconds since 1970.",
        labels=["authority", "kind"],
    )
    for authority in session.scalars(in_use.order_by(Authority.name)):
        ends.add_metric([authority.name, authority.kind], authority.not_after.timestamp())
    yield ends
    made = GaugeMetricFamily(
        "fleetpki_crl_this_update_seconds", "When its oldest CRL was made.", labels=["authority"]
    )
    due = GaugeMetricFamily(
        "fleetpki_crl_next_update_seconds", "When the first of its CRLs is overdue.", labels=["authority"]
    )
    for name, this_update, next_update in revocation_lists.oldest(ctx, session):
        made.add_metric([name], this_update.timestamp())
        due.add_metric([name], next_update.timestamp())
    yield made
    yield due


def _alerts(session: Session) -> Metric:
    open_now = select(Alert.kind, Alert.severity, func.count()).where(Alert.cleared_at.is_(None))
    metric = GaugeMetricFamily("fleetpki_alerts_open", "Open alerts.", labels=["kind", "severity"])
    for kind, severity, count in session.execute(open_now.group_by(Alert.kind, Alert.severity)):
        metric.add_metric([kind, severity], count)
    return metric


_LOCK = threading.Lock()
_FLEETS: WeakKeyDictionary[Engine, _FleetMetrics] = WeakKeyDictionary()
