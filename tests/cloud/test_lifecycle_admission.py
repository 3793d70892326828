# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Who may become a device: each rule, its code, and that a refusal changes nothing."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization

from fleetpki.errors import Code, FleetError, Rejected, Unavailable
from fleetpki.lifecycle import (
    AllowedEntry,
    Applicant,
    Application,
    BatchPolicy,
    Enrolled,
    StatusState,
    allow_devices,
    allow_reenrollment,
    approve_claim,
    change_batch,
    create_batch,
    disallow_devices,
    resume_device,
    revoke_certificate,
    suspend_device,
)
from fleetpki.lifecycle.own_certificates import certify_bootstrap
from fleetpki.pki.factory_secret import device_secret, proof_mac
from tests.cloud import doubles
from tests.cloud.doubles import Clock, FakeDevice, Fleet, enroll_at_a_door, new_key, refused

pytestmark = pytest.mark.both_databases

BATCH = "bootstrap-1"
SECRET = bytes(range(32))


@pytest.fixture(params=["with others", "alone"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules are the same for whoever comes with others and for whoever is looked at alone."""
    if request.param == "alone":
        monkeypatch.setattr(doubles, "enroll_newcomers", lambda _ctx, those: [None for _ in those])


def attempt(
    fleet: Fleet, device_id: str = "sensor-1", *, proof: str | None = None, key: bool = True
) -> Enrolled:
    csr_pem = FakeDevice(fleet, device_id).csr() if key else None
    application = Application(device_id, fleet.bootstrap, "request-1", csr_pem, proof=proof)
    return enroll_at_a_door(fleet.ctx, application)


def test_the_batch_of_a_new_fleet_is_open(fleet: Fleet) -> None:
    attempt(fleet)
    device = fleet.registered("sensor-1")
    assert device is not None
    assert device.batch == BATCH


def test_a_disabled_batch_admits_nobody(fleet: Fleet) -> None:
    change_batch(fleet.ctx, BATCH, {"enabled": False})
    assert refused(lambda: attempt(fleet)) == Code.NOT_ALLOWED
    assert fleet.registered("sensor-1") is None
    assert fleet.audited("sensor-1") == ["enroll.refused"]


def test_a_budget_is_for_devices_not_for_attempts(fleet: Fleet) -> None:
    change_batch(fleet.ctx, BATCH, {"budget": 2})
    first = FakeDevice(fleet, "sensor-1")
    first.enroll()
    attempt(fleet, "sensor-2")
    assert refused(lambda: attempt(fleet, "sensor-3")) == Code.BUDGET_EXCEEDED
    first.enroll("again", key=new_key())
    change_batch(fleet.ctx, BATCH, {"budget": 3})
    attempt(fleet, "sensor-3")


def test_a_rate_says_when_to_come_back(fleet: Fleet, clock: Clock) -> None:
    change_batch(fleet.ctx, BATCH, {"rate_per_minute": 2})
    device = FakeDevice(fleet, "sensor-1")
    device.enroll()
    clock.advance(timedelta(seconds=20))
    attempt(fleet, "sensor-2")
    with pytest.raises(Rejected) as caught:
        attempt(fleet, "sensor-3")
    assert (caught.value.code, caught.value.retry_after_s) == (Code.BUSY, 40)
    device.enroll()  # the same request again costs nothing
    clock.advance(timedelta(seconds=40))
    attempt(fleet, "sensor-3")


@pytest.fixture
def stray(fleet: Fleet) -> FakeDevice:
    """Has lost its certificate, and comes with the bootstrap certificate of another batch than its own."""
    create_batch(fleet.ctx, "loose", BatchPolicy(open=True, budget=1))
    loose = certify_bootstrap(
        fleet.ctx, common_name="loose", public_key=new_key().public_key(), batch="loose"
    ).signed_id
    device = fleet.device("sensor-1")
    revoke_certificate(fleet.ctx, device.certificate_id, "leaked")
    return FakeDevice(fleet, "sensor-1", bootstrap=loose)


def test_a_batch_takes_over_no_device_of_another(fleet: Fleet, stray: FakeDevice) -> None:
    with pytest.raises(Rejected, match="claim 1 waits for its operator"):
        stray.enroll()
    approve_claim(fleet.ctx, 1)
    stray.enroll()


def test_the_allow_list_puts_a_device_into_another_batch(fleet: Fleet, stray: FakeDevice) -> None:
    allow_devices(fleet.ctx, [AllowedEntry("sensor-1")])
    assert refused(stray.enroll) == Code.NOT_ALLOWED
    allow_devices(fleet.ctx, [AllowedEntry("sensor-1", batch="loose")])
    stray.enroll()


def test_an_operator_lets_a_device_come_with_another_batch(fleet: Fleet, stray: FakeDevice) -> None:
    allow_reenrollment(fleet.ctx, "sensor-1", timedelta(hours=1))
    stray.enroll()


@pytest.mark.parametrize("policy", [{"budget": 0}, {"rate_per_minute": -1}])
def test_a_limit_that_makes_no_sense(fleet: Fleet, policy: dict[str, int]) -> None:
    with pytest.raises(FleetError, match="at least 1"):
        change_batch(fleet.ctx, BATCH, dict(policy))


@pytest.mark.parametrize("name", ["", "a/b", "..", "x" * 65, "-x"])
def test_a_batch_name_is_part_of_file_names(fleet: Fleet, name: str) -> None:
    with pytest.raises(FleetError, match="no name for a batch"):
        create_batch(fleet.ctx, name, BatchPolicy())


def test_a_closed_batch_admits_who_is_listed(fleet: Fleet) -> None:
    change_batch(fleet.ctx, BATCH, {"open": False})
    assert refused(lambda: attempt(fleet)) == Code.NOT_ALLOWED
    entry = AllowedEntry("sensor-1", batch=BATCH, group="cellar", tags={"site": "north"})
    assert allow_devices(fleet.ctx, [entry]) == 1
    assert allow_devices(fleet.ctx, [entry]) == 0
    attempt(fleet)
    device = fleet.registered("sensor-1")
    assert device is not None
    assert (device.group, device.tags) == ("cellar", {"site": "north"})
    assert disallow_devices(fleet.ctx, ["sensor-1", "sensor-2"]) == 1
    assert refused(lambda: attempt(fleet)) == Code.NOT_ALLOWED


def test_a_line_may_name_the_batch_or_the_bootstrap_certificate(fleet: Fleet) -> None:
    create_batch(fleet.ctx, "other", BatchPolicy())
    allow_devices(
        fleet.ctx,
        [
            AllowedEntry("sensor-1", batch="other"),
            AllowedEntry("sensor-2", certificate_id="0" * 64),
            AllowedEntry("sensor-3", batch=BATCH, certificate_id=fleet.bootstrap),
        ],
    )
    assert refused(lambda: attempt(fleet, "sensor-1")) == Code.NOT_ALLOWED
    assert refused(lambda: attempt(fleet, "sensor-2")) == Code.NOT_ALLOWED
    attempt(fleet, "sensor-3")


def proving(fleet: Fleet, *, knows_secret: bool = True) -> Fleet:
    change_batch(fleet.ctx, BATCH, {"proof": True})
    ctx = replace(fleet.ctx, batch_secret={BATCH: SECRET}.get if knows_secret else lambda _batch: None)
    return Fleet(ctx, fleet.hierarchy)


def test_a_device_proves_that_it_holds_its_factory_secret(fleet: Fleet) -> None:
    fleet = proving(fleet)
    csr = FakeDevice(fleet, "sensor-1").csr()
    mac = proof_mac(device_secret(SECRET, "sensor-1"), "sensor-1", csr)
    enroll_at_a_door(fleet.ctx, Application("sensor-1", fleet.bootstrap, "r", csr, proof=mac))


def test_a_proof_is_for_one_request_of_one_device(fleet: Fleet) -> None:
    fleet = proving(fleet)
    csr = FakeDevice(fleet, "sensor-1").csr()
    others_secret = proof_mac(device_secret(SECRET, "sensor-2"), "sensor-1", csr)
    others_request = proof_mac(device_secret(SECRET, "sensor-1"), "sensor-1", "another request")
    for proof in (None, "", "====", "ä", others_secret, others_request):
        assert refused(lambda proof=proof: attempt(fleet, proof=proof)) == Code.NOT_ALLOWED  # type: ignore[misc]
    assert fleet.registered("sensor-1") is None


def test_the_bytes_of_a_proof_are_those_of_the_protocol() -> None:
    """Computed by printf and openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f."""
    secret = device_secret(SECRET, "sensor-1")
    assert secret.hex() == "b6297908669795c3ab2894b1afe3705982d1ca5cbe04b0c98b3a37db2ac12d6a"
    assert proof_mac(secret, "sensor-1", "CSR\n") == "bOCA8DT65qjyz5Nh4Ny6RbkNKtRW4Z3BTawNXYZ6+OE="


def test_without_the_batch_secret_nobody_gets_in(fleet: Fleet) -> None:
    fleet = proving(fleet, knows_secret=False)
    assert refused(lambda: attempt(fleet, proof="AAAA")) == Code.NOT_ALLOWED


def test_a_suspended_device_does_not_enrol_again(fleet: Fleet) -> None:
    device = FakeDevice(fleet, "sensor-1")
    device.enroll()
    suspend_device(fleet.ctx, "sensor-1", "odd")
    assert refused(lambda: device.enroll("again", key=new_key())) == Code.SUSPENDED
    resume_device(fleet.ctx, "sensor-1")
    device.enroll("again")


def test_keys_are_made_here_only_where_the_batch_says_so(fleet: Fleet) -> None:
    assert refused(lambda: attempt(fleet, key=False)) == Code.NOT_ALLOWED
    assert fleet.registered("sensor-1") is None
    change_batch(fleet.ctx, BATCH, {"cloud_keys": True})
    first, second = attempt(fleet, key=False), attempt(fleet, key=False)
    assert first.private_key_pem is not None
    assert second.private_key_pem is not None
    assert first.private_key_pem != second.private_key_pem, "a key is delivered once"
    assert first.certificate_id != second.certificate_id
    assert not fleet.admits(first.certificate_id, "sensor-1")
    key = serialization.load_pem_private_key(second.private_key_pem.encode(), None)
    assert "PRIVATE" not in repr(second)
    device = FakeDevice(fleet, "sensor-1", key=key, certificate_id=second.certificate_id)  # type: ignore[arg-type]
    device.says(StatusState.CONNECTED)
    assert refused(lambda: attempt(fleet, key=False)) == Code.NOT_ALLOWED, "it is at work now"


def hooked(fleet: Fleet, answer: Rejected | None) -> tuple[Fleet, list[Applicant]]:
    asked: list[Applicant] = []

    def hook(applicant: Applicant) -> None:
        asked.append(applicant)
        if answer is not None:
            raise answer

    return Fleet(replace(fleet.ctx, hooks=(hook,)), fleet.hierarchy), asked


def test_an_operators_rule_may_veto(fleet: Fleet) -> None:
    fleet, asked = hooked(fleet, Rejected(Code.NOT_ALLOWED, "not paid", 60))
    with pytest.raises(Rejected, match="not paid") as caught:
        attempt(fleet)
    assert caught.value.retry_after_s == 60
    assert fleet.registered("sensor-1") is None
    assert fleet.audited("sensor-1") == ["enroll.refused"]
    assert [(each.device_id, each.batch, each.is_known) for each in asked] == [("sensor-1", BATCH, False)]


def test_an_operators_rule_is_asked_last(fleet: Fleet) -> None:
    change_batch(fleet.ctx, BATCH, {"open": False})
    fleet, asked = hooked(fleet, None)
    assert refused(lambda: attempt(fleet)) == Code.NOT_ALLOWED
    assert asked == []


def test_an_operators_rule_that_cannot_be_asked_admits_nobody(fleet: Fleet) -> None:
    fleet, _ = hooked(fleet, Unavailable("no answer"))
    assert refused(lambda: attempt(fleet)) == Code.BUSY
    assert fleet.registered("sensor-1") is None
