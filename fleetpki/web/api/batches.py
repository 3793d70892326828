# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Batches: who may enrol with which bootstrap certificate, and how many."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from fleetpki.inputs import MAX_NUMBER
from fleetpki.lifecycle import authorities, batches, own_certificates
from fleetpki.lifecycle.batches import BatchPolicy
from fleetpki.web.api.devices import Certified
from fleetpki.web.api.models import BatchOut
from fleetpki.web.api.types import CSR, AuthorityName, Body, Name, Pem, example
from fleetpki.web.security import CaOfficer, Ctx, Viewer

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_UNSET: Any = None  # never looked at

Enabled = Annotated[bool, Field(description="Whether its devices may enrol")]
Open = Annotated[bool, Field(description="Whether devices off the allow-list may")]
Proof = Annotated[bool, Field(description="Whether a device must prove its factory secret")]
CloudKeys = Annotated[bool, Field(description="Whether keys are made here on request")]
Count = Annotated[int, Field(ge=1, le=MAX_NUMBER)]
Budget = Annotated[Count | None, Field(description="How many devices may ever enrol; null: no limit")]
RatePerMinute = Annotated[Count | None, Field(description="How many may in a minute; null: no limit")]

router = APIRouter(prefix="/batches", tags=["enrolment"])


class NewBatch(Body):
    """A batch to make."""

    model_config = example(name="autumn", proof=True, budget=5000)

    name: Annotated[str, Field(pattern=_NAME)]
    enabled: Enabled = True
    open: Open = False
    proof: Proof = False
    cloud_keys: CloudKeys = False
    budget: Budget = None
    rate_per_minute: RatePerMinute = None


class BatchChange(Body):
    """What to change of a batch's policy; what is missing stays."""

    model_config = example(enabled=False)

    enabled: Enabled = _UNSET
    open: Open = _UNSET
    proof: Proof = _UNSET
    cloud_keys: CloudKeys = _UNSET
    budget: Budget = _UNSET
    rate_per_minute: RatePerMinute = _UNSET


class BootstrapRequest(Body):
    """A key that is to open the door for enrolment."""

    model_config = example(common_name="sensor-1", csr=CSR)

    common_name: Annotated[Name, Field(description="A device id, or the name of the batch")]
    csr: Annotated[Pem, Field(description="PKCS#10 in PEM; it has this common name")]
    authority: Annotated[
        AuthorityName | None, Field(description="A bootstrap authority; the newest, when missing")
    ] = None


@router.get("", summary="List batches")
def list_batches(_caller: Viewer, ctx: Ctx) -> list[BatchOut]:
    """All batches by name."""
    return [BatchOut.model_validate(batch) for batch in batches.list_batches(ctx)]


@router.post("", status_code=201, summary="Make a batch")
def create_batch(caller: CaOfficer, ctx: Ctx, body: NewBatch) -> BatchOut:
    """Make a batch; its bootstrap certificates name it."""
    policy = BatchPolicy(**body.model_dump(exclude={"name"}))
    return BatchOut.model_validate(batches.create_batch(ctx, body.name, policy, actor=caller.actor))


@router.patch("/{name}", summary="Change a batch")
def change_batch(
    caller: CaOfficer, ctx: Ctx, name: Annotated[str, Path(pattern=_NAME)], body: BatchChange
) -> BatchOut:
    """Change some of a batch's policy; it counts from the next enrolment."""
    return BatchOut.model_validate(
        batches.change_batch(ctx, name, body.model_dump(exclude_unset=True), actor=caller.actor)
    )


@router.post("/{name}/certificates", status_code=201, summary="Make a bootstrap certificate")
def certify_bootstrap(
    caller: CaOfficer, ctx: Ctx, name: Annotated[str, Path(pattern=_NAME)], body: BootstrapRequest
) -> Certified:
    """Certify a key that a factory made, for one device or for the batch; the same key, the same answer."""
    certificate = own_certificates.certify_bootstrap_request(
        ctx, body.common_name, body.csr, batch=name, authority=body.authority, actor=caller.actor
    )
    return Certified(
        certificate_id=certificate.signed_id,
        certificate=certificate.signed_pem,
        chain=authorities.chain(ctx, certificate),
    )
