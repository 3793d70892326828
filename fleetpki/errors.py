# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Errors every part shares: the protocol's refusal codes and the error an operator is shown."""

from enum import StrEnum


class Code(StrEnum):
    """Why a request was refused, as the protocol spells it."""

    BAD_MESSAGE = "bad_message"
    BAD_CSR = "bad_csr"
    WEAK_KEY = "weak_key"
    WRONG_SUBJECT = "wrong_subject"
    UNTRUSTED = "untrusted"
    KEY_MISMATCH = "key_mismatch"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    STALE = "stale"
    NOT_ALLOWED = "not_allowed"
    BUDGET_EXCEEDED = "budget_exceeded"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    BUSY = "busy"
    STORAGE_FULL = "storage_full"
    STORAGE_ERROR = "storage_error"
    UNSUPPORTED = "unsupported"
    DEADLINE_PASSED = "deadline_passed"
    INTERNAL = "internal"


class Rejected(Exception):  # noqa: N818 - the protocol's word for it
    """A request was understood and refused; the requester may be told everything in here."""

    def __init__(self, code: Code, message: str, retry_after_s: int | None = None) -> None:
        """Refuse with a code and a message; ``retry_after_s`` invites another try."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


class Unavailable(Rejected):
    """Nothing is wrong with a request, but it cannot be dealt with now; nothing was changed."""

    def __init__(self, message: str, retry_after_s: int = 30) -> None:
        """Invite another try."""
        super().__init__(Code.BUSY, message, retry_after_s)


class RegistryUnavailable(Unavailable):
    """The registry itself cannot be read or written now, so this cannot be audited before that is over."""

    def __init__(self, message: str = "the registry cannot be written now") -> None:
        """Invite another try."""
        super().__init__(message)


class FleetError(Exception):
    """Something an operator has to act on."""

    def __init__(self, message: str, hint: str = "", exit_code: int = 1) -> None:
        """Say what failed, what to do about it and the exit code to end with."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


class NotFound(FleetError):  # noqa: N818 - as everybody calls it
    """An operator named something that does not exist."""

    def __init__(self, message: str, hint: str = "") -> None:
        """Say what does not exist, and where to look."""
        super().__init__(message, hint, exit_code=2)
