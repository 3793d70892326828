# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Errors as the API tells them: problem details (RFC 9457)."""

import http
from typing import Annotated, Any

from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError
from starlette.responses import JSONResponse

from fleetpki.errors import Code, FleetError, NotFound, Rejected, Unavailable

MEDIA_TYPE = "application/problem+json"

_BAD_INPUT = (Code.BAD_MESSAGE, Code.BAD_CSR, Code.WEAK_KEY, Code.WRONG_SUBJECT, Code.KEY_MISMATCH)
_WRONG_INPUT, _ENVIRONMENT = 2, 4  # exit codes

_REFUSALS = {
    400: "The request cannot be accepted as it is",
    401: "Nobody knows the caller",
    403: "The caller's role does not permit this",
    404: "There is no such thing",
    409: "A rule refuses this now",
    412: "It was changed since you looked",
    413: "The body is too long",
    415: "The body is not declared to be JSON",
    422: "The request does not have the form described here",
    428: "Say which version you mean to change",
    429: "Too many failed logins from this address",
    503: "The registry, the broker or a key cannot be used now",
}


class PreconditionFailed(Exception):  # noqa: N818 - HTTP's word for it
    """What is to be changed is not, or may not be, what the caller saw."""

    def __init__(self, status: int, message: str) -> None:
        """Refuse with 412, or 428 when the caller does not say what they saw."""
        super().__init__(message)
        self.status = status
        self.message = message


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: Annotated[str, Field(description="urn:fleetpki:problem:<code>")]
    title: str
    status: int
    detail: str
    code: Annotated[
        str,
        Field(
            description="Why, in one word: a code of the protocol, or one of the API alone: `not_found`, "
            "`method_not_allowed`, `too_large`, `unsupported_media_type`"
        ),
    ]
    hint: Annotated[str | None, Field(description="What to do about it")] = None


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How the description of an operation tells of these answers."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        str(status): {"description": _REFUSALS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def problem_response(
    status: int, code: str, detail: str, *, hint: str = "", headers: dict[str, str] | None = None
) -> JSONResponse:
    """An answer that says what went wrong."""
    problem = Problem(
        type=f"urn:fleetpki:problem:{code}",
        title=http.HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        hint=hint or None,
    )
    return JSONResponse(problem.model_dump(exclude_none=True), status, headers, MEDIA_TYPE)


def rejected_response(rejected: Rejected) -> JSONResponse:
    """A rule refused."""
    status = 400 if rejected.code in _BAD_INPUT else 503 if isinstance(rejected, Unavailable) else 409
    headers = {"Retry-After": str(rejected.retry_after_s)} if rejected.retry_after_s else None
    return problem_response(status, rejected.code, rejected.message, headers=headers)


def fleet_error_response(error: FleetError) -> JSONResponse:
    """An operator has to act on something."""
    hint = "" if "fleetpki " in error.hint else error.hint  # a command is no help to a program
    if isinstance(error, NotFound):
        return problem_response(404, "not_found", error.message, hint=hint)
    if error.exit_code == _ENVIRONMENT:
        return problem_response(503, Code.INTERNAL, error.message, hint=hint)
    status = 422 if error.exit_code == _WRONG_INPUT else 409
    return problem_response(status, Code.NOT_ALLOWED, error.message, hint=hint)


def unstorable_response(_error: DataError) -> JSONResponse:
    """A value that no row can have."""
    return problem_response(
        422, Code.BAD_MESSAGE, "a value has characters, or a size, that the registry cannot hold"
    )
