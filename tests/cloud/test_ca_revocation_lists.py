# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Revocation lists, judged by OpenSSL."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import update

from fleetpki.errors import Code, FleetError, Rejected
from fleetpki.lifecycle import Policy, authorities, revoke_certificate
from fleetpki.lifecycle.revocation_lists import REFRESH, VALIDITY, install_list, publish, publish_due
from fleetpki.pki.crl import ListPlan, sign_list
from fleetpki.pki.hierarchy import ISSUING_PARTITIONS, Hierarchy
from fleetpki.pki.issuer import Issuer
from fleetpki.pki.reasons import reason_code
from fleetpki.registry.database import reading
from fleetpki.registry.models import AuthorityState, Certificate, RevocationList
from tests.cloud.doubles import START, ReusedFile, ReusedRegistry
from tests.cloud.published import PublishingFleet, publishing_hierarchy, root_list

A_WHILE = timedelta(minutes=2)


@pytest.fixture(scope="module")
def hierarchy() -> Hierarchy:
    return publishing_hierarchy()


@pytest.fixture(scope="module")
def registry(hierarchy: Hierarchy, tmp_path_factory: pytest.TempPathFactory) -> ReusedRegistry:
    return ReusedFile(tmp_path_factory.mktemp("lists"), hierarchy)


@pytest.fixture
def fleet(registry: ReusedRegistry, hierarchy: Hierarchy, tmp_path: Path) -> PublishingFleet:
    return PublishingFleet.make(registry, hierarchy, tmp_path)


def test_openssl_finds_a_good_and_a_revoked_device_by_the_lists_they_name(fleet: PublishingFleet) -> None:
    good = fleet.fleet.device("sensor-1").certificate_id
    stolen = fleet.fleet.device("sensor-2").certificate_id
    revoke_certificate(fleet.ctx, stolen, "stolen")
    publish_due(fleet.ctx)
    assert fleet.verify(good, fleet.list_of(good)) == "OK"
    assert "certificate revoked" in fleet.verify(stolen, fleet.list_of(stolen))


def test_the_list_of_another_partition_is_not_taken_for_the_one_a_certificate_names(
    fleet: PublishingFleet,
) -> None:
    device = fleet.fleet.device("sensor-1").certificate_id
    publish_due(fleet.ctx)
    with reading(fleet.ctx.sessions) as session:
        issuer_id = fleet.fleet.certificate(device).issuer_id or ""
        other = (fleet.partition_of(device) + 1) % ISSUING_PARTITIONS
        der = session.get_one(RevocationList, (issuer_id, other)).der
    assert "CRL" in fleet.verify(device, x509.load_der_x509_crl(der))


def test_the_address_in_the_certificate_is_the_scope_of_its_list(fleet: PublishingFleet) -> None:
    device = fleet.fleet.device("sensor-1").certificate_id
    publish_due(fleet.ctx)
    named = fleet.certificate(device).extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    scope = fleet.list_of(device).extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    assert scope.critical
    assert scope.value.full_name == named[0].full_name
    [url] = scope.value.full_name or []
    assert url.value == f"http://pki.example/crl/issuing/{fleet.partition_of(device)}.crl"


def test_all_lists_are_signed_at_first_and_then_none_until_one_is_due(fleet: PublishingFleet) -> None:
    assert len(publish_due(fleet.ctx)) == ISSUING_PARTITIONS + 1  # the bootstrap authority's is whole
    fleet.clock.advance(REFRESH - A_WHILE)
    assert publish_due(fleet.ctx) == []
    fleet.clock.advance(A_WHILE)
    assert len(publish_due(fleet.ctx)) == ISSUING_PARTITIONS + 1


def test_a_revocation_makes_its_partition_due_and_no_other(fleet: PublishingFleet) -> None:
    device = fleet.fleet.device("sensor-1").certificate_id
    publish_due(fleet.ctx)
    fleet.clock.advance(A_WHILE)
    revoke_certificate(fleet.ctx, device, "keyCompromise")
    [signed] = publish_due(fleet.ctx)
    assert signed.partition == fleet.partition_of(device)
    entry = fleet.list_of(device).get_revoked_certificate_by_serial_number(
        fleet.certificate(device).serial_number
    )
    assert entry is not None
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason == x509.ReasonFlags.key_compromise
    fleet.clock.advance(A_WHILE)
    publish_due(fleet.ctx)
    assert publish_due(fleet.ctx) == []


def test_a_revocation_that_commits_after_its_list_was_made_is_not_forgotten(fleet: PublishingFleet) -> None:
    """Its time is before the list's making, but the list could not see it."""
    device = fleet.fleet.device("sensor-1").certificate_id
    slow_transaction_began = fleet.clock.now
    fleet.clock.advance(timedelta(seconds=10))
    publish_due(fleet.ctx)
    with fleet.ctx.writing() as session:
        session.execute(
            update(Certificate)
            .where(Certificate.certificate_id == device)
            .values(state="revoked", revoked_at=slow_transaction_began, revocation_reason="stolen")
        )
    [signed] = publish_due(fleet.ctx)
    assert signed.partition == fleet.partition_of(device)


