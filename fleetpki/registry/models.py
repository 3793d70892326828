# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The tables."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Enum, ForeignKey, Index, String, TypeDecorator, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Role(StrEnum):
    """What the holder of a certificate may be on the broker."""

    DEVICE = "device"
    BOOTSTRAP = "bootstrap"
    SERVICE = "service"
    BROKER = "broker"


class DeviceState(StrEnum):
    """Whether a device may take part."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


class CertificateState(StrEnum):
    """The life of a certificate; it is recorded before it is signed."""

    RECORDED = "recorded"
    ISSUED = "issued"
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"


class RotationState(StrEnum):
    """The life of a rotation."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    ISSUED = "issued"
    STAGED = "staged"
    COMMITTING = "committing"
    COMMITTED = "committed"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"
    ABANDONED = "abandoned"


PENDING_CERTIFICATE = (CertificateState.RECORDED, CertificateState.ISSUED)
LIVE_CERTIFICATE = (CertificateState.ISSUED, CertificateState.ACTIVE)
OPEN_ROTATION = (
    RotationState.REQUESTED,
    RotationState.ACCEPTED,
    RotationState.ISSUED,
    RotationState.STAGED,
    RotationState.COMMITTING,
)


class RotationMode(StrEnum):
    """Who makes the new key: the device (csr) or somebody else (push)."""

    CSR = "csr"
    PUSH = "push"


class Initiator(StrEnum):
    """Who asked for a rotation."""

    OPERATOR = "operator"
    DEVICE = "device"


class OutboxKind(StrEnum):
    """What the dispatcher is to do; the first three are messages to the device of that name."""

    ROTATE = "rotate"
    ISSUED = "issued"
    COMMIT = "commit"
    DISCONNECT = "disconnect"


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC, also on databases that forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Normalise to UTC."""
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        return value if value is None or value.tzinfo is not None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """What all tables share."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's declaration
        datetime: UtcDateTime,
        dict[str, Any]: JSON(none_as_null=True),
        StrEnum: Enum(StrEnum, native_enum=False, length=16, values_callable=lambda kind: list(kind)),
    }


class Device(Base):
    """A device that has enrolled."""

    __tablename__ = "devices"

    device_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[DeviceState]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]
    generation: Mapped[int | None]
    hardware: Mapped[dict[str, Any] | None]
    reenroll_until: Mapped[datetime | None]


class Certificate(Base):
    """A certificate of ours; ``certificate_id`` and ``pem`` are known once it is signed."""

    __tablename__ = "certificates"

    id: Mapped[int] = mapped_column(primary_key=True)
    certificate_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    role: Mapped[Role]
    device_id: Mapped[str | None] = mapped_column(ForeignKey("devices.device_id"), index=True)
    common_name: Mapped[str] = mapped_column(String(64))
    serial: Mapped[str] = mapped_column(String(40), unique=True)
    key_digest: Mapped[str] = mapped_column(String(64), index=True)
    not_before: Mapped[datetime]
    not_after: Mapped[datetime]
    state: Mapped[CertificateState]
    request_id: Mapped[str | None] = mapped_column(String(64))
    pem: Mapped[str | None]
    recorded_at: Mapped[datetime]
    issued_at: Mapped[datetime | None]
    activated_at: Mapped[datetime | None]
    superseded_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revocation_reason: Mapped[str | None]

    @property
    def signed_pem(self) -> str:
        """The PEM of a certificate that is signed."""
        if self.pem is None:
            raise ValueError(f"certificate {self.serial} is recorded, not signed")
        return self.pem

    @property
    def signed_id(self) -> str:
        """The certificate id of a certificate that is signed."""
        if self.certificate_id is None:
            raise ValueError(f"certificate {self.serial} is recorded, not signed")
        return self.certificate_id


class Rotation(Base):
    """One replacement of a device's certificate. Ids made by devices are unique per device only."""

    __tablename__ = "rotations"

    device_id: Mapped[str] = mapped_column(ForeignKey("devices.device_id"), primary_key=True)
    rotation_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    mode: Mapped[RotationMode]
    initiator: Mapped[Initiator]
    key: Mapped[str] = mapped_column(String(16))
    state: Mapped[RotationState]
    old_key: Mapped[int] = mapped_column(ForeignKey("certificates.id"))
    new_key: Mapped[int | None] = mapped_column(ForeignKey("certificates.id"))
    deadline: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    code: Mapped[str | None]
    message: Mapped[str | None]

    old: Mapped[Certificate] = relationship(foreign_keys=[old_key], lazy="joined")
    new: Mapped[Certificate | None] = relationship(foreign_keys=[new_key], lazy="joined")


class OutboxMessage(Base):
    """Something to be sent, written in the transaction that made it necessary. Never holds a secret."""

    __tablename__ = "outbox"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - an id never names two messages

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[OutboxKind]
    device_id: Mapped[str | None] = mapped_column(String(64), index=True)
    certificate_id: Mapped[str | None] = mapped_column(String(64))
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class AuditEntry(Base):
    """One link of the audit chain."""

    __tablename__ = "audit"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[dict[str, Any]]
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


def _at_most_one_per_device(
    name: str, model: type[Certificate | Rotation], states: tuple[StrEnum, ...]
) -> None:
    condition = text(f"state IN ({', '.join(repr(state.value) for state in states)})")
    Index(name, model.device_id, unique=True, sqlite_where=condition, postgresql_where=condition)


_at_most_one_per_device("one_active_certificate", Certificate, (CertificateState.ACTIVE,))
_at_most_one_per_device("one_pending_certificate", Certificate, PENDING_CERTIFICATE)
_at_most_one_per_device("one_open_rotation", Rotation, OPEN_ROTATION)
