# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What a root signed where its key is, taken over here: certificates, revocation lists, trust updates."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Base64Bytes, BaseModel, Field

from fleetpki.lifecycle import ceremony, revocation_lists, trust
from fleetpki.web.api.models import AuthorityOut, RevocationListOut
from fleetpki.web.api.types import AuthorityName, Body, Pem
from fleetpki.web.security import CaOfficer, Ctx

router = APIRouter(tags=["authorities"])


class NewRoot(Body):
    """A root that is to be known."""

    name: AuthorityName
    certificate: Pem


class SignedList(Body):
    """What `fleetpki ca root-crl` wrote."""

    crl: Annotated[Base64Bytes, Field(description="The list in DER, in base64")]


class TrustUpdate(Body):
    """What `fleetpki ca trust-update` wrote."""

    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    anchors: Annotated[list[Pem], Field(min_length=1, max_length=16)]
    signature: Annotated[str, Field(min_length=1, max_length=1024, pattern="^[A-Za-z0-9+/=]+$")]


class TrustPublished(BaseModel):
    """A trust update on its way to the devices."""

    version: int


@router.post("/roots", status_code=201, summary="Install a root")
def install_root(caller: CaOfficer, ctx: Ctx, body: NewRoot) -> AuthorityOut:
    """Make a root known; that devices are to trust it, only a root they trust can tell them."""
    installed = ceremony.install_root(ctx, body.name, body.certificate, actor=caller.actor)
    return AuthorityOut.model_validate(installed)


@router.post("/roots/revocation-lists", status_code=201, summary="Install a root's revocation list")
def install_list(caller: CaOfficer, ctx: Ctx, body: SignedList) -> RevocationListOut:
    """Publish a list that a root signed; what the authorities it revokes have signed is revoked too."""
    return RevocationListOut.model_validate(revocation_lists.install_list(ctx, body.crl, actor=caller.actor))


@router.post("/trust-updates", status_code=201, summary="Send a trust update")
def send_trust_update(caller: CaOfficer, ctx: Ctx, body: TrustUpdate) -> TrustPublished:
    """Send devices the roots to trust from now on; those that are away get it when they connect."""
    document = trust.publish(
        ctx, version=body.version, anchors=body.anchors, signature=body.signature, actor=caller.actor
    )
    return TrustPublished(version=document.version)
