# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The certificates of the cloud itself."""

from fastapi import APIRouter, Request

from fleetpki import own_files
from fleetpki.own_files import Own
from fleetpki.web.api.models import CertificateOut
from fleetpki.web.security import CaOfficer

router = APIRouter(prefix="/own-certificates", tags=["authorities"])


@router.post("/{own}/renewal", status_code=201, summary="Renew a certificate of the cloud")
def renew(caller: CaOfficer, request: Request, own: Own) -> CertificateOut:
    """Certify the key of broker, service or operator anew; the broker uses it after a restart of `up`."""
    return CertificateOut.model_validate(own_files.renew(request.app.state.fleet, own, actor=caller.actor))
