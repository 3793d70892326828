# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Batches: what a bootstrap certificate is good for."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select

from fleetpki.errors import Code, FleetError, NotFound, Rejected
from fleetpki.lifecycle.context import OPERATOR, Context, Transaction
from fleetpki.registry.database import reading
from fleetpki.registry.models import Batch

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class BatchPolicy:
    """Who may enrol with a batch's bootstrap certificate, and how many."""

    enabled: bool = True
    open: bool = False
    proof: bool = False
    cloud_keys: bool = False
    budget: int | None = None
    rate_per_minute: int | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if any(limit is not None and limit < 1 for limit in (self.budget, self.rate_per_minute)):
            raise FleetError("a budget or rate is at least 1", "disable the batch to stop it", exit_code=2)


def check_batch_name(name: str) -> None:
    """Refuse a name that cannot be part of a file's name."""
    if _NAME.fullmatch(name) is None:
        raise FleetError(
            f"{name!r} is no name for a batch",
            "use 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit",
            exit_code=2,
        )


def create_batch(ctx: Context, name: str, policy: BatchPolicy, *, actor: str = OPERATOR) -> Batch:
    """Make a batch."""
    with ctx.transaction(actor, "create_batch", name) as tx:
        return add_batch(tx, name, policy)


def add_batch(tx: Transaction, name: str, policy: BatchPolicy) -> Batch:
    """Make a batch, as part of a larger transaction."""
    check_batch_name(name)
    if tx.session.get(Batch, name) is not None:
        raise Rejected(Code.NOT_ALLOWED, f"there is a batch {name} already")
    batch = Batch(name=name, created_at=tx.now, **asdict(policy))
    tx.session.add(batch)
    tx.session.flush()
    tx.audit("batch.created", name, **asdict(policy))
    return batch


def change_batch(ctx: Context, name: str, changes: dict[str, Any], *, actor: str = OPERATOR) -> Batch:
    """Change some of a batch's policy: fields of ``BatchPolicy`` by name."""
    with ctx.transaction(actor, "change_batch", name) as tx:
        batch = tx.session.get(Batch, name, with_for_update=True)
        if batch is None:
            raise NotFound(f"no batch {name}", "`fleetpki batch list` shows them")
        policy = BatchPolicy(**{**policy_of(batch), **changes})
        changed = {field: value for field, value in asdict(policy).items() if getattr(batch, field) != value}
        for field, value in changed.items():
            setattr(batch, field, value)
        if changed:
            tx.audit("batch.changed", name, **changed)
        return batch


def list_batches(ctx: Context) -> Sequence[Batch]:
    """All batches by name."""
    with reading(ctx.sessions) as session:
        return session.scalars(select(Batch).order_by(Batch.name)).all()


def policy_of(batch: Batch) -> dict[str, Any]:
    """A batch's policy, by the names of ``BatchPolicy``."""
    return {field: getattr(batch, field) for field in BatchPolicy.__dataclass_fields__}
