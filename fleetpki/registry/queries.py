# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The questions asked of the registry."""

from collections.abc import Sequence

from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import Session

from fleetpki.registry.models import (
    OPEN_ROTATION,
    PENDING_CERTIFICATE,
    Alert,
    Certificate,
    CertificateState,
    Claim,
    ClaimState,
    Device,
    Rotation,
)

# What every message of a device asks is built once: building a statement costs as much as running it.

_CERTIFICATE = select(Certificate).where(Certificate.certificate_id == bindparam("certificate_id"))
_OF_DEVICE = select(Certificate).where(Certificate.device_id == bindparam("device_id"))
_ACTIVE_CERTIFICATE = _OF_DEVICE.where(Certificate.state == CertificateState.ACTIVE)
_PENDING_CERTIFICATE = _OF_DEVICE.where(Certificate.state.in_(PENDING_CERTIFICATE))
_CURRENT_CERTIFICATES = _OF_DEVICE.where(
    Certificate.state.in_((*PENDING_CERTIFICATE, CertificateState.ACTIVE))
)
_CERTIFICATES_WITH_KEY = (
    select(Certificate).where(Certificate.key_digest == bindparam("key_digest")).order_by(Certificate.id)
)
_OPEN_ROTATION = select(Rotation).where(
    Rotation.device_id == bindparam("device_id"), Rotation.state.in_(OPEN_ROTATION)
)
_ROTATION_TO = select(Rotation).where(Rotation.new_key == bindparam("new_key"))


def devices(session: Session) -> Sequence[Device]:
    """All devices by id."""
    return session.scalars(select(Device).order_by(Device.device_id)).all()


def device(session: Session, device_id: str, *, lock: bool = False) -> Device | None:
    """The device, if known; locked against other writers on request."""
    return session.get(Device, device_id, with_for_update=lock)


def certificate(session: Session, certificate_id: str) -> Certificate | None:
    """The certificate with this id."""
    return session.scalar(_CERTIFICATE, {"certificate_id": certificate_id})


def certificates(session: Session, device_id: str) -> Sequence[Certificate]:
    """A device's certificates, oldest first."""
    query = select(Certificate).where(Certificate.device_id == device_id).order_by(Certificate.id)
    return session.scalars(query).all()


def active_certificate(session: Session, device_id: str) -> Certificate | None:
    """The certificate a device works with."""
    return session.scalar(_ACTIVE_CERTIFICATE, {"device_id": device_id})


def pending_certificate(session: Session, device_id: str) -> Certificate | None:
    """The certificate made for a device that it has not yet made its own."""
    return session.scalar(_PENDING_CERTIFICATE, {"device_id": device_id})


def current_certificates(session: Session, device_id: str) -> Sequence[Certificate]:
    """The certificate a device works with, and the one made for it."""
    return session.scalars(_CURRENT_CERTIFICATES, {"device_id": device_id}).all()


def certificates_with_key(session: Session, key_digest: str) -> Sequence[Certificate]:
    """Everything ever certified for this key, oldest first."""
    return session.scalars(_CERTIFICATES_WITH_KEY, {"key_digest": key_digest}).all()


def rotations(session: Session, device_id: str) -> Sequence[Rotation]:
    """A device's rotations, oldest first."""
    query = select(Rotation).where(Rotation.device_id == device_id)
    return session.scalars(query.order_by(Rotation.created_at, Rotation.rotation_id)).all()


def rotation(session: Session, device_id: str, rotation_id: str) -> Rotation | None:
    """A device's rotation by its id or, failing that, by another of its names."""
    by_id = session.get(Rotation, (device_id, rotation_id))
    if by_id is not None:
        return by_id
    by_certificate = Rotation.new.has(Certificate.certificate_id == rotation_id)
    by_another_name = or_(Rotation.asked_as == rotation_id, by_certificate)
    return session.scalar(select(Rotation).where(Rotation.device_id == device_id, by_another_name))


def open_rotation(session: Session, device_id: str) -> Rotation | None:
    """The rotation a device is in."""
    return session.scalar(_OPEN_ROTATION, {"device_id": device_id})


def rotation_to(session: Session, new: Certificate) -> Rotation | None:
    """The rotation that brings this certificate."""
    return session.scalar(_ROTATION_TO, {"new_key": new.id})


def open_alerts(session: Session, subjects: Sequence[str]) -> Sequence[Alert]:
    """What is wrong with these devices, campaigns or parts of the cloud."""
    query = select(Alert).where(Alert.subject.in_(subjects), Alert.cleared_at.is_(None))
    return session.scalars(query.order_by(Alert.id)).all()


def has_approved_claim(session: Session, device_id: str) -> bool:
    """Whether a human has let the holder of a key be this device, who has not come back yet."""
    query = select(Claim.id).where(
        Claim.device_id == device_id, Claim.state == ClaimState.APPROVED, Claim.key_digest.is_not(None)
    )
    return session.scalar(query.limit(1)) is not None
