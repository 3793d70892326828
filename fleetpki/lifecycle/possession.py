# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A device shows, by connecting, that it holds the certificate it was given.

EST (RFC 7030) has no word for "I have it and it works", so the first connection made with a certificate that
was obtained by EST makes it the device's own. Over MQTT the device says so itself (``status``).
"""

from fleetpki.lifecycle.context import Context, Transaction
from fleetpki.lifecycle.transitions import activate_enrolled, commit, is_open
from fleetpki.registry import queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import Certificate, CertificateState, DeviceState

EST_REQUEST = "est:"
"""Request ids begin with this when the request came by EST."""


def is_unproven(certificate: Certificate) -> bool:
    """Whether a connection with this certificate is the news that its device holds it."""
    by_est = certificate.request_id is not None and certificate.request_id.startswith(EST_REQUEST)
    return by_est and certificate.state == CertificateState.ISSUED


def prove_possession(ctx: Context, certificate_id: str) -> None:
    """Make a certificate that its device has connected with the one the device works with."""
    with reading(ctx.sessions) as session:
        certificate = queries.certificate(session, certificate_id)
    if certificate is None or certificate.device_id is None or not is_unproven(certificate):
        return
    with ctx.transaction(certificate_id, "connect", certificate.device_id) as tx:
        _activate(tx, certificate_id, certificate.device_id)


def _activate(tx: Transaction, certificate_id: str, device_id: str) -> None:
    device = queries.device(tx.session, device_id, lock=True)
    certificate = queries.certificate(tx.session, certificate_id)
    if device is None or certificate is None or not is_unproven(certificate):
        return
    if device.state != DeviceState.ACTIVE or certificate.not_after <= tx.now:
        return  # it is about to be refused, and what it has waits for it
    device.last_seen_at = tx.now
    rotation = queries.rotation_to(tx.session, certificate)
    if rotation is None:
        activate_enrolled(tx, device, certificate)
    elif is_open(rotation):
        commit(tx, device, rotation, certificate)
