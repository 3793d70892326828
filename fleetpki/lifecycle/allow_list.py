# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The allow-list: which devices may enrol, and what they are to be then."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import select

from fleetpki.errors import FleetError
from fleetpki.lifecycle.context import OPERATOR, Context, Transaction
from fleetpki.lifecycle.devices import check_group, check_tags
from fleetpki.pki.identifiers import is_certificate_id, is_device_id
from fleetpki.registry.database import reading
from fleetpki.registry.models import AllowedDevice, Batch

_AT_ONCE = 500  # lines; others write in between


@dataclass(frozen=True)
class AllowedEntry:
    """A line of the allow-list."""

    device_id: str
    batch: str | None = None
    group: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    certificate_id: str | None = None

    def check(self) -> None:
        """Refuse a line that can never match anything."""
        if not is_device_id(self.device_id):
            raise FleetError(
                f"{self.device_id!r} is no device id",
                "use 3 to 64 of A-Z a-z 0-9 _ -, beginning with a letter or digit",
                exit_code=2,
            )
        if self.certificate_id is not None and not is_certificate_id(self.certificate_id):
            raise FleetError(
                f"{self.certificate_id!r} is no certificate id", "use 64 lower-case hexadecimal digits", 2
            )
        if self.group is not None:
            check_group(self.group)
        check_tags(self.tags)


def allow_devices(ctx: Context, entries: Sequence[AllowedEntry], *, actor: str = OPERATOR) -> int:
    """Add lines, or replace those of the same devices; returns how many the list did not have like this."""
    for entry in entries:
        entry.check()
    _require_batches(ctx, entries)
    changed = 0
    for start in range(0, len(entries), _AT_ONCE):
        with ctx.transaction(actor, "allow", "allow-list") as tx:
            changed += sum(_put(tx, entry) for entry in entries[start : start + _AT_ONCE])
    return changed


def disallow_devices(ctx: Context, device_ids: Sequence[str], *, actor: str = OPERATOR) -> int:
    """Remove lines; devices that have enrolled stay what they are. Returns how many there were."""
    removed = 0
    for start in range(0, len(device_ids), _AT_ONCE):
        with ctx.transaction(actor, "disallow", "allow-list") as tx:
            removed += sum(_remove(tx, each) for each in device_ids[start : start + _AT_ONCE])
    return removed


def without_line(ctx: Context, device_ids: Sequence[str]) -> list[str]:
    """Those of the devices that are not on the list."""
    with reading(ctx.sessions) as session:
        return [each for each in device_ids if session.get(AllowedDevice, each) is None]


def allowed_devices(ctx: Context) -> Iterator[AllowedEntry]:
    """The whole list by device id."""
    with reading(ctx.sessions) as session:
        query = select(AllowedDevice).order_by(AllowedDevice.device_id).execution_options(yield_per=1000)
        for row in session.scalars(query):
            yield AllowedEntry(**{name: getattr(row, name) for name in AllowedEntry.__dataclass_fields__})


def _require_batches(ctx: Context, entries: Sequence[AllowedEntry]) -> None:
    with reading(ctx.sessions) as session:
        known = set(session.scalars(select(Batch.name)))
    for entry in entries:
        if entry.batch is not None and entry.batch not in known:
            raise FleetError(
                f"{entry.device_id}: no batch {entry.batch}", "`fleetpki batch list` shows them", exit_code=2
            )


def _put(tx: Transaction, entry: AllowedEntry) -> bool:
    fields = asdict(entry)
    line = tx.session.get(AllowedDevice, entry.device_id)
    if line is not None and all(getattr(line, name) == value for name, value in fields.items()):
        return False
    if line is None:
        tx.session.add(AllowedDevice(**fields, added_at=tx.now))
    else:
        for name, value in fields.items():
            setattr(line, name, value)
    del fields["device_id"]
    tx.audit("device.allowed", entry.device_id, **{name: value for name, value in fields.items() if value})
    return True


def _remove(tx: Transaction, device_id: str) -> bool:
    line = tx.session.get(AllowedDevice, device_id)
    if line is None:
        return False
    tx.session.delete(line)
    tx.audit("device.disallowed", device_id)
    return True
