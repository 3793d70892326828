# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The audit chain."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from fleetpki.audit_files import plain
from fleetpki.lifecycle import Context
from fleetpki.registry import audit, pages
from fleetpki.registry.audit import Head
from fleetpki.registry.database import reading
from fleetpki.web.api.models import AuditEntryOut, Page, number
from fleetpki.web.api.types import After, Limit, NameFilter, Time
from fleetpki.web.problems import refusals
from fleetpki.web.security import Ctx, Viewer

JSON_LINES = "application/x-ndjson"
_AT_A_TIME = 500

router = APIRouter(prefix="/audit", tags=["audit"])


class Verified(BaseModel):
    """An unbroken chain."""

    entries: int
    head: Annotated[str, Field(description="Keep it elsewhere: it shows later that nothing was cut off")]


@router.get("", summary="List audit entries")
def list_entries(
    _caller: Viewer,
    ctx: Ctx,
    after: After = None,
    limit: Limit = 100,
    subject: NameFilter = None,
    actor: NameFilter = None,
) -> Page[AuditEntryOut]:
    """A page of the chain, newest first: who did what, and what was refused."""
    with reading(ctx.sessions) as session:
        page = pages.audit_entries(session, after=after, limit=limit, subject=subject, actor=actor)
    items = [AuditEntryOut.model_validate(entry) for entry in page.rows]
    return Page(items=items, next=number(page.next))


@router.get("/verification", summary="Verify the audit chain", responses=refusals(409))
def verify(
    _caller: Viewer,
    ctx: Ctx,
    head: Annotated[
        str | None,
        Query(pattern="^[0-9]{1,15}:[0-9a-f]{64}$", description="A head of earlier; it must still be there"),
    ] = None,
) -> Verified:
    """Check every link; a broken chain is answered with 409 and the first broken entry."""
    with reading(ctx.sessions) as session:
        found = audit.verify(session, Head.parse(head) if head else None)
    return Verified(entries=found.seq, head=str(found))


@router.get(
    "/export",
    summary="Export the audit chain",
    response_class=StreamingResponse,
    responses={200: {"content": {JSON_LINES: {"schema": {"type": "string"}}}}},
)
def export(_caller: Viewer, ctx: Ctx, since: Time | None = None) -> StreamingResponse:
    """The whole chain, one JSON object a line; `fleetpki audit verify --file` checks it."""
    return StreamingResponse(exported(ctx, since), media_type=JSON_LINES)


def exported(ctx: Context, since: datetime | None) -> Iterator[str]:
    """The lines, many at a time. While the peer takes its time to read them, nothing is open."""
    after = 0
    while True:
        with reading(ctx.sessions) as session:
            found = list(audit.entries(session, since=since, after=after, limit=_AT_A_TIME))
        if not found:
            return
        yield "".join(json.dumps(plain(entry)) + "\n" for entry in found)
        since, after = None, found[-1]["seq"]
