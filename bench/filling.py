# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Fills a registry with devices that never lived, fast."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import insert, select

from fleetpki.fleet import Fleet
from fleetpki.lifecycle.context import OPERATOR
from fleetpki.lifecycle.renewal import renew_at
from fleetpki.registry import audit
from fleetpki.registry.audit import Entry
from fleetpki.registry.database import engine_of, reading
from fleetpki.registry.models import (
    Alert,
    AllowedDevice,
    Authority,
    AuthorityKind,
    AuthorityState,
    Batch,
    Campaign,
    CampaignState,
    Certificate,
    CertificateState,
    Claim,
    ClaimState,
    Device,
    DeviceState,
    DeviceTag,
    Initiator,
    Role,
    Rotation,
    RotationMode,
    RotationState,
)

SITES = 200
VALIDITY = timedelta(days=365)
CAMPAIGN = "campaign-1"
FORMER_ISSUER = "f" * 64
_AT_ONCE = 20_000
_LOTS = (2_654_435_761, 2_246_822_519, 3_266_489_917, 668_265_263)
_PEM = "-----BEGIN CERTIFICATE-----\n" + "MII" * 300 + "\n-----END CERTIFICATE-----\n"


def device_id(number: int) -> str:
    """The id of a device by its number."""
    return f"sensor-{number:07}"


def certificate_id(number: int) -> str:
    """The id of its certificate."""
    return hashlib.sha256(device_id(number).encode()).hexdigest()


def is_in_service(number: int) -> bool:
    """Whether the device is neither suspended nor revoked."""
    return _Filled(number, datetime.now(UTC)).state == DeviceState.ACTIVE


def fill(fleet: Fleet, count: int, state: CertificateState = CertificateState.ACTIVE) -> None:
    """Add devices, each with one certificate of the issuing authority; their ages are spread evenly.

    As in life some values are common and some rare: half of the devices are in one group and ten in another,
    one in a thousand is suspended and two in a hundred are revoked. Who is suspended does not renew, so their
    certificates are the next to end. The second batch has nobody of the large group.
    """
    with reading(fleet.sessions) as session:
        kind = Authority.kind == AuthorityKind.ISSUING
        issuer_id = session.scalars(select(Authority.authority_id).where(kind)).one()
    now = datetime.now(UTC).replace(microsecond=0)
    with engine_of(fleet.sessions).begin() as connection:
        connection.execute(insert(Batch), [_batch(name, now) for name in ("batch-2", "batch-few")])
    for start in range(0, count, _AT_ONCE):
        filled = [_Filled(number, now, state) for number in range(start, min(start + _AT_ONCE, count))]
        with engine_of(fleet.sessions).begin() as connection:
            connection.execute(insert(Device), [each.device() for each in filled])
            connection.execute(insert(Certificate), [each.certificate(issuer_id) for each in filled])


