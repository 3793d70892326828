# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Many devices enrol at once: each is judged as if it had come alone."""

import asyncio
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from sqlalchemy.exc import IntegrityError

from fleetpki.desk import Desk
from fleetpki.errors import Code, Rejected
from fleetpki.lifecycle import (
    AllowedEntry,
    Application,
    Context,
    Enrolled,
    admission,
    allow_devices,
    change_batch,
    enroll,
    enroll_newcomers,
    first_enrollments,
    issuance,
)
from fleetpki.pki.keys import PrivateKey
from fleetpki.registry import audit
from fleetpki.registry.database import reading
from fleetpki.registry.models import Certificate, CertificateState
from tests.cloud.doubles import FakeDevice, Fleet, make_csr, new_key, refused

pytestmark = pytest.mark.both_databases

BATCH = "bootstrap-1"
LIFE = ["device.created", "certificate.recorded", "certificate.issued"]


def application(fleet: Fleet, device_id: str, key: PrivateKey | None = None) -> Application:
    csr_pem = make_csr(key or new_key(), device_id)
    return Application(device_id, fleet.bootstrap, f"of-{device_id}", csr_pem)


def outcomes(fleet: Fleet, *applications: Application) -> Sequence[object]:
    """What came of each: the device id of a certificate, the code of a refusal, or None."""
    return [
        each.code if isinstance(each, Rejected) else common_name(each) if isinstance(each, Enrolled) else None
        for each in enroll_newcomers(fleet.ctx, applications)
    ]


def certificate_of(enrolled: Enrolled) -> x509.Certificate:
    return x509.load_pem_x509_certificate(enrolled.certificate_pem.encode())


def common_name(enrolled: Enrolled) -> str:
    [name] = certificate_of(enrolled).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)


def test_all_get_their_certificates_in_one_go(fleet: Fleet) -> None:
    names = [f"sensor-{number}" for number in range(5)]
    assert outcomes(fleet, *(application(fleet, name) for name in names)) == names
    for name in names:
        assert [each.state for each in fleet.certificates(name)] == [CertificateState.ISSUED]
        assert fleet.audited(name) == LIFE


def test_one_refusal_is_one_devices(fleet: Fleet) -> None:
    change_batch(fleet.ctx, BATCH, {"open": False})
    allow_devices(fleet.ctx, [AllowedEntry("listed-1", BATCH, "pumps", {"site": "north"})])
    found = outcomes(fleet, application(fleet, "stranger-1"), application(fleet, "listed-1"))
    assert found == [Code.NOT_ALLOWED, "listed-1"]
    assert fleet.audited("stranger-1") == ["enroll.refused"]
    device = fleet.registered("listed-1")
    assert device is not None
    assert (device.group, device.tags) == ("pumps", {"site": "north"})
    assert fleet.registered("stranger-1") is None


def test_who_is_not_the_first_is_left_alone(fleet: Fleet) -> None:
    key = new_key()
    found = outcomes(
        fleet,
        application(fleet, "sensor-1", key),
        application(fleet, "sensor-1"),
        application(fleet, "sensor-2", key),
        application(fleet, "sensor-3"),
    )
    assert found == ["sensor-1", None, None, "sensor-3"]
    assert outcomes(fleet, application(fleet, "sensor-3"), application(fleet, "sensor-4", key)) == [
        None,
        None,
    ]
    assert fleet.registered("sensor-2") is None


@pytest.mark.parametrize(
    ("limit", "code"), [({"budget": 2}, Code.BUDGET_EXCEEDED), ({"rate_per_minute": 2}, Code.BUSY)]
)
def test_a_batch_that_counts_is_served_up_to_its_limit(
    fleet: Fleet, limit: dict[str, int], code: Code
) -> None:
    change_batch(fleet.ctx, BATCH, limit)
    names = ["sensor-1", "sensor-2", "sensor-3"]
    assert outcomes(fleet, *(application(fleet, name) for name in names)) == ["sensor-1", "sensor-2", None]
    assert outcomes(fleet, application(fleet, "sensor-3")) == [None]
    assert refused(FakeDevice(fleet, "sensor-3").enroll) == code


