# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The services: a topic, the rule that handles its messages, and how a refusal is answered.

``worker.py`` brings messages in and answers out.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fleetpki import lifecycle
from fleetpki.desk import Desk
from fleetpki.errors import Code, FleetError, Rejected, Unavailable
from fleetpki.lifecycle import Application, DeviceStatus
from fleetpki.mqtt import messages, topics
from fleetpki.mqtt.messages import Message

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """A message from a device; the broker certifies ``sender``, the certificate of the connection it used."""

    device_id: str
    sender: str
    payload: bytes


@dataclass(frozen=True)
class Answer:
    """A message to a device."""

    topic: str
    message: Message


@dataclass(frozen=True)
class Service:
    """One kind of request."""

    requests: str
    handle: Callable[[Desk, Request], Awaitable[Answer | None]]
    refuse: Callable[[Request, Rejected], Answer | None]


async def serve(service: Service, desk: Desk, request: Request) -> Answer | None:
    """Handle a request. Whatever happens, the service goes on and the device learns what it may know."""
    try:
        return await service.handle(desk, request)
    except Rejected as rejected:
        log.info("refused %s of %s: %s", service.requests, request.device_id, rejected)
        return service.refuse(request, rejected)
    except FleetError:
        log.exception("cannot serve %s of %s", service.requests, request.device_id)
        return service.refuse(request, Unavailable("an operator has to act first"))
    except Exception:
        log.exception("failed to handle %s of %s", service.requests, request.device_id)
        return service.refuse(request, Rejected(Code.INTERNAL, "internal error, try again later"))


async def enroll(desk: Desk, request: Request) -> Answer:
    """Give a device its operational identity."""
    message = messages.parse(messages.EnrollRequest, request.payload)
    enrolled = await desk.enroll(
        Application(
            device_id=request.device_id,
            sender=request.sender,
            request_id=message.request_id,
            csr_pem=message.csr,
            hardware=message.hardware,
            proof=message.proof.mac if message.proof else None,
        )
    )
    accepted = messages.EnrollAccepted(
        request_id=message.request_id,
        certificate=enrolled.certificate_pem,
        chain=enrolled.chain_pem,
        certificate_id=enrolled.certificate_id,
        time=enrolled.time,
        private_key=enrolled.private_key_pem,
    )
    return Answer(topics.enroll_accepted(request.device_id), accepted)


def refuse_enrolment(request: Request, rejected: Rejected) -> Answer:
    """Tell a device why it was not enrolled."""
    refusal = messages.EnrollRejected(
        request_id=messages.request_id_in(request.payload, "request_id"),
        code=rejected.code,
        message=rejected.message,
        retry_after_s=rejected.retry_after_s,
    )
    return Answer(topics.enroll_rejected(request.device_id), refusal)


async def answer_csr(desk: Desk, request: Request) -> Answer:
    """Certify the new key of a rotation."""
    message = messages.parse(messages.CsrRequest, request.payload)
    issued = await desk.apply(
        lifecycle.answer_csr,
        device_id=request.device_id,
        sender=request.sender,
        rotation_id=message.rotation_id,
        csr_pem=message.csr,
        reason=message.reason,
    )
    answer = messages.Issued(
        rotation_id=issued.rotation_id,
        certificate=issued.certificate_pem,
        chain=issued.chain_pem,
        certificate_id=issued.certificate_id,
    )
    return Answer(topics.certs(request.device_id, "issued"), answer)


def refuse_csr(request: Request, rejected: Rejected) -> Answer:
    """Tell a device why its new key was not certified."""
    refusal = messages.CsrRejected(
        rotation_id=messages.request_id_in(request.payload, "rotation_id"),
        code=rejected.code,
        message=rejected.message,
        retry_after_s=rejected.retry_after_s,
    )
    return Answer(topics.certs(request.device_id, "rejected"), refusal)


async def record_status(desk: Desk, request: Request) -> None:
    """Take note of what a device says about itself; what follows from it goes out through the outbox."""
    message = messages.parse(messages.StatusReport, request.payload)
    status = DeviceStatus(
        state=message.state,
        certificate_id=message.certificate_id,
        generation=message.generation,
        rotation_id=message.rotation_id,
        code=message.code,
        message=message.message,
        trust_version=message.trust_version,
    )
    await desk.apply(
        lifecycle.record_status, device_id=request.device_id, sender=request.sender, status=status
    )


def ignore_status(request: Request, rejected: Rejected) -> None:
    """A status report has no answer in the protocol; the refusal is in the log and in the audit chain."""


SERVICES = (
    Service(topics.ENROLL_REQUESTS, enroll, refuse_enrolment),
    Service(topics.CSR_REQUESTS, answer_csr, refuse_csr),
    Service(topics.STATUS_REPORTS, record_status, ignore_status),
)
