# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Is everything well? For operators, for Prometheus, and for whoever only asks whether we are there."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from fleetpki.monitoring import metrics
from fleetpki.monitoring.health import check, worst
from fleetpki.web.security import Ctx, Viewer

#: Prometheus' text format.
METRICS = "text/plain; version=0.0.4; charset=utf-8"

router = APIRouter(prefix="/health", tags=["monitoring"])
probes = APIRouter(include_in_schema=False)


class FindingOut(BaseModel):
    """What a check found."""

    check: str
    level: str
    message: str


class Health(BaseModel):
    """What all checks found, and how bad it is all in all."""

    level: str
    findings: list[FindingOut]


@router.get("", summary="Check everything")
def show_health(_caller: Viewer, request: Request) -> Health:
    """Look at the registry, the broker, the keys and the disk, as `fleetpki health` does."""
    findings = check(request.app.state.fleet)
    shown = [
        FindingOut(check=each.check, level=each.level.name.lower(), message=each.message) for each in findings
    ]
    return Health(level=worst(findings).name.lower(), findings=shown)


@probes.get("/health")
def alive() -> dict[str, str]:
    """We answer; whether all is well is told to those who may know."""
    return {"status": "ok"}


@probes.get("/metrics")
def show_metrics(_caller: Viewer, ctx: Ctx) -> Response:
    """Metrics for Prometheus, which shows a token of a viewer."""
    return Response(metrics.render(ctx), headers={"Content-Type": METRICS})
