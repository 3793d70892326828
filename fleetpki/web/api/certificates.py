# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates: find them, download them, revoke one."""

from fastapi import APIRouter, Response

from fleetpki import lifecycle
from fleetpki.errors import NotFound
from fleetpki.lifecycle import Context
from fleetpki.registry import pages, queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import ApiRole, Certificate, CertificateState, Role
from fleetpki.web.api.devices import WithReason
from fleetpki.web.api.models import CertificateOut, Page, number
from fleetpki.web.api.types import After, CertificateId, Limit, NameFilter, Time
from fleetpki.web.security import AccessRefused, Ctx, Operator, Viewer

PEM = "application/x-pem-file"

_OF_THE_FLEET = (Role.DEVICE, Role.BOOTSTRAP)

router = APIRouter(prefix="/certificates", tags=["certificates"])


@router.get("", summary="List certificates")
def list_certificates(
    _caller: Viewer,
    ctx: Ctx,
    after: After = None,
    limit: Limit = 100,
    device_id: NameFilter = None,
    state: CertificateState | None = None,
    role: Role | None = None,
    issuer_id: NameFilter = None,
    expires_before: Time | None = None,
) -> Page[CertificateOut]:
    """A page of certificates, newest first, or by their ends; every filter narrows it down."""
    with reading(ctx.sessions) as session:
        page = pages.certificates(
            session,
            after=after,
            limit=limit,
            device_id=device_id,
            state=state,
            role=role,
            issuer_id=issuer_id,
            expires_before=expires_before,
        )
    items = [CertificateOut.model_validate(certificate) for certificate in page.rows]
    return Page(items=items, next=number(page.next))


@router.get("/{certificate_id}", summary="Show a certificate")
def show_certificate(_caller: Viewer, ctx: Ctx, certificate_id: CertificateId) -> CertificateOut:
    """What the registry knows about a certificate."""
    return CertificateOut.model_validate(_known(ctx, certificate_id))


@router.get(
    "/{certificate_id}/pem",
    summary="Download a certificate",
    response_class=Response,
    responses={200: {"content": {PEM: {"schema": {"type": "string"}}}}},
)
def download_certificate(_caller: Viewer, ctx: Ctx, certificate_id: CertificateId) -> Response:
    """The certificate itself, in PEM."""
    certificate = _known(ctx, certificate_id)
    disposition = f'attachment; filename="{certificate_id[:16]}.crt"'
    return Response(certificate.signed_pem, media_type=PEM, headers={"Content-Disposition": disposition})


@router.post("/{certificate_id}/revoke", summary="Revoke a certificate")
def revoke_certificate(
    caller: Operator, ctx: Ctx, certificate_id: CertificateId, body: WithReason
) -> CertificateOut:
    """Withdraw one certificate. A device left without one may enrol again.

    Those of the cloud and of people are the CA officer's.
    """
    if _known(ctx, certificate_id).role not in _OF_THE_FLEET and not caller.may_act_as(ApiRole.CA_OFFICER):
        raise AccessRefused(403, "this certificate is for a ca-officer to revoke")
    lifecycle.revoke_certificate(ctx, certificate_id, body.reason, actor=caller.actor)
    return CertificateOut.model_validate(_known(ctx, certificate_id))


def _known(ctx: Context, certificate_id: str) -> Certificate:
    with reading(ctx.sessions) as session:
        certificate = queries.certificate(session, certificate_id)
    if certificate is None:
        raise NotFound(f"no certificate {certificate_id}")
    return certificate
