# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What caches are told about signed answers."""

import hashlib
from datetime import datetime
from email.utils import format_datetime

from starlette.requests import Request
from starlette.responses import Response

_OF_NOT_MODIFIED = ("etag", "cache-control", "last-modified", "expires")


def headers(content: bytes, this_update: datetime, next_update: datetime, now: datetime) -> dict[str, str]:
    """Let caches keep an answer for as long as it is good (RFC 5019, 6.2)."""
    max_age = max(0, int((next_update - now).total_seconds()))
    return {
        "Last-Modified": format_datetime(this_update, usegmt=True),
        "Expires": format_datetime(next_update, usegmt=True),
        "ETag": etag(content),
        "Cache-Control": f"max-age={max_age}, public, no-transform, must-revalidate",
    }


def etag(content: bytes) -> str:
    """The name of a content."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def conditional(request: Request, response: Response) -> Response:
    """The answer, or 304 for who has it already and asks whether it is still good (RFC 9110, 13.1.2)."""
    if request.method not in ("GET", "HEAD") or not _is_known(request, response.headers.get("etag")):
        return response
    kept = {name: response.headers[name] for name in _OF_NOT_MODIFIED if name in response.headers}
    return Response(status_code=304, headers=kept)


def _is_known(request: Request, name: str | None) -> bool:
    """Whether a name of a content is among those the peer has; a weak one is as good here."""
    known = [each.strip() for each in ",".join(request.headers.getlist("if-none-match")).split(",")]
    return name is not None and (known == ["*"] or name in (each.removeprefix("W/") for each in known))
