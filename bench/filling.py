# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Fills a registry with devices that never lived, fast."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select

from fleetpki.fleet import Fleet
from fleetpki.lifecycle.context import OPERATOR
from fleetpki.lifecycle.renewal import renew_at
from fleetpki.registry import audit
from fleetpki.registry.audit import Entry
from fleetpki.registry.database import engine_of, reading
from fleetpki.registry.models import (
    AllowedDevice,
    Authority,
    AuthorityKind,
    Certificate,
    CertificateState,
    Device,
    DeviceState,
    DeviceTag,
    Initiator,
    Role,
    Rotation,
    RotationMode,
    RotationState,
)

GROUPS = 50
SITES = 200
VALIDITY = timedelta(days=365)
_AT_ONCE = 20_000
_PEM = "-----BEGIN CERTIFICATE-----\n" + "MII" * 300 + "\n-----END CERTIFICATE-----\n"


def device_id(number: int) -> str:
    """The id of a device by its number."""
    return f"sensor-{number:07}"


def certificate_id(number: int) -> str:
    """The id of its certificate."""
    return hashlib.sha256(device_id(number).encode()).hexdigest()


def fill(fleet: Fleet, count: int, state: CertificateState = CertificateState.ACTIVE) -> None:
    """Add devices, each with one certificate of the issuing authority; their ages are spread evenly."""
    with reading(fleet.sessions) as session:
        kind = Authority.kind == AuthorityKind.ISSUING
        issuer_id = session.scalars(select(Authority.authority_id).where(kind)).one()
    now = datetime.now(UTC).replace(microsecond=0)
    for start in range(0, count, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, count))
        with engine_of(fleet.sessions).begin() as connection:
            connection.execute(insert(Device), list(_devices(numbers, now)))
            connection.execute(
                insert(Certificate), list(_certificates(numbers, count, now, issuer_id, state))
            )


def add_history(fleet: Fleet, count: int) -> None:
    """Give the devices tags, entries in the audit chain and on the allow-list, and some of them rotations."""
    now = datetime.now(UTC).replace(microsecond=0)
    for start in range(0, count, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, count))
        with engine_of(fleet.sessions).begin() as connection:
            connection.execute(insert(DeviceTag), list(_tags(numbers)))
            connection.execute(insert(AllowedDevice), list(_allowed(numbers, now)))
            if rotations := list(_rotations(numbers, now)):
                connection.execute(insert(Rotation), rotations)
            entries = [
                Entry(now, _actor(number), "device.looked_at", device_id(number), {}) for number in numbers
            ]
            audit.append(connection, entries)


def _actor(number: int) -> str:
    return OPERATOR if number % 5000 == 0 else "monitor"


def _tags(numbers: range) -> Iterator[dict[str, Any]]:
    for number in numbers:
        yield {"key": "site", "value": f"site-{number % SITES}", "device_id": device_id(number)}


def _allowed(numbers: range, now: datetime) -> Iterator[dict[str, Any]]:
    for number in numbers:
        yield {"device_id": device_id(number), "tags": {}, "added_at": now}


def _rotations(numbers: range, now: datetime) -> Iterator[dict[str, Any]]:
    for number in numbers:
        if number % 5 == 0:
            yield {
                "device_id": device_id(number),
                "rotation_id": f"rotation-{number}",
                "mode": RotationMode.CSR,
                "initiator": Initiator.MONITOR,
                "key": "ec-p256",
                "state": RotationState.REQUESTED if number % 500 == 0 else RotationState.COMMITTED,
                "old_key": 1 + number,
                "created_at": now,
                "updated_at": now,
                "repeats": 0,
            }


def _devices(numbers: range, now: datetime) -> Iterator[dict[str, Any]]:
    for number in numbers:
        yield {
            "device_id": device_id(number),
            "state": DeviceState.SUSPENDED if number % 1000 == 0 else DeviceState.ACTIVE,
            "created_at": now - VALIDITY,
            "last_seen_at": now,
            "generation": 1,
            "group": f"group-{number % GROUPS}",
            "batch": "bootstrap-1",
            "tags": {"site": f"site-{number % SITES}"},
            "version": 1,
            "trust_version": 0,
        }


def _certificates(
    numbers: range, count: int, now: datetime, issuer_id: str, state: CertificateState
) -> Iterator[dict[str, Any]]:
    for number in numbers:
        not_before = now - VALIDITY * (number % 364) / 364
        name, digest = device_id(number), certificate_id(number)
        yield {
            "certificate_id": digest,
            "role": Role.DEVICE,
            "device_id": name,
            "common_name": name,
            "serial": digest[:38].replace("0", "1"),
            "key_digest": digest,
            "not_before": not_before,
            "not_after": not_before + VALIDITY,
            "state": state,
            "issuer_id": issuer_id,
            "crl_partition": 0,
            "request_id": "r",
            "pem": _PEM,
            "recorded_at": not_before,
            "issued_at": not_before,
            "activated_at": not_before,
            "look_at": renew_at(name, not_before, not_before + VALIDITY),
            "revoked_at": now if state == CertificateState.REVOKED else None,
            "revocation_reason": "unspecified" if state == CertificateState.REVOKED else None,
        }
