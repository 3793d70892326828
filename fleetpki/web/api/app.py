# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Puts the API together."""

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from fleetpki.errors import Code, FleetError, Rejected
from fleetpki.fleet import Fleet
from fleetpki.web import problems
from fleetpki.web.api import (
    admission,
    alerts,
    audit,
    authorities,
    batches,
    campaigns,
    certificates,
    devices,
    health,
    own,
    people,
    roots,
    rotations,
    tokens,
)
from fleetpki.web.body import BodyLimit
from fleetpki.web.dashboard.pages import add_dashboard
from fleetpki.web.headers import SafeHeaders
from fleetpki.web.logins import FailedLogins
from fleetpki.web.problems import PreconditionFailed, refusals
from fleetpki.web.security import AccessRefused

PREFIX = "/api/v1"
MAX_BODY = 64 * 1024

#: Of what the framework refuses.
_CODES = {404: "not_found", 405: "method_not_allowed"}

#: In the order of the description.
PARTS = (
    devices,
    certificates,
    rotations,
    campaigns,
    batches,
    admission,
    authorities,
    roots,
    own,
    alerts,
    health,
    audit,
    tokens,
    people,
)

_DESCRIPTION = """
Everything `fleetpki` does at the command line. Callers show a bearer token or an operator's certificate;
roles are viewer, operator and ca-officer, each includes those before it. Long lists come in pages: pass
`next` as `after`. A field or parameter that is not described here is refused, not ignored.
"""


def make_api(fleet: Fleet) -> FastAPI:
    """The API of a fleet, and its dashboard."""
    app = api_without_fleet()
    app.state.fleet = fleet
    app.state.context = fleet.context
    app.state.failed_logins = FailedLogins()
    return app


def api_without_fleet() -> FastAPI:
    """The API as it is described."""
    app = FastAPI(
        title="fleetpki",
        version="1",
        description=_DESCRIPTION,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=refusals(401, 422, 429, 503),
    )
    version = APIRouter(prefix=PREFIX, dependencies=[Depends(_refuse_unknown_parameters)])
    for part in PARTS:
        version.include_router(part.router)
    app.include_router(version)
    app.include_router(health.probes)
    add_dashboard(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    app.add_middleware(BodyLimit, limit=MAX_BODY)
    app.add_middleware(SafeHeaders)
    _answer_errors(app)
    return app


def _refuse_unknown_parameters(request: Request) -> None:
    """A parameter nobody knows is mostly a filter, mistyped: without it the answer would be about more."""
    known = [field.alias for field in request.scope["route"].dependant.query_params]
    for name in request.query_params:
        if name not in known:
            message = f"there is no such parameter, only: {', '.join(known) or 'none'}"
            raise RequestValidationError([{"type": "unknown", "loc": ("query", name), "msg": message}])


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The description, with the one form all errors have, and what an operation's form lets go wrong."""
    if app.openapi_schema is None:
        description = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        components = description.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = problems.Problem.model_json_schema()
        for path, operations in description["paths"].items():
            for method, operation in operations.items():
                operation["responses"] |= refusals(*_by_form(path, method, operation))
        app.openapi_schema = description
    return app.openapi_schema


def _by_form(path: str, method: str, operation: dict[str, Any]) -> Iterator[int]:
    if method != "get":
        yield from (403, 409)
    if "{" in path:
        yield 404
    if "requestBody" in operation:
        yield from (400, 413, 415)


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(Rejected)
    def rejected(_request: Request, error: Rejected) -> Response:
        return problems.rejected_response(error)

    @app.exception_handler(FleetError)
    def failed(_request: Request, error: FleetError) -> Response:
        return problems.fleet_error_response(error)

    @app.exception_handler(DataError)
    def unstorable(_request: Request, error: DataError) -> Response:
        return problems.unstorable_response(error)

    @app.exception_handler(AccessRefused)
    def refused(_request: Request, error: AccessRefused) -> Response:
        headers = {"WWW-Authenticate": 'Bearer realm="fleetpki"'} if error.status == 401 else {}
        if error.retry_after_s is not None:
            headers["Retry-After"] = str(error.retry_after_s)
        return problems.problem_response(error.status, Code.NOT_ALLOWED, error.message, headers=headers)

    @app.exception_handler(PreconditionFailed)
    def changed(_request: Request, error: PreconditionFailed) -> Response:
        return problems.problem_response(error.status, Code.STALE, error.message)

    @app.exception_handler(RequestValidationError)
    def malformed(_request: Request, error: RequestValidationError) -> Response:
        if isinstance(error.body, bytes):  # nobody has read it
            detail = "send Content-Type: application/json"
            return problems.problem_response(415, "unsupported_media_type", detail)
        detail = _what_is_wrong(error.errors()[0]).encode("ascii", "backslashreplace").decode()
        return problems.problem_response(422, Code.BAD_MESSAGE, detail)

    @app.exception_handler(HTTPException)
    def refused_by_framework(_request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        code = _CODES.get(error.status_code, Code.BAD_MESSAGE)
        return problems.problem_response(error.status_code, code, str(error.detail), headers=headers)

    @app.exception_handler(Exception)
    def internal(_request: Request, _error: Exception) -> Response:
        return problems.problem_response(500, Code.INTERNAL, "internal error; the server's log has more")


def _what_is_wrong(error: dict[str, Any]) -> str:
    """Where a request has not the form described, and why."""
    if error["type"] == "json_invalid":
        return f"the body is no JSON: {error['ctx']['error']}, at character {error['loc'][1]}"
    where = ".".join(str(part) for part in error["loc"])
    what = "there is no such field" if error["type"] == "extra_forbidden" else error["msg"]
    return f"{where}: {what}"
