# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A certificate is on record before it is signed; a crash leaves a record, never an unknown certificate."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from fleetpki.errors import Code
from fleetpki.lifecycle import (
    KeyRequest,
    collect_unactivated,
    issue_for,
    push_rotation,
    revoke_device,
    start_rotation,
)
from fleetpki.pki.issuer import Issuer, Plan
from fleetpki.registry.database import engine_of
from fleetpki.registry.models import CertificateState
from tests.cloud.doubles import Clock, FakeDevice, Fleet, new_key, refused

Request = Callable[[], str]
"""Asks for a certificate, always with the same key; returns the PEM that is released."""


def enrolment(fleet: Fleet, device_id: str) -> Request:
    device = FakeDevice(fleet, device_id)
    return lambda: device.enroll().certificate_pem


def rotation(fleet: Fleet, device_id: str) -> Request:
    device, key = fleet.device(device_id), new_key()
    rotation_id = device.is_asked_to_rotate()
    return lambda: device.requests(rotation_id, key).certificate_pem


def renewal(fleet: Fleet, device_id: str) -> Request:
    device, key = fleet.device(device_id), new_key()
    return lambda: device.requests("made-here", key, reason="expiring").certificate_pem


def request_by_hand(fleet: Fleet, device_id: str) -> Request:
    csr_pem = fleet.device(device_id).csr(new_key())
    return lambda: issue_for(fleet.ctx, device_id, csr_pem).signed_pem


class Crash(BaseException):
    """The process ends here."""


@contextmanager
def interfering(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, step: Callable[[], None]
) -> Iterator[list[str]]:
    """Call ``step`` around every commit and every signature; yields the serial numbers that are signed."""
    signed: list[str] = []
    sign = Issuer.sign

    def observed_sign(issuer: Issuer, plan: Plan) -> x509.Certificate:
        step()
        certificate = sign(issuer, plan)
        signed.append(f"{certificate.serial_number:x}")
        step()
        return certificate

    dialect = engine_of(fleet.ctx.sessions).dialect
    commit = dialect.do_commit

    def observed_commit(connection: Any) -> None:
        step()
        commit(connection)
        step()

    with monkeypatch.context() as patch:
        patch.setattr(Issuer, "sign", observed_sign)
        patch.setattr(dialect, "do_commit", observed_commit)
        yield signed


def crash_after(steps: int) -> Callable[[], None]:
    countdown = itertools.count(steps, -1)

    def step() -> None:
        if next(countdown) == 0:
            raise Crash

    return step


@pytest.mark.parametrize("prepare", [enrolment, rotation, renewal, request_by_hand])
def test_after_a_crash_at_any_point_the_repeated_request_goes_on(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Fleet, str], Request]
) -> None:
    for steps in itertools.count():
        device_id = f"sensor-{steps}"
        request = prepare(fleet, device_id)
        crashed = False
        with interfering(fleet, monkeypatch, crash_after(steps)) as signed:
            try:
                request()
            except Crash:
                crashed = True
        recorded = {certificate.serial for certificate in fleet.certificates(device_id)}
        assert recorded.issuperset(signed)
        released = request()
        assert request() == released
        [pending] = [
            certificate
            for certificate in fleet.certificates(device_id)
            if certificate.state in (CertificateState.RECORDED, CertificateState.ISSUED)
        ]
        assert pending.pem == released
        fleet.audited(device_id)
        if not crashed:
            break
    assert steps == 6  # two commits and a signature, before and after each


def test_nothing_is_released_that_was_revoked_while_it_was_signed(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = rotation(fleet, "sensor-1")
    events = itertools.count()

    def revoke_before_signing() -> None:
        if next(events) == 2:  # the record is committed
            revoke_device(fleet.ctx, "sensor-1", "stolen")

    with interfering(fleet, monkeypatch, revoke_before_signing) as signed:
        assert refused(request) == Code.STALE
    assert len(signed) == 1
    states = {certificate.state for certificate in fleet.certificates("sensor-1")}
    assert states == {CertificateState.REVOKED}


def test_a_push_that_crashed_is_no_obstacle_for_ever(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    device = fleet.device("sensor-1")
    with interfering(fleet, monkeypatch, crash_after(2)), pytest.raises(Crash):
        push_rotation(fleet.ctx, device.device_id, key=KeyRequest.EC_P256)
    assert refused(device.is_asked_to_rotate) == Code.BUSY
    clock.advance(fleet.ctx.policy.activation_window + timedelta(seconds=1))
    assert collect_unactivated(fleet.ctx) == 1
    device.rotates(device.is_asked_to_rotate(), new_key())


def test_an_interrupted_request_by_hand_gives_way_to_a_rotation(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_by_hand(fleet, "sensor-1")
    with interfering(fleet, monkeypatch, crash_after(2)), pytest.raises(Crash):
        request()
    start_rotation(fleet.ctx, "sensor-1", key=KeyRequest.EC_P256)
    assert refused(request) == Code.BUSY


def test_an_enrolled_certificate_is_not_replaced_while_nothing_can_be_signed(fleet: Fleet) -> None:
    device = FakeDevice(fleet, "sensor-1")
    device.enroll()
    other_key = new_key()
    with fleet.signing_key_away():
        assert refused(lambda: device.enroll("request-2", other_key)) == Code.BUSY
    assert fleet.state(device.certificate_id) == CertificateState.ISSUED
    device.enroll("request-2", other_key)


def test_a_candidate_is_not_replaced_while_nothing_can_be_signed(fleet: Fleet) -> None:
    device = fleet.device("sensor-1")
    rotation_id, other_key = device.is_asked_to_rotate(), new_key()
    candidate = device.requests(rotation_id, new_key()).certificate_id
    with fleet.signing_key_away():
        assert refused(lambda: device.requests(rotation_id, other_key)) == Code.BUSY
    assert fleet.state(candidate) == CertificateState.ISSUED
    assert fleet.audited("sensor-1")[-1] == "csr.refused"
    device.requests(rotation_id, other_key)