def test_lists_are_signed_anew_when_a_clock_that_was_ahead_is_right_again(fleet: PublishingFleet) -> None:
    good, bad = (fleet.fleet.device(name).certificate_id for name in ("good-1", "stolen-1"))
    fleet.clock.advance(20 * REFRESH)
    publish_due(fleet.ctx)
    fleet.clock.advance(-20 * REFRESH + A_WHILE)
    revoke_certificate(fleet.ctx, bad, "stolen")
    publish_due(fleet.ctx)
    assert fleet.verify(good, fleet.list_of(good)) == "OK"
    assert "certificate revoked" in fleet.verify(bad, fleet.list_of(bad))
    fleet.clock.advance(A_WHILE)
    publish_due(fleet.ctx)
    assert publish_due(fleet.ctx) == []


def test_a_list_outlives_days_in_which_nothing_can_be_signed(fleet: PublishingFleet) -> None:
    device = fleet.fleet.device("sensor-1").certificate_id
    publish_due(fleet.ctx)
    fleet.clock.advance(VALIDITY - timedelta(hours=1))
    assert fleet.verify(device, fleet.list_of(device)) == "OK"


def test_numbers_grow_also_when_the_registry_comes_from_a_backup(fleet: PublishingFleet) -> None:
    device = fleet.fleet.device("sensor-1").certificate_id

    def number() -> int:
        crl = fleet.list_of(device)
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number

    publish(fleet.ctx)
    first = number()
    publish(fleet.ctx)
    second = number()
    with fleet.ctx.writing() as session:
        session.execute(update(RevocationList).values(number=1))
    fleet.clock.advance(timedelta(minutes=1))
    publish(fleet.ctx)
    assert first < second < number()


def test_an_expired_certificate_leaves_the_list_after_one_more(fleet: PublishingFleet) -> None:
    device = fleet.fleet.device("sensor-1").certificate_id
    revoke_certificate(fleet.ctx, device, "stolen")
    serial = fleet.certificate(device).serial_number
    expiry = fleet.certificate(device).not_valid_after_utc
    fleet.clock.now = expiry + REFRESH
    publish(fleet.ctx)
    assert fleet.list_of(device).get_revoked_certificate_by_serial_number(serial) is not None
    fleet.clock.advance(2 * REFRESH)
    publish(fleet.ctx)
    assert fleet.list_of(device).get_revoked_certificate_by_serial_number(serial) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("keyCompromise", x509.ReasonFlags.key_compromise),
        ("key_compromise", x509.ReasonFlags.key_compromise),
        ("stolen", x509.ReasonFlags.key_compromise),
        ("superseded", x509.ReasonFlags.superseded),
        ("unspecified", None),
        ("certificateHold", None),
        ("fell into the sea", None),
        (None, None),
    ],
)
def test_reasons(text: str | None, code: x509.ReasonFlags | None) -> None:
    assert reason_code(text) == code


def test_a_roots_list_ends_the_authority_it_names(fleet: PublishingFleet, hierarchy: Hierarchy) -> None:
    install_list(fleet.ctx, root_list(hierarchy, hierarchy.issuing.certificate))
    with reading(fleet.ctx.sessions) as session:
        assert authorities.named(session, "issuing").state == AuthorityState.REVOKED
        with pytest.raises(FleetError, match="no issuing authority is active"):
            authorities.active(session)


def test_a_revoked_authority_goes_on_signing_its_own_lists(
    fleet: PublishingFleet, hierarchy: Hierarchy
) -> None:
    device = fleet.fleet.device("sensor-1").certificate_id
    install_list(fleet.ctx, root_list(hierarchy, hierarchy.issuing.certificate))
    publish_due(fleet.ctx)
    serial = fleet.certificate(device).serial_number
    assert fleet.list_of(device).get_revoked_certificate_by_serial_number(serial) is not None
    fleet.clock.advance(VALIDITY)
    assert len(publish_due(fleet.ctx)) == ISSUING_PARTITIONS + 1


def test_an_older_list_of_a_root_is_refused(fleet: PublishingFleet, hierarchy: Hierarchy) -> None:
    install_list(fleet.ctx, root_list(hierarchy, number=7))
    with pytest.raises(Rejected) as caught:
        install_list(fleet.ctx, root_list(hierarchy, number=7))
    assert caught.value.code == Code.STALE


@pytest.mark.parametrize("kind", ["garbage", "PEM", "another authority's"])
def test_what_is_no_list_of_a_root_is_refused(
    fleet: PublishingFleet, hierarchy: Hierarchy, kind: str
) -> None:
    good = root_list(hierarchy)
    issuing = Issuer(hierarchy.issuing.certificate, hierarchy.issuing.key)
    lists = {
        "garbage": b"\x30\x03\x02\x01",
        "PEM": x509.load_der_x509_crl(good).public_bytes(Encoding.PEM),
        "another authority's": sign_list(issuing, ListPlan(9, START, START + VALIDITY), []),
    }
    with pytest.raises(FleetError) as caught:
        install_list(fleet.ctx, lists[kind])
    assert caught.value.exit_code == 2


def test_without_an_address_one_list_tells_of_everything(fleet: PublishingFleet) -> None:
    device = fleet.fleet.device("sensor-1").certificate_id
    revoke_certificate(fleet.ctx, device, "stolen")
    signed = publish_due(replace(fleet.ctx, policy=Policy()))
    assert {each.partition for each in signed} == {0}
    whole = next(each for each in signed if each.authority_id == fleet.fleet.certificate(device).issuer_id)
    crl = x509.load_der_x509_crl(whole.der)
    serial = fleet.certificate(device).serial_number
    assert crl.get_revoked_certificate_by_serial_number(serial) is not None
    assert not any(isinstance(each.value, x509.IssuingDistributionPoint) for each in crl.extensions)
