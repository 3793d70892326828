# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""All checks together: for ``fleetpki health``, and as alerts."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleetpki.errors import FleetError, RegistryUnavailable
from fleetpki.fleet import Fleet
from fleetpki.lifecycle.alerts import AlertKind, Concern, Concerns, Severity, reconcile
from fleetpki.lifecycle.health import Finding, Level, check_registry
from fleetpki.monitoring import probes
from fleetpki.registry import queries
from fleetpki.registry.database import REVISION, engine_of, reading, require_schema
from fleetpki.registry.models import Alert

_ACTOR = "monitor"
_REGISTRY = "registry"
_SEVERITY = {Level.WARNING: Severity.WARNING, Level.CRITICAL: Severity.CRITICAL}


def check(fleet: Fleet) -> list[Finding]:
    """Look at everything."""
    try:
        require_schema(engine_of(fleet.sessions))
        found = check_registry(fleet.context)
        registry = [Finding(_REGISTRY, Level.OK, f"open, schema {REVISION}"), *found]
    except FleetError as error:
        registry = [Finding(_REGISTRY, Level.CRITICAL, f"{error.message}: {error.hint}")]
    except RegistryUnavailable as error:
        registry = [Finding(_REGISTRY, Level.CRITICAL, str(error.__cause__).splitlines()[0])]
    return [*registry, probes.broker(fleet), probes.verdicts(fleet), probes.disk(fleet)]


def worst(findings: Sequence[Finding]) -> Level:
    """How bad it is all in all."""
    return max((finding.level for finding in findings), default=Level.OK)


def raise_alerts(fleet: Fleet) -> None:
    """Let an alert be open for each check that found something wrong, and for no other."""
    ctx = fleet.context
    findings = check(fleet)
    concerns = {f"check:{finding.check}": _concerns(finding) for finding in findings}
    with reading(ctx.sessions) as session:
        open_now = _open_subjects(session)
    if _saw_the_registry(findings):  # what was checked then, and is not any more, is gone
        concerns |= {subject: {} for subject in open_now - concerns.keys()}
    for subject, wanted in concerns.items():
        if wanted or subject in open_now:
            with ctx.transaction(_ACTOR, "check", subject) as tx:
                known = queries.open_alerts(tx.session, [subject])
                reconcile(ctx, tx, subject, wanted, known)


def _open_subjects(session: Session) -> set[str]:
    query = select(Alert.subject).where(Alert.kind == AlertKind.HEALTH, Alert.cleared_at.is_(None))
    return set(session.scalars(query))


def _saw_the_registry(findings: Sequence[Finding]) -> bool:
    return any(finding.check == _REGISTRY and finding.level == Level.OK for finding in findings)


def _concerns(finding: Finding) -> Concerns:
    if finding.level == Level.OK:
        return {}
    return {AlertKind.HEALTH: Concern(_SEVERITY[finding.level], finding.message)}
