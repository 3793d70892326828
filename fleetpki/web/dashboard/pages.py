# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The pages."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.templating import Jinja2Templates
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from fleetpki.lifecycle import Principal
from fleetpki.registry import pages, queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import DeviceState
from fleetpki.registry.overview import expiring, overview
from fleetpki.web.api.types import AfterName, NameFilter
from fleetpki.web.dashboard import chart, login
from fleetpki.web.dashboard.login import LoginNeeded
from fleetpki.web.security import AccessRefused, Ctx, context

_HERE = Path(__file__).parent
_WEEKS = 13
_SHORT = 8
_PER_PAGE = 50
_HISTORY = 50

router = APIRouter(include_in_schema=False)
templates = Jinja2Templates(_HERE / "templates")

Visitor = Annotated[Principal, Depends(login.visitor)]


def add_dashboard(app: FastAPI) -> None:
    """Serve the dashboard beside the API."""
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")

    @app.exception_handler(LoginNeeded)
    def to_login(_request: Request, _error: LoginNeeded) -> Response:
        return RedirectResponse("/login", 303)


@router.get("/login")
def login_page(request: Request) -> Response:
    """Ask for a token."""
    return _page(request, "login.html")


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Take a token."""
    token = await login.submitted_token(request)
    try:
        return await run_in_threadpool(login.log_in, request, context(request), token)
    except AccessRefused as refused:
        message = refused.message if refused.status == 429 else "This is no valid token."
        return _page(request, "login.html", status=refused.status, message=message)


@router.post("/logout")
def log_out(_request: Request) -> Response:
    """Forget the token."""
    return login.log_out()


@router.get("/")
def overview_page(request: Request, visitor: Visitor, ctx: Ctx) -> Response:
    """The fleet at a glance."""
    now = ctx.clock()
    with reading(ctx.sessions) as session:
        return _page(
            request,
            "overview.html",
            visitor=visitor,
            now=now,
            fleet=overview(session),
            bars=chart.bars(expiring(session, now, _WEEKS)),
            chart=chart,
            alerts=pages.alerts(session, after=None, limit=_SHORT, is_open=True).rows,
            rotations=pages.rotations(session, after=None, limit=_SHORT, is_open=True).rows,
            campaigns=pages.campaigns(session, after=None, limit=_SHORT).rows,
        )


@router.get("/devices")
def devices_page(
    request: Request,
    visitor: Visitor,
    ctx: Ctx,
    q: NameFilter = None,
    state: DeviceState | None = None,
    after: AfterName = None,
) -> Response:
    """Find devices by the beginning of their id."""
    with reading(ctx.sessions) as session:
        if q and queries.device(session, q) is not None:
            return RedirectResponse(f"/devices/{q}", 303)
        page = pages.devices(session, after=after, limit=_PER_PAGE, prefix=q or None, state=state)
        certificates = pages.certificate_ids(session, page.rows)
    return _page(
        request,
        "devices.html",
        visitor=visitor,
        q=q or "",
        state=state,
        devices=[(device, certificates.get(device.device_id)) for device in page.rows],
        following=page.next,
        now=ctx.clock(),
    )


@router.get("/devices/{device_id}")
def device_page(request: Request, visitor: Visitor, ctx: Ctx, device_id: str) -> Response:
    """Everything about one device."""
    with reading(ctx.sessions) as session:
        device = queries.device(session, device_id)
        if device is None:
            return _page(request, "devices.html", status=404, visitor=visitor, q=device_id, devices=[])
        return _page(
            request,
            "device.html",
            visitor=visitor,
            device=device,
            active=queries.active_certificate(session, device_id),
            certificates=list(reversed(queries.certificates(session, device_id)))[:_HISTORY],
            rotations=list(reversed(queries.rotations(session, device_id)))[:_HISTORY],
            history=pages.audit_entries(session, after=None, limit=_HISTORY, subject=device_id).rows,
            now=ctx.clock(),
        )


def _page(request: Request, name: str, *, status: int = 200, **values: Any) -> Response:
    return templates.TemplateResponse(request, name, values, status_code=status)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _days(at: datetime, now: datetime) -> str:
    days = (at - now).days
    return f"in {days} days" if days > 1 else "in a day" if days == 1 else "today" if days == 0 else "over"


templates.env.filters.update(time=_time, days=_days)
