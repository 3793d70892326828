# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates, the authorities that sign them, and their revocation lists."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from fleetpki.registry.models.base import Base, at_most_one, in_state
from fleetpki.registry.models.operators import ApiRole


class Role(StrEnum):
    """What the holder of a certificate is; a person at the API is nobody on the broker."""

    DEVICE = "device"
    BOOTSTRAP = "bootstrap"
    SERVICE = "service"
    BROKER = "broker"
    PERSON = "person"


class CertificateState(StrEnum):
    """The life of a certificate; it is recorded before it is signed."""

    RECORDED = "recorded"
    ISSUED = "issued"
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"


class AuthorityKind(StrEnum):
    """What an authority is for."""

    ROOT = "root"
    ISSUING = "issuing"
    BOOTSTRAP = "bootstrap"
    OCSP = "ocsp"


class AuthorityState(StrEnum):
    """Whether an authority signs: on standby not yet, retiring only what revokes its certificates."""

    STANDBY = "standby"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"
    REVOKED = "revoked"


PENDING_CERTIFICATE = (CertificateState.RECORDED, CertificateState.ISSUED)
LIVE_CERTIFICATE = (CertificateState.ISSUED, CertificateState.ACTIVE)


class Authority(Base):
    """A certification authority of ours, or a delegated OCSP signer."""

    __tablename__ = "authorities"

    authority_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Its certificate id."""
    kind: Mapped[AuthorityKind]
    name: Mapped[str] = mapped_column(String(64), unique=True)
    state: Mapped[AuthorityState]
    pem: Mapped[str]
    chain_pem: Mapped[str]
    """Its certificate and those between it and its trust anchor: what its certificates are sent with."""
    key_uri: Mapped[str | None]
    """Where its key is: ``file:`` in the fleet directory or ``pkcs11:`` (RFC 7512); none when offline."""
    issuer_id: Mapped[str | None] = mapped_column(ForeignKey("authorities.authority_id"))
    crl_partitions: Mapped[int]
    not_before: Mapped[datetime]
    not_after: Mapped[datetime]
    created_at: Mapped[datetime]


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
    issuer_id: Mapped[str | None] = mapped_column(ForeignKey("authorities.authority_id"))
    crl_partition: Mapped[int | None]
    batch: Mapped[str | None] = mapped_column(ForeignKey("batches.name"))
    """Whose bootstrap certificate this is, or which one it was enrolled with."""
    request_id: Mapped[str | None] = mapped_column(String(64))
    api_role: Mapped[ApiRole | None]
    """What its holder, an operator, may do through the API."""
    pem: Mapped[str | None]
    recorded_at: Mapped[datetime]
    issued_at: Mapped[datetime | None]
    activated_at: Mapped[datetime | None]
    superseded_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revocation_reason: Mapped[str | None]
    look_at: Mapped[datetime | None]
    """When the monitor looks at it next; nothing has to be done about it before."""

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


class RevocationList(Base):
    """The newest CRL of each partition of an authority."""

    __tablename__ = "revocation_lists"

    authority_id: Mapped[str] = mapped_column(ForeignKey("authorities.authority_id"), primary_key=True)
    partition: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]
    this_update: Mapped[datetime]
    next_update: Mapped[datetime]
    der: Mapped[bytes] = mapped_column(LargeBinary)


IS_ACTIVE_CERTIFICATE = in_state([CertificateState.ACTIVE], "certificates")

at_most_one("one_active_certificate", Certificate.device_id, (CertificateState.ACTIVE,))
at_most_one("one_pending_certificate", Certificate.device_id, PENDING_CERTIFICATE)
Index("certificates_by_expiry", Certificate.state, Certificate.not_after, Certificate.id)
Index("certificates_by_state", Certificate.state, Certificate.id)
Index("certificates_by_issuer", Certificate.issuer_id, Certificate.state, Certificate.id)
_OF_OTHERS = text("role <> 'device'")
Index(
    "certificates_of_others",
    Certificate.role,
    Certificate.id,
    sqlite_where=_OF_OTHERS,
    postgresql_where=_OF_OTHERS,
)
_WATCHED = text("look_at IS NOT NULL")
Index("certificates_by_look", Certificate.look_at, sqlite_where=_WATCHED, postgresql_where=_WATCHED)
_WITHDRAWN = text("revoked_at IS NOT NULL")
Index(
    "certificates_by_revocation", Certificate.revoked_at, sqlite_where=_WITHDRAWN, postgresql_where=_WITHDRAWN
)
_OF_CLOUD = text("role IN ('broker', 'service')")
IS_OF_CLOUD = text(f"certificates.{_OF_CLOUD.text}")
"""Of broker, services and operator, said as the index says it: they are few among those of devices."""
Index("certificates_of_the_cloud", Certificate.role, sqlite_where=_OF_CLOUD, postgresql_where=_OF_CLOUD)
_OF_PEOPLE = text("api_role IS NOT NULL")
Index("certificates_of_people", Certificate.common_name, sqlite_where=_OF_PEOPLE, postgresql_where=_OF_PEOPLE)
Index("certificates_by_batch", Certificate.batch, Certificate.recorded_at)
