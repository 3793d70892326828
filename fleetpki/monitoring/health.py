# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""All checks together: for ``fleetpki health``, and as alerts."""

from collections.abc import Sequence

from fleetpki.errors import FleetError, RegistryUnavailable
from fleetpki.fleet import Fleet
from fleetpki.lifecycle.alerts import AlertKind, Concern, Concerns, Severity, reconcile
from fleetpki.lifecycle.health import Finding, Level, check_registry
from fleetpki.monitoring import probes
from fleetpki.registry import queries
from fleetpki.registry.database import REVISION, engine_of, reading, require_schema

_ACTOR = "monitor"
_SEVERITY = {Level.WARNING: Severity.WARNING, Level.CRITICAL: Severity.CRITICAL}


def check(fleet: Fleet) -> list[Finding]:
    """Look at everything."""
    try:
        require_schema(engine_of(fleet.sessions))
        found = check_registry(fleet.context)
        registry = [Finding("registry", Level.OK, f"open, schema {REVISION}"), *found]
    except FleetError as error:
        registry = [Finding("registry", Level.CRITICAL, f"{error.message}: {error.hint}")]
    except RegistryUnavailable as error:
        registry = [Finding("registry", Level.CRITICAL, str(error.__cause__).splitlines()[0])]
    return [*registry, probes.broker(fleet), probes.verdicts(fleet), probes.disk(fleet)]


def worst(findings: Sequence[Finding]) -> Level:
    """How bad it is all in all."""
    return max((finding.level for finding in findings), default=Level.OK)


def raise_alerts(fleet: Fleet) -> None:
    """Let an alert be open for each check that found something wrong."""
    ctx = fleet.context
    findings = {f"check:{finding.check}": finding for finding in check(fleet)}
    with reading(ctx.sessions) as session:
        open_now = {alert.subject: alert for alert in queries.open_alerts(session, list(findings))}
    for subject, finding in findings.items():
        if finding.level == Level.OK and subject not in open_now:
            continue
        with ctx.transaction(_ACTOR, "check", subject) as tx:
            known = queries.open_alerts(tx.session, [subject])
            reconcile(ctx, tx, subject, _concerns(finding), known)


def _concerns(finding: Finding) -> Concerns:
    if finding.level == Level.OK:
        return {}
    return {AlertKind.HEALTH: Concern(_SEVERITY[finding.level], finding.message)}
