# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The rules behind EST: a certificate becomes the device's own by being used, and is renewed over itself."""

import pytest

from fleetpki.errors import Code, Unavailable
from fleetpki.lifecycle import (
    Issued,
    KeyRequest,
    prove_possession,
    reenroll,
    resume_device,
    suspend_device,
    verdict,
)
from fleetpki.registry.models import CertificateState, RotationState
from tests.cloud.doubles import Clock, FakeDevice, Fleet, new_key, refused


def enrolled_by_est(fleet: Fleet) -> FakeDevice:
    device = FakeDevice(fleet, "sensor-1")
    device.enroll(request_id="est:1")
    return device


def renewed(device: FakeDevice, request_id: str = "est:2") -> str:
    issued = reenroll(
        device.fleet.ctx,
        sender=device.certificate_id,
        request_id=request_id,
        csr_pem=device.csr(new_key()),
    )
    return issued.certificate_id


def test_the_first_connection_makes_an_enrolled_certificate_the_device_s_own(fleet: Fleet) -> None:
    device = enrolled_by_est(fleet)
    assert verdict(fleet.ctx, certificate_id=device.certificate_id, client_id="sensor-1").unproven
    prove_possession(fleet.ctx, device.certificate_id)
    assert fleet.state(device.certificate_id) == CertificateState.ACTIVE
    assert not verdict(fleet.ctx, certificate_id=device.certificate_id, client_id="sensor-1").unproven


def test_a_connection_says_nothing_about_a_certificate_obtained_by_mqtt(fleet: Fleet) -> None:
    device = FakeDevice(fleet, "sensor-1")
    device.enroll()
    prove_possession(fleet.ctx, device.certificate_id)
    assert fleet.state(device.certificate_id) == CertificateState.ISSUED


def test_both_certificates_work_until_the_new_one_is_used(fleet: Fleet) -> None:
    device = enrolled_by_est(fleet)
    new = renewed(device)
    assert fleet.admits(device.certificate_id, "sensor-1")
    assert fleet.admits(new, "sensor-1")
    prove_possession(fleet.ctx, new)
    assert fleet.state(new) == CertificateState.ACTIVE
    assert not fleet.admits(device.certificate_id, "sensor-1")
    assert fleet.rotation("sensor-1", "est:2").state == RotationState.COMMITTED


def test_possession_is_proven_once(fleet: Fleet) -> None:
    device = enrolled_by_est(fleet)
    prove_possession(fleet.ctx, device.certificate_id)
    entries = fleet.audited("sensor-1")
    prove_possession(fleet.ctx, device.certificate_id)
    assert fleet.audited("sensor-1") == entries


def test_who_is_kept_out_proves_nothing_until_it_is_resumed(fleet: Fleet) -> None:
    device = fleet.device()
    new = renewed(device)
    suspend_device(fleet.ctx, "sensor-1", "odd")
    entries = fleet.audited("sensor-1")
    prove_possession(fleet.ctx, new)
    assert fleet.state(new) == CertificateState.ISSUED
    assert device.rotation_state("est:2") == RotationState.ISSUED
    assert fleet.audited("sensor-1") == entries
    resume_device(fleet.ctx, "sensor-1")
    prove_possession(fleet.ctx, new)
    assert device.rotation_state("est:2") == RotationState.COMMITTED


def test_an_expired_certificate_proves_nothing(fleet: Fleet, clock: Clock) -> None:
    device = enrolled_by_est(fleet)
    clock.now = fleet.certificate(device.certificate_id).not_after
    prove_possession(fleet.ctx, device.certificate_id)
    assert fleet.state(device.certificate_id) == CertificateState.ISSUED


def test_a_renewal_meets_the_rotation_that_was_asked_for_by_mqtt(fleet: Fleet) -> None:
    device = fleet.device()
    asked = device.is_asked_to_rotate(KeyRequest.EC_P256)
    new = renewed(device)
    prove_possession(fleet.ctx, new)
    assert device.rotation_state(asked) == RotationState.COMMITTED


def test_a_rotation_to_another_key_does_not_lock_out_a_device_that_never_hears_of_it(fleet: Fleet) -> None:
    device = fleet.device()
    asked = device.is_asked_to_rotate(KeyRequest.RSA_2048)
    renewed(device)
    assert device.rotation_state(asked) == RotationState.ABANDONED
    assert device.rotation_state("est:2") == RotationState.ISSUED


def test_a_renewal_that_cannot_be_signed_yet_ends_no_rotation(fleet: Fleet) -> None:
    device = fleet.device()
    asked, csr_pem = device.is_asked_to_rotate(KeyRequest.EC_P256), device.csr(new_key())

    def renew() -> Issued:
        return reenroll(fleet.ctx, sender=device.certificate_id, request_id="est:2", csr_pem=csr_pem)

    with fleet.signing_key_away(), pytest.raises(Unavailable):
        renew()
    assert device.rotation_state(asked) == RotationState.REQUESTED
    prove_possession(fleet.ctx, renew().certificate_id)
    assert device.rotation_state(asked) == RotationState.COMMITTED


def test_a_renewal_asked_for_twice_keeps_the_last(fleet: Fleet) -> None:
    device = fleet.device()
    first, second = renewed(device, "est:2"), renewed(device, "est:3")
    assert fleet.state(first) == CertificateState.REVOKED
    prove_possession(fleet.ctx, first)
    assert fleet.state(first) == CertificateState.REVOKED
    prove_possession(fleet.ctx, second)
    assert fleet.state(second) == CertificateState.ACTIVE


def test_only_a_device_renews(fleet: Fleet) -> None:
    device = fleet.device()
    for sender in (fleet.bootstrap, "0" * 64):
        code = refused(
            lambda sender=sender: reenroll(  # type: ignore[misc]
                fleet.ctx, sender=sender, request_id="est:2", csr_pem=device.csr()
            )
        )
        assert code == Code.NOT_ALLOWED


def test_a_superseded_certificate_renews_nothing(fleet: Fleet) -> None:
    device = fleet.device()
    prove_possession(fleet.ctx, renewed(device))
    assert refused(lambda: renewed(device, "est:3")) == Code.STALE
