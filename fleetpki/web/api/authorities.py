# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Authorities and their revocation lists. The root's key is not here, and nothing here needs it."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from fleetpki.lifecycle import Context, authorities, ceremony, revocation_lists
from fleetpki.registry.database import reading
from fleetpki.web.api.certificates import PEM
from fleetpki.web.api.models import AuthorityOut, RevocationListOut
from fleetpki.web.api.types import AuthorityName, Body, Name, Pem, example
from fleetpki.web.security import CaOfficer, Ctx, Operator, Viewer

InPath = Annotated[AuthorityName, Path()]

router = APIRouter(prefix="/authorities", tags=["authorities"])


class AuthorityRequest(Body):
    """An issuing authority to be."""

    model_config = example(name="issuing-2", hosts=["broker.example"])

    name: AuthorityName
    hosts: Annotated[
        list[Name], Field(min_length=1, max_length=100, description="The only ones it may certify")
    ]


class Requested(BaseModel):
    """What the root has to certify."""

    csr: str


class NewBootstrapAuthority(Body):
    """An authority for the bootstrap certificates of a factory batch."""

    model_config = example(name="autumn-ca")

    name: AuthorityName


class Installation(Body):
    """What the root made of a request."""

    certificate: Pem
    chain: Annotated[str, Field(max_length=32_768, description="Certificates up to the root, in PEM")] = ""


@router.get("", summary="List authorities")
def list_authorities(_caller: Viewer, ctx: Ctx) -> list[AuthorityOut]:
    """All authorities there are or were, oldest first."""
    with reading(ctx.sessions) as session:
        return [AuthorityOut.model_validate(each) for each in authorities.authorities(session)]


@router.post("/requests", status_code=201, summary="Request an issuing authority")
def request_authority(caller: CaOfficer, ctx: Ctx, body: AuthorityRequest) -> Requested:
    """Make the key of a new issuing authority, and the request that is to be carried to the root."""
    return Requested(csr=ceremony.request_authority(ctx, body.name, hosts=body.hosts, actor=caller.actor))


@router.post("/bootstrap", status_code=201, summary="Make a bootstrap authority")
def create_bootstrap_authority(caller: CaOfficer, ctx: Ctx, body: NewBootstrapAuthority) -> AuthorityOut:
    """Make an authority for the bootstrap certificates of a factory batch: self-signed, below no root."""
    ceremony.create_bootstrap_authority(ctx, body.name, actor=caller.actor)
    return _shown(ctx, body.name)


@router.get("/{name}", summary="Show an authority")
def show_authority(_caller: Viewer, ctx: Ctx, name: InPath) -> AuthorityOut:
    """One authority."""
    return _shown(ctx, name)


@router.get(
    "/{name}/pem",
    summary="Download an authority's certificate",
    response_class=Response,
    responses={200: {"content": {PEM: {"schema": {"type": "string"}}}}},
)
def download(_caller: Viewer, ctx: Ctx, name: InPath) -> Response:
    """The certificate of an authority, in PEM."""
    with reading(ctx.sessions) as session:
        return Response(authorities.named(session, name).pem, media_type=PEM)


@router.post("/{name}/activate", summary="Activate an issuing authority")
def activate(caller: CaOfficer, ctx: Ctx, name: InPath) -> AuthorityOut:
    """Let it sign all new certificates, in place of the one that did."""
    ceremony.activate(ctx, name, actor=caller.actor)
    return _shown(ctx, name)


@router.post("/{name}/retire", summary="Retire an authority")
def retire(caller: CaOfficer, ctx: Ctx, name: InPath) -> AuthorityOut:
    """End an authority none of whose certificates is at work any more."""
    ceremony.retire(ctx, name, actor=caller.actor)
    return _shown(ctx, name)


@router.post("/{name}/installation", summary="Install a certified authority")
def install(caller: CaOfficer, ctx: Ctx, name: InPath, body: Installation) -> AuthorityOut:
    """Take over the certificate a root made for a requested authority; it is on standby until activated."""
    ceremony.install_authority(ctx, name, body.certificate, chain_pem=body.chain, actor=caller.actor)
    return _shown(ctx, name)


@router.get("/{name}/revocation-lists", summary="Show revocation lists")
def list_revocation_lists(_caller: Viewer, ctx: Ctx, name: InPath) -> list[RevocationListOut]:
    """The newest list of each partition."""
    with reading(ctx.sessions) as session:
        authority = authorities.named(session, name)
        found = (
            revocation_lists.newest(session, authority.authority_id, partition)
            for partition in range(max(1, authority.crl_partitions))
        )
        return [RevocationListOut.model_validate(each) for each in found if each is not None]


@router.post("/{name}/revocation-lists", summary="Sign revocation lists anew")
def publish_revocation_lists(_caller: Operator, ctx: Ctx, name: InPath) -> list[RevocationListOut]:
    """Sign the lists of an authority now, without waiting for a revocation or for their time."""
    with reading(ctx.sessions) as session:
        authority_id = authorities.named(session, name).authority_id
    return [RevocationListOut.model_validate(each) for each in revocation_lists.publish(ctx, authority_id)]


def _shown(ctx: Context, name: str) -> AuthorityOut:
    with reading(ctx.sessions) as session:
        return AuthorityOut.model_validate(authorities.named(session, name))
