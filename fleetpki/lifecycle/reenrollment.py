# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A device that speaks EST renews its certificate (RFC 7030, 4.2.2): a rotation the device asks for."""

from fleetpki.errors import Code, Rejected
from fleetpki.lifecycle.context import Context
from fleetpki.lifecycle.parties import require_sender
from fleetpki.lifecycle.rotation import EXPIRING, Occupied, answer_csr
from fleetpki.lifecycle.terms import Issued
from fleetpki.lifecycle.transitions import close
from fleetpki.registry import queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import Initiator, RotationMode, RotationState


def reenroll(ctx: Context, *, sender: str, request_id: str, csr_pem: str) -> Issued:
    """Certify the next key of the device that holds the sender's certificate.

    The same request again gets the same certificate; ``possession`` makes it the device's own.
    """
    with reading(ctx.sessions) as session:
        certificate = queries.certificate(session, sender)
    if certificate is None or certificate.device_id is None:
        raise Rejected(Code.NOT_ALLOWED, "the connection's certificate is no device's")
    device_id = certificate.device_id

    def answer() -> Issued:
        return answer_csr(
            ctx,
            device_id=device_id,
            sender=sender,
            rotation_id=request_id,
            csr_pem=csr_pem,
            reason=EXPIRING,
        )

    try:
        return answer()
    except Occupied:
        if not _end_unanswered(ctx, device_id, sender):
            raise
    return answer()


def _end_unanswered(ctx: Context, device_id: str, sender: str) -> bool:
    """A device that speaks only EST never hears of a rotation asked for by MQTT: let it pass."""
    with ctx.transaction(sender, "reenroll", device_id) as tx:
        require_sender(tx, device_id, sender)
        rotation = queries.open_rotation(tx.session, device_id)
        if rotation is None or rotation.initiator == Initiator.DEVICE:
            return False
        if rotation.state != RotationState.REQUESTED or rotation.mode == RotationMode.PUSH:
            return False
        close(tx, rotation, RotationState.ABANDONED, Code.STALE, "the device renewed by EST instead")
        return True