def test_when_another_process_was_faster_each_is_looked_at_alone(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collide(*_args: object, **_kwargs: object) -> None:
        raise IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed"))

    with monkeypatch.context() as patch:
        patch.setattr(first_enrollments, "_planned", collide)
        assert outcomes(fleet, application(fleet, "sensor-1"), application(fleet, "sensor-2")) == [None, None]
        assert fleet.registered("sensor-1") is None
        assert FakeDevice(fleet, "sensor-1").enroll().certificate_id
    assert fleet.registered("sensor-1") is not None


def test_who_trips_over_a_mistake_takes_nobody_along(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    require = admission.require_admissible

    def stumble(facts: admission.Facts) -> None:
        if facts.application.device_id == "sensor-1":
            raise ZeroDivisionError
        require(facts)

    monkeypatch.setattr(admission, "require_admissible", stumble)
    assert outcomes(fleet, application(fleet, "sensor-1"), application(fleet, "sensor-2")) == [None, None]
    assert FakeDevice(fleet, "sensor-2").enroll().certificate_id
    with pytest.raises(ZeroDivisionError):
        FakeDevice(fleet, "sensor-1").enroll()


def test_who_is_not_plainly_new_is_left_alone(fleet: Fleet) -> None:
    """A bad request, a bad name, a key to be made here: whatever that ends with, nobody else is held up."""
    names = ("sensor-1", "sensor-2", "-")
    requests = ("garbage", None, make_csr(new_key(), "sensor-3"))
    bad = [Application(name, fleet.bootstrap, "r", csr) for name, csr in zip(names, requests, strict=True)]
    assert outcomes(fleet, *bad, application(fleet, "sensor-4")) == [None, None, None, "sensor-4"]
    assert [refused(lambda each=each: enroll(fleet.ctx, each)) for each in bad] == [  # type: ignore[misc]
        Code.BAD_CSR,
        Code.NOT_ALLOWED,
        Code.BAD_MESSAGE,
    ]


async def test_in_a_crowd_everybody_gets_their_own(fleet: Fleet) -> None:
    keys = {f"sensor-{number}": new_key() for number in range(24)}
    desks = cycle((Desk(fleet.ctx), Desk(fleet.ctx)))
    strangers = [Application(f"x-{number}", "0" * 64, "r", "garbage") for number in range(8)]
    enrolled, refused_ones = await asyncio.gather(
        asyncio.gather(*(next(desks).enroll(application(fleet, *each)) for each in keys.items())),
        asyncio.gather(*(next(desks).enroll(each) for each in strangers), return_exceptions=True),
    )
    for (name, key), answer in zip(keys.items(), enrolled, strict=True):
        assert common_name(answer) == name
        assert (
            x509.load_pem_x509_certificate(answer.certificate_pem.encode()).public_key() == key.public_key()
        )
        assert fleet.audited(name) == LIFE
    assert all(isinstance(each, Rejected) for each in refused_ones)
    with reading(fleet.ctx.sessions) as session:
        audit.verify(session)


async def test_who_comes_twice_at_once_gets_one_certificate(fleet: Fleet) -> None:
    desk, another = Desk(fleet.ctx), Desk(fleet.ctx)
    same = application(fleet, "sensor-1")
    enrolled = await asyncio.gather(*(each.enroll(same) for each in (desk, desk, another, another)))
    assert len({each.certificate_id for each in enrolled}) == 1
    assert fleet.audited("sensor-1") == LIFE


def test_who_was_served_elsewhere_meanwhile_is_told_the_same(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = application(fleet, "sensor-1")
    elsewhere: list[Enrolled] = []
    sign = issuance.sign

    def slowly(ctx: Context, recorded: Certificate, *rest: Any) -> x509.Certificate:
        if recorded.device_id == "sensor-1" and not elsewhere:
            monkeypatch.undo()
            elsewhere.append(enroll(fleet.ctx, impatient))
        return sign(ctx, recorded, *rest)

    monkeypatch.setattr(issuance, "sign", slowly)
    first, other = enroll_newcomers(fleet.ctx, [impatient, application(fleet, "sensor-2")])
    assert isinstance(first, Enrolled)
    assert isinstance(other, Enrolled)
    assert [first.certificate_id] == [each.certificate_id for each in elsewhere]
    assert fleet.audited("sensor-1") == fleet.audited("sensor-2") == LIFE
