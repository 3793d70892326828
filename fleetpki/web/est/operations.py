# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""EST's operations: from the wire to the rule and back."""

from dataclasses import dataclass

from starlette.responses import Response

from fleetpki import lifecycle
from fleetpki.desk import Desk
from fleetpki.errors import Code, Rejected
from fleetpki.lifecycle import Application, Enrolled, authorities
from fleetpki.web.est import messages


@dataclass(frozen=True)
class Peer:
    """Whoever made the connection."""

    certificate_id: str | None
    proof: str | None = None
    """What shows that it holds its factory secret."""

    def shown(self) -> str:
        """The certificate it showed; without one it may do nothing that counts."""
        if self.certificate_id is None:
            raise Rejected(Code.NOT_ALLOWED, "show your certificate in the TLS handshake")
        return self.certificate_id


async def ca_certificates(desk: Desk, peer: Peer, _body: bytes) -> Response:
    """Distribute the CA certificates (RFC 7030, 4.1); anybody may ask."""
    await _note(desk, peer)
    chain = await desk.apply(authorities.ca_chain)
    return Response(messages.certs_only(chain), media_type=messages.PKCS7)


async def csr_attributes(desk: Desk, peer: Peer, _body: bytes) -> Response:
    """Say what a request should be like (RFC 7030, 4.5)."""
    await _note(desk, peer)
    return Response(messages.csr_attributes(), media_type=messages.CSR_ATTRIBUTES)


async def simple_enroll(desk: Desk, peer: Peer, body: bytes) -> Response:
    """Give the holder of a bootstrap certificate its first certificate of its own (RFC 7030, 4.2.1)."""
    enrolled = await _enroll(desk, peer, body, key_is_theirs=True)
    return _certificate(enrolled.certificate_pem)


async def simple_reenroll(desk: Desk, peer: Peer, body: bytes) -> Response:
    """Give a device its next certificate (RFC 7030, 4.2.2)."""
    sender = peer.shown()
    await _note(desk, peer)
    request = messages.read_request(body)
    issued = await desk.apply(
        lifecycle.reenroll, sender=sender, request_id=request.request_id, csr_pem=request.pem
    )
    return _certificate(issued.certificate_pem)


async def server_key_generation(desk: Desk, peer: Peer, body: bytes) -> Response:
    """Make a key for a device that cannot, where the policy permits it (RFC 7030, 4.4)."""
    enrolled = await _enroll(desk, peer, body, key_is_theirs=False)
    if enrolled.private_key_pem is None:
        raise Rejected(Code.NOT_ALLOWED, "this fleet makes no keys for devices")
    content, kind = messages.key_and_certificate(enrolled.private_key_pem, enrolled.certificate_pem)
    return Response(content, media_type=kind)


async def _enroll(desk: Desk, peer: Peer, body: bytes, *, key_is_theirs: bool) -> Enrolled:
    sender = peer.shown()
    request = messages.read_request(body)
    csr_pem = request.pem if key_is_theirs else None
    return await desk.enroll(
        Application(request.common_name, sender, request.request_id, csr_pem, proof=peer.proof)
    )


def _certificate(pem: str) -> Response:
    return Response(messages.certs_only(pem), media_type=messages.CERTS_ONLY)


async def _note(desk: Desk, peer: Peer) -> None:
    """A device that has connected with a new certificate has it."""
    if peer.certificate_id is not None:
        await desk.apply(lifecycle.prove_possession, peer.certificate_id)
