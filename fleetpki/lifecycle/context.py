# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What every rule works with: registry, keys, policy and clock; and the transaction it runs in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

from sqlalchemy.orm import Session

from fleetpki.account import account
from fleetpki.errors import RegistryUnavailable, Rejected, Unavailable
from fleetpki.lifecycle.terms import Hook
from fleetpki.pki import profiles
from fleetpki.pki.issuer import Issuer
from fleetpki.pki.keyring import KeyRing
from fleetpki.pki.ocsp import Delegates
from fleetpki.registry.audit import Entry
from fleetpki.registry.database import Sessions, engine_of
from fleetpki.registry.group_commit import GroupCommit

OPERATOR = f"operator:{account()}"
"""Who acts when a rule is told of nobody else: whoever is at the command line."""
CLOUD = "cloud"


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def _no_secret(_batch: str) -> bytes | None:
    return None


@dataclass(frozen=True)
class Policy:
    """What a fleet may choose."""

    device_validity: timedelta = profiles.DEVICE.validity
    activation_window: timedelta = timedelta(hours=1)
    superseded_grace: timedelta = timedelta(hours=24)
    busy_retry_after_s: int = 60
    public_url: str | None = None
    """Where the world finds revocation lists and OCSP; certificates carry it. None: they carry no address."""
    alert_channels: tuple[str, ...] = ("log",)


@dataclass(frozen=True)
class Transaction:
    """One rule at work: everything it changes becomes durable together, or not at all."""

    session: Session
    now: datetime
    actor: str
    entries: list[Entry]

    def audit(self, action: str, subject: str, **detail: object) -> None:
        """Add an entry to the audit chain."""
        self.entries.append(Entry(self.now, self.actor, action, subject, detail))

    def audit_refusal(self, action: str, subject: str, refusal: Rejected) -> None:
        """Add what was refused."""
        self.audit(f"{action}.refused", subject, code=refusal.code, message=refusal.message)


@dataclass(frozen=True)
class Context:
    """Everything a rule needs from outside."""

    sessions: Sessions
    keyring: KeyRing
    policy: Policy = field(default_factory=Policy)
    clock: Callable[[], datetime] = utc_now
    batch_secret: Callable[[str], bytes | None] = _no_secret
    """Finds the factory secret of a batch."""
    hooks: tuple[Hook, ...] = ()
    """Rules of admission of the operator's own."""
    delegates: Delegates = field(default_factory=Delegates)
    issuers: dict[str, Issuer] = field(default_factory=dict)
    """The authorities this process has signed with, by id; filled and used by ``authorities``."""

    @contextmanager
    def transaction(self, actor: str, action: str, subject: str) -> Iterator[Transaction]:
        """Run a rule. A refusal is an outcome too: it is audited, and what led to it is kept.

        ``Unavailable`` is none: nothing of the rule is kept, and the same request goes on when it is over.
        """
        refusal: Rejected | None = None
        try:
            with self._commits.write() as write:
                tx = Transaction(write.session, self.clock(), actor, write.entries)
                try:
                    yield tx
                except Unavailable:
                    raise
                except Rejected as rejected:
                    tx.audit_refusal(action, subject, rejected)
                    refusal = rejected
        except Unavailable as unavailable:
            self._audit_refusal(actor, action, subject, unavailable)
            raise
        if refusal is not None:
            raise refusal

    @contextmanager
    def transactions(self) -> Iterator[Callable[[str], Transaction]]:
        """Run many rules in one write; what is yielded makes the transaction of an actor.

        The caller audits refusals, and writes nothing for what it refuses. ``Unavailable`` undoes them all.
        """
        with self._commits.write() as write:
            now = self.clock()
            yield lambda actor: Transaction(write.session, now, actor, write.entries)

    @contextmanager
    def auditing_refusals(self, actor: str, action: str, subject: str) -> Iterator[None]:
        """Do what needs no transaction, yet may refuse."""
        try:
            yield
        except Rejected as refusal:
            self._audit_refusal(actor, action, subject, refusal)
            raise

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Write what needs no audit entry."""
        with self._commits.write() as write:
            yield write.session

    def _audit_refusal(self, actor: str, action: str, subject: str, refusal: Rejected) -> None:
        """Audit a refusal by itself, unless there is nowhere to."""
        if isinstance(refusal, RegistryUnavailable):
            return
        with self._commits.write() as write:
            tx = Transaction(write.session, self.clock(), actor, write.entries)
            tx.audit_refusal(action, subject, refusal)

    @cached_property
    def _commits(self) -> GroupCommit:
        return GroupCommit(engine_of(self.sessions))
