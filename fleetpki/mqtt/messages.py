# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The protocol's messages. Required fields are strict, unknown ones are ignored."""

import json
import re
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from fleetpki.errors import Code, Rejected
from fleetpki.lifecycle import StatusState

#: Largest message of the protocol, in bytes.
MAX_MESSAGE = 8192

#: Printable ASCII but blank, quote and backslash: it comes back in messages, logs and tables.
_REQUEST_ID = r"^[!#-\[\]-~]{1,64}$"
RequestId = Annotated[str, Field(pattern=_REQUEST_ID)]
#: One line without control characters: an operator's terminal and mail will show it.
HarmlessText = Annotated[str, Field(max_length=512, pattern=r"^[^\p{Cc}\p{Zl}\p{Zp}]*$")]
CertificateId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _finite(value: dict[str, Any]) -> dict[str, Any]:
    """Only what JSON has: a number too large for it would be infinite here, and nobody could be told."""
    json.dumps(value, allow_nan=False)
    return value


class Message(BaseModel):
    """Base of all messages."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    def to_payload(self) -> bytes:
        """The message as JSON; fields without a value are left out."""
        return self.model_dump_json(exclude_none=True).encode()


class Proof(Message):
    """What shows that a device holds its factory secret."""

    mac: Annotated[str, Field(max_length=64)]


class EnrollRequest(Message):
    """Device to cloud: certify this key."""

    request_id: RequestId
    csr: str | None = None
    hardware: Annotated[dict[str, Any], AfterValidator(_finite)] | None = None
    proof: Proof | None = None


class EnrollAccepted(Message):
    """Cloud to device: the operational identity."""

    request_id: str
    certificate: str
    chain: str
    certificate_id: str
    time: datetime
    private_key: Annotated[str | None, Field(repr=False)] = None


class EnrollRejected(Message):
    """Cloud to device: enrolment refused."""

    request_id: str
    code: Code
    message: str
    retry_after_s: int | None = None


class CsrRequest(Message):
    """Device to cloud: the request of a rotation; ``reason`` says why a device rotates on its own."""

    rotation_id: RequestId
    csr: str
    reason: str | None = None


class Issued(Message):
    """Cloud to device: the certificate of a rotation."""

    rotation_id: str
    certificate: str
    chain: str
    certificate_id: str


class CsrRejected(Message):
    """Cloud to device: the request of a rotation refused."""

    rotation_id: str
    code: Code
    message: str
    retry_after_s: int | None = None


class StatusReport(Message):
    """Device to cloud: how far a rotation is, or that the device is connected."""

    state: StatusState
    certificate_id: CertificateId
    generation: Annotated[int, Field(ge=0, lt=2**32)]
    not_after: str
    rotation_id: RequestId | None = None
    code: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")] | None = None
    message: HarmlessText | None = None
    trust_version: Annotated[int, Field(ge=0, lt=2**31)] | None = None


class PushedRotation(Message):
    """Cloud to device: a new identity whose key the cloud made."""

    new_certificate: str
    new_private_key: Annotated[str, Field(repr=False)]
    chain: str
    rotation_id: str


M = TypeVar("M", bound=Message)


def parse(model: type[M], payload: bytes) -> M:
    """Read a message; Rejected with ``bad_message`` when it is not one."""
    if len(payload) > MAX_MESSAGE:
        raise Rejected(Code.BAD_MESSAGE, f"{len(payload)} bytes are more than the {MAX_MESSAGE} allowed")
    try:
        return model.model_validate_json(payload)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in problem["loc"])
        text = f"{field}: {problem['msg']}" if field else problem["msg"]
        raise Rejected(Code.BAD_MESSAGE, text) from None


def request_id_in(payload: bytes, field: str) -> str:
    """The id in a request that may be broken otherwise; empty when there is none to answer to."""
    try:
        value = json.loads(payload[:MAX_MESSAGE]).get(field, "")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return value if isinstance(value, str) and re.fullmatch(_REQUEST_ID, value) else ""
