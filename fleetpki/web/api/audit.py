# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The audit chain."""

from fastapi import APIRouter
from pydantic import BaseModel

from fleetpki.registry import audit, pages
from fleetpki.registry.database import reading
from fleetpki.web.api.models import AuditEntryOut, Page
from fleetpki.web.api.types import After, Limit, NameFilter
from fleetpki.web.security import Ctx, Viewer

router = APIRouter(prefix="/audit", tags=["audit"])


class Verified(BaseModel):
    """An unbroken chain."""

    entries: int
    hash: str


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
        found = pages.audit_entries(session, after=after, limit=limit, subject=subject, actor=actor)
    items = [AuditEntryOut.model_validate(entry) for entry in found]
    return Page(items=items, next=str(found[-1].seq) if len(found) == limit else None)


@router.get("/verification", summary="Verify the audit chain")
def verify(_caller: Viewer, ctx: Ctx) -> Verified:
    """Check every link; a broken chain is answered with 409 and the first broken entry."""
    with reading(ctx.sessions) as session:
        head = audit.verify(session)
    return Verified(entries=head.seq, hash=head.hash)
