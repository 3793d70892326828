# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Many devices enrol at once: each is judged as if it had come alone."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import IntegrityError

from fleetpki.errors import Code, Rejected
from fleetpki.lifecycle import AllowedEntry, admission, allow_devices, change_batch, first_enrollments
from fleetpki.lifecycle.admission import Application
from fleetpki.lifecycle.first_enrollments import Candidate
from fleetpki.pki.identifiers import key_digest
from fleetpki.pki.keys import PrivateKey
from fleetpki.registry import audit
from fleetpki.registry.database import reading
from fleetpki.registry.models import Certificate, CertificateState
from tests.cloud.doubles import FakeDevice, Fleet, make_csr, new_key, refused

pytestmark = pytest.mark.both_databases

BATCH = "bootstrap-1"


def candidate(fleet: Fleet, device_id: str, key: PrivateKey | None = None) -> Candidate:
    key = key or new_key()
    application = Application(device_id, fleet.bootstrap, make_csr(key, device_id))
    return Candidate(application, key.public_key(), key_digest(key.public_key()), f"of-{device_id}")


def outcomes(fleet: Fleet, *candidates: Candidate) -> Sequence[object]:
    """What came of each: the device id of a certificate, the code of a refusal, or None."""
    found = first_enrollments.record(fleet.ctx, candidates)
    return [
        each.code if isinstance(each, Rejected) else each.device_id if isinstance(each, Certificate) else None
        for each in found
    ]


def test_all_are_recorded_in_one_go(fleet: Fleet) -> None:
    names = [f"sensor-{number}" for number in range(5)]
    assert outcomes(fleet, *(candidate(fleet, name) for name in names)) == names
    for name in names:
        assert [each.state for each in fleet.certificates(name)] == [CertificateState.RECORDED]
        assert fleet.audited(name) == ["device.created", "certificate.recorded"]


def test_one_refusal_is_one_devices(fleet: Fleet) -> None:
    change_batch(fleet.ctx, BATCH, {"open": False})
    allow_devices(fleet.ctx, [AllowedEntry("listed-1", BATCH, "pumps", {"site": "north"})])
    found = outcomes(fleet, candidate(fleet, "stranger-1"), candidate(fleet, "listed-1"))
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
        candidate(fleet, "sensor-1", key),
        candidate(fleet, "sensor-1"),
        candidate(fleet, "sensor-2", key),
        candidate(fleet, "sensor-3"),
    )
    assert found == ["sensor-1", None, None, "sensor-3"]
    assert outcomes(fleet, candidate(fleet, "sensor-3"), candidate(fleet, "sensor-4", key)) == [None, None]
    assert fleet.registered("sensor-2") is None


@pytest.mark.parametrize(
    ("limit", "code"), [({"budget": 2}, Code.BUDGET_EXCEEDED), ({"rate_per_minute": 2}, Code.BUSY)]
)
def test_a_batch_that_counts_is_served_up_to_its_limit(
    fleet: Fleet, limit: dict[str, int], code: Code
) -> None:
    change_batch(fleet.ctx, BATCH, limit)
    names = ["sensor-1", "sensor-2", "sensor-3"]
    assert outcomes(fleet, *(candidate(fleet, name) for name in names)) == ["sensor-1", "sensor-2", None]
    assert outcomes(fleet, candidate(fleet, "sensor-3")) == [None]
    assert refused(FakeDevice(fleet, "sensor-3").enroll) == code


def test_when_another_process_was_faster_each_is_looked_at_alone(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collide(*_args: object, **_kwargs: object) -> None:
        raise IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed"))

    with monkeypatch.context() as patch:
        patch.setattr(first_enrollments, "_record", collide)
        assert outcomes(fleet, candidate(fleet, "sensor-1"), candidate(fleet, "sensor-2")) == [None, None]
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
    assert outcomes(fleet, candidate(fleet, "sensor-1"), candidate(fleet, "sensor-2")) == [None, None]
    assert FakeDevice(fleet, "sensor-2").enroll().certificate_id
    with pytest.raises(ZeroDivisionError):
        FakeDevice(fleet, "sensor-1").enroll()


def test_a_crowd_gets_a_certificate_each(fleet: Fleet) -> None:
    devices = [FakeDevice(fleet, f"sensor-{number}") for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        enrolled = list(pool.map(lambda device: device.enroll(), devices))
    assert len({each.certificate_id for each in enrolled}) == len(devices)
    with reading(fleet.ctx.sessions) as session:
        audit.verify(session)
    for device in devices:
        assert fleet.audited(device.device_id) == [
            "device.created",
            "certificate.recorded",
            "certificate.issued",
        ]
