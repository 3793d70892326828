# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Tokens: who else may use the API."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from fleetpki import lifecycle
from fleetpki.inputs import MAX_TOKEN_DAYS
from fleetpki.registry.models import ApiRole
from fleetpki.web.api.models import TokenOut
from fleetpki.web.api.types import Body, example
from fleetpki.web.problems import refusals
from fleetpki.web.security import CaOfficer, Ctx

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

router = APIRouter(prefix="/tokens", tags=["tokens"])


class NewToken(Body):
    """A token to make."""

    model_config = example(name="grafana", role="viewer", days=365)

    name: Annotated[str, Field(pattern=_NAME)]
    role: ApiRole
    days: Annotated[int | None, Field(ge=1, le=MAX_TOKEN_DAYS, description="Until revoked, when missing")] = (
        None
    )


class TokenCreated(BaseModel):
    """A new token: this is the only time it is shown."""

    name: str
    role: ApiRole
    token: str


@router.get("", summary="List tokens", responses=refusals(403))
def list_tokens(_caller: CaOfficer, ctx: Ctx) -> list[TokenOut]:
    """All tokens there are or were."""
    return [TokenOut.model_validate(token) for token in lifecycle.tokens(ctx)]


@router.post("", status_code=201, summary="Make a token")
def create_token(caller: CaOfficer, ctx: Ctx, body: NewToken) -> TokenCreated:
    """Make a token. It is shown once: the registry keeps a digest."""
    valid_for = timedelta(days=body.days) if body.days else None
    token = lifecycle.create_token(ctx, body.name, body.role, valid_for=valid_for, actor=caller.actor)
    return TokenCreated(name=body.name, role=body.role, token=token)


@router.delete("/{name}", status_code=204, summary="Revoke a token")
def revoke_token(caller: CaOfficer, ctx: Ctx, name: Annotated[str, Path(pattern=_NAME)]) -> None:
    """End a token, at once and for good."""
    lifecycle.revoke_token(ctx, name, actor=caller.actor)
