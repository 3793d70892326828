# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What goes into the rules and what comes out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class KeyRequest(StrEnum):
    """The key a rotation asks for; ``same`` renews the certificate on the current key."""

    EC_P256 = "ec-p256"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    SAME = "same"


class StatusState(StrEnum):
    """How far a device says it is."""

    ACCEPTED = "accepted"
    STAGED = "staged"
    CONNECTED = "connected"
    COMMITTED = "committed"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True)
class DeviceStatus:
    """A device's claim about itself."""

    state: StatusState
    certificate_id: str
    generation: int
    rotation_id: str | None = None
    code: str | None = None
    message: str | None = None
    trust_version: int | None = None


@dataclass(frozen=True)
class Application:
    """A device asks for its first certificate, or for another one after it lost the first."""

    device_id: str
    sender: str
    """The id of the bootstrap certificate it came with."""
    request_id: str
    csr_pem: str | None
    """Certifies its key; without it the key is to be made here."""
    hardware: dict[str, Any] | None = None
    proof: str | None = None
    """The MAC it shows to hold its factory secret."""


@dataclass(frozen=True)
class Applicant:
    """Who asks to become a device, as far as an operator's own rules may care."""

    device_id: str
    batch: str
    certificate_id: str
    """The bootstrap certificate it came with."""
    key_digest: str | None
    """SHA-256 of the SubjectPublicKeyInfo of its key; none when the cloud is to make one."""
    hardware: dict[str, Any] | None
    is_known: bool
    """Whether it has enrolled before."""


Hook = Callable[[Applicant], None]
"""A rule of admission of the operator's own; raises ``Rejected``."""


@dataclass(frozen=True)
class Enrolled:
    """The answer to an enrolment."""

    certificate_pem: str
    chain_pem: str
    certificate_id: str
    time: datetime
    private_key_pem: str | None = field(default=None, repr=False)
    """The key, when the cloud made it: it exists nowhere else."""


@dataclass(frozen=True)
class Issued:
    """The answer to a certification request in a rotation."""

    rotation_id: str
    certificate_pem: str
    chain_pem: str
    certificate_id: str


@dataclass(frozen=True)
class PushedCredential:
    """A credential with a key made here; it exists nowhere else and is to be sent at once."""

    certificate_pem: str
    chain_pem: str
    certificate_id: str
    private_key_pem: str = field(repr=False)


@dataclass(frozen=True)
class Verdict:
    """Whether a connection may be made, and as what."""

    allow: bool
    role: str
    reason: str
    unproven: bool = False
    """Whether this connection is the first sign that the device holds its certificate."""
    is_claim: bool = False
    """Whether this was refused because somebody claims to be a device at work."""