def add_history(fleet: Fleet, count: int) -> None:
    """Give the devices tags, entries in the audit chain and on the allow-list, and some of them a past.

    That is a certificate of an authority that was there before, rotations, alerts and claims.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    with engine_of(fleet.sessions).begin() as connection:
        issuing = select(Authority.__table__).where(Authority.kind == AuthorityKind.ISSUING)
        former = {"authority_id": FORMER_ISSUER, "name": "former", "state": AuthorityState.RETIRING}
        values = {**connection.execute(issuing).mappings().one(), **former}
        connection.execute(insert(Authority), [values])
        connection.execute(insert(Campaign), [_campaign(now)])
    for start in range(0, count, _AT_ONCE):
        filled = [_Filled(number, now) for number in range(start, min(start + _AT_ONCE, count))]
        with engine_of(fleet.sessions).begin() as connection:
            for table, rows in (
                (DeviceTag, (tag for each in filled for tag in each.tag_rows())),
                (AllowedDevice, (each.allowed() for each in filled)),
                (Certificate, (each.former_certificate() for each in filled[::4])),
                (Rotation, (each.rotation() for each in filled[::5])),
                (Alert, (each.alert() for each in filled[::50])),
                (Claim, (each.claim() for each in filled[::1000])),
            ):
                connection.execute(insert(table), list(rows))
            audit.append(connection, [each.entry() for each in filled])


@dataclass(frozen=True)
class _Filled:
    """A device by its number, and what there is of it."""

    number: int
    now: datetime
    issued_as: CertificateState = CertificateState.ACTIVE

    @cached_property
    def name(self) -> str:
        return device_id(self.number)

    @cached_property
    def state(self) -> DeviceState:
        lot = self._lot(0)
        if lot < 0.001:
            return DeviceState.SUSPENDED
        return DeviceState.REVOKED if lot < 0.021 else DeviceState.ACTIVE

    @cached_property
    def group(self) -> str:
        if self.number % 100_000 == 77:
            return "group-few"
        return "group-most" if self._lot(1) < 0.5 else f"group-{self.number % 50}"

    @cached_property
    def batch(self) -> str:
        if self.number % 100_000 == 33:
            return "batch-few"
        return "batch-2" if self.group != "group-most" and self._lot(2) < 0.5 else "bootstrap-1"

    @cached_property
    def tags(self) -> dict[str, str]:
        model = "few" if self.number % 100_000 == 55 else "most" if self._lot(3) < 0.9 else "other"
        return {"site": f"site-{self.number % SITES}", "model": model}

    @cached_property
    def not_before(self) -> datetime:
        age = 0.97 if self.state == DeviceState.SUSPENDED else (self.number % 364) / 364
        return self.now - VALIDITY * age

    @cached_property
    def certificate_state(self) -> CertificateState:
        is_revoked = self.state == DeviceState.REVOKED
        return CertificateState.REVOKED if is_revoked else self.issued_as

    def _lot(self, which: int) -> float:
        """Evenly spread, and independent of the other lots."""
        return self.number * _LOTS[which] % 2**32 / 2**32

    def device(self) -> dict[str, Any]:
        is_at_work = self.certificate_state == CertificateState.ACTIVE
        return {
            "device_id": self.name,
            "state": self.state,
            "created_at": self.now - VALIDITY,
            "last_seen_at": self.now,
            "generation": 1,
            "group": self.group,
            "batch": self.batch,
            "tags": self.tags,
            "version": 1,
            "trust_version": 0,
            "not_after": self.not_before + VALIDITY if is_at_work else None,
        }

    def certificate(self, issuer_id: str) -> dict[str, Any]:
        state, digest = self.certificate_state, certificate_id(self.number)
        is_active, is_revoked = state == CertificateState.ACTIVE, state == CertificateState.REVOKED
        return {
            **self._certified(digest, self.not_before, state),
            "issuer_id": issuer_id,
            "look_at": renew_at(self.name, self.not_before, self.not_before + VALIDITY)
            if is_active
            else None,
            "revoked_at": self.now if is_revoked else None,
            "revocation_reason": "unspecified" if is_revoked else None,
        }

    def former_certificate(self) -> dict[str, Any]:
        digest = hashlib.sha256(certificate_id(self.number).encode()).hexdigest()
        made_at = self.not_before - VALIDITY * 0.85
        return {**self._certified(digest, made_at, CertificateState.SUPERSEDED), "issuer_id": FORMER_ISSUER}

    def _certified(self, digest: str, not_before: datetime, state: CertificateState) -> dict[str, Any]:
        return {
            "certificate_id": digest,
            "role": Role.DEVICE,
            "device_id": self.name,
            "common_name": self.name,
            "serial": digest[:38].replace("0", "1"),
            "key_digest": digest,
            "not_before": not_before,
            "not_after": not_before + VALIDITY,
            "state": state,
            "crl_partition": 0,
            "request_id": "r",
            "pem": _PEM,
            "recorded_at": not_before,
            "issued_at": not_before,
            "activated_at": not_before,
        }

    def tag_rows(self) -> Iterator[dict[str, Any]]:
        for key, value in self.tags.items():
            yield {"key": key, "value": value, "device_id": self.name}

    def allowed(self) -> dict[str, Any]:
        return {"device_id": self.name, "tags": {}, "added_at": self.now}

    def rotation(self) -> dict[str, Any]:
        state = RotationState.COMMITTED
        if self.number % 500 == 0:
            state = RotationState.ROLLED_BACK if self.number % 5000 == 0 else RotationState.REQUESTED
        return {
            "device_id": self.name,
            "rotation_id": f"rotation-{self.number}",
            "mode": RotationMode.CSR,
            "initiator": Initiator.MONITOR,
            "key": "ec-p256",
            "state": state,
            "old_key": 1 + self.number,
            "campaign_id": CAMPAIGN if self._lot(0) < 0.5 else None,
            "created_at": self.now,
            "updated_at": self.now,
            "repeats": 0,
        }

    def alert(self) -> dict[str, Any]:
        return {
            "kind": "expiring",
            "subject": self.name,
            "severity": "warning",
            "message": "its certificate expires",
            "raised_at": self.now,
            "cleared_at": None if self.number % 10_000 == 0 else self.now,
        }

    def claim(self) -> dict[str, Any]:
        state = ClaimState.WAITING if self.number % 100_000 == 0 else ClaimState.DENIED
        return {"device_id": self.name, "state": state, "sender": FORMER_ISSUER, "claimed_at": self.now}

    def entry(self) -> Entry:
        actor = OPERATOR if self.number % 5000 == 0 else "monitor"
        return Entry(self.now, actor, "device.looked_at", self.name, {})


def _batch(name: str, now: datetime) -> dict[str, Any]:
    return {
        "name": name,
        "enabled": True,
        "open": True,
        "proof": False,
        "cloud_keys": False,
        "created_at": now,
    }


def _campaign(now: datetime) -> dict[str, Any]:
    return {
        "campaign_id": CAMPAIGN,
        "state": CampaignState.RUNNING,
        "selector": {},
        "key": "ec-p256",
        "rate_per_minute": 1000,
        "failure_limit_percent": 10,
        "created_at": now,
        "created_by": OPERATOR,
        "updated_at": now,
    }
