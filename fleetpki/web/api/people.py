# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""People, and programs, that use the API with a certificate of their own instead of a token."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field

from fleetpki.lifecycle import authorities, people
from fleetpki.registry.models import ApiRole
from fleetpki.web.api.devices import Certified
from fleetpki.web.api.models import CertificateOut
from fleetpki.web.api.types import CSR, Body, Pem, example
from fleetpki.web.problems import refusals
from fleetpki.web.security import CaOfficer, Ctx

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

router = APIRouter(prefix="/people", tags=["access"])


class NewPerson(Body):
    """Somebody who is to use the API; their key stays where it was made."""

    model_config = example(name="alice", role="operator", csr=CSR)

    name: Annotated[str, Field(pattern=_NAME)]
    role: ApiRole
    csr: Annotated[Pem, Field(description="PKCS#10 in PEM; its common name is the name")]
    days: Annotated[int, Field(ge=1, le=825)] = 365


class PersonOut(CertificateOut):
    """The certificate of a person, and what it permits."""

    api_role: ApiRole


@router.get("", summary="List people", responses=refusals(403))
def list_people(_caller: CaOfficer, ctx: Ctx) -> list[PersonOut]:
    """All certificates that permit something here, also those that are over."""
    return [PersonOut.model_validate(certificate) for certificate in people.people(ctx)]


@router.post("", status_code=201, summary="Certify a person")
def certify_person(caller: CaOfficer, ctx: Ctx, body: NewPerson) -> Certified:
    """Certify the key of somebody who may use the API in a role; the same key again, the same answer."""
    certificate = people.certify_person(
        ctx, body.name, body.role, body.csr, validity=timedelta(days=body.days), actor=caller.actor
    )
    return Certified(
        certificate_id=certificate.signed_id,
        certificate=certificate.signed_pem,
        chain=authorities.chain(ctx, certificate),
    )


@router.delete("/{name}", status_code=204, summary="Revoke a person's certificates")
def revoke_person(caller: CaOfficer, ctx: Ctx, name: Annotated[str, Path(pattern=_NAME)]) -> None:
    """End all certificates of a person, at once and for good."""
    people.revoke_person(ctx, name, "unspecified", actor=caller.actor)
