# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Why a certificate was revoked: operators write what they like, lists and OCSP know ten codes."""

from dataclasses import dataclass
from datetime import datetime

from cryptography.x509 import ReasonFlags

_OUR_WORDS = {
    "replaced": ReasonFlags.superseded,
    "unactivated": ReasonFlags.cessation_of_operation,
    "abandoned": ReasonFlags.cessation_of_operation,
    "rolled_back": ReasonFlags.cessation_of_operation,
    "rejected": ReasonFlags.cessation_of_operation,
    "stolen": ReasonFlags.key_compromise,
    "leaked": ReasonFlags.key_compromise,
}
# RFC 5280, 5.3.1: "unspecified" is said by saying nothing; a certificate of ours is never on hold.
_STANDARD = {
    word: reason
    for reason in ReasonFlags
    if reason not in (ReasonFlags.unspecified, ReasonFlags.certificate_hold, ReasonFlags.remove_from_crl)
    for word in (reason.value, reason.name)
}

REASONS = tuple(dict.fromkeys(reason.value for reason in _STANDARD.values()))
"""What lists and OCSP can say, as RFC 5280 spells it."""


@dataclass(frozen=True)
class Revocation:
    """A revoked certificate, as relying parties are told of it."""

    serial: int
    at: datetime
    reason: ReasonFlags | None = None


def reason_code(text: str | None) -> ReasonFlags | None:
    """The code for a reason in the registry: ``keyCompromise``, ``key_compromise`` or a word of ours."""
    return (_STANDARD | _OUR_WORDS).get(text or "")
