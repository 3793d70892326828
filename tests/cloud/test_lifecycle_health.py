# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Health is bad when somebody has to act, and only then."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from fleetpki.lifecycle import ceremony
from fleetpki.lifecycle.health import Level, check_registry
from fleetpki.lifecycle.ocsp import answer
from fleetpki.lifecycle.own_certificates import renew_own
from fleetpki.lifecycle.revocation_lists import install_list, publish_due
from fleetpki.pki.keyring import KeyUnavailable
from tests.cloud.doubles import Clock, Fleet
from tests.cloud.published import root_list

A_DAY = timedelta(days=1)


def health(fleet: Fleet, about: str) -> dict[str, Level]:
    """The checks whose names begin so, and how bad each is."""
    return {each.check: each.level for each in check_registry(fleet.ctx) if each.check.startswith(about)}


def ask_for_the_status_of(fleet: Fleet, certificate_id: str) -> None:
    certificate = x509.load_pem_x509_certificate(fleet.certificate(certificate_id).signed_pem.encode())
    builder = ocsp.OCSPRequestBuilder()
    about = builder.add_certificate(certificate, fleet.hierarchy.issuing.certificate, hashes.SHA256())
    answer(fleet.ctx, about.build().public_bytes(Encoding.DER))


def test_ocsp_signers_come_and_go_without_a_word(fleet: Fleet, clock: Clock) -> None:
    device = fleet.device()
    before = health(fleet, "authority")
    for _ in range(20):
        ask_for_the_status_of(fleet, device.certificate_id)
        clock.advance(A_DAY)
    assert health(fleet, "authority") == before
    assert set(before.values()) == {Level.OK}


def test_without_an_authority_that_signs_somebody_has_to_act(fleet: Fleet) -> None:
    assert "authorities" not in health(fleet, "authorities")
    install_list(fleet.ctx, root_list(fleet.hierarchy, fleet.hierarchy.issuing.certificate))
    assert health(fleet, "authorities") == {"authorities": Level.CRITICAL}


def test_a_certificate_of_the_cloud_that_was_renewed_is_no_worry_any_more(fleet: Fleet, clock: Clock) -> None:
    clock.now = fleet.hierarchy.operator.certificate.not_valid_after_utc - timedelta(days=10)
    assert set(health(fleet, "certificate").values()) == {Level.WARNING}
    for mine in (fleet.hierarchy.operator, fleet.hierarchy.service, fleet.hierarchy.broker):
        renew_own(fleet.ctx, mine.certificate_pem, hosts=("broker.example",))
    clock.advance(timedelta(days=30))
    after = health(fleet, "certificate")
    assert len(after) == 3
    assert set(after.values()) == {Level.OK}


def test_a_key_that_is_away_shows_before_the_ocsp_signers_end(
    fleet: Fleet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_uri: str) -> None:
        raise KeyUnavailable("the token is gone")

    publish_due(fleet.ctx)
    assert set(health(fleet, "crl").values()) == {Level.OK}
    monkeypatch.setattr(fleet.ctx.keyring, "key", gone)
    seen = []
    for _ in range(7):
        clock.advance(A_DAY)
        with pytest.raises(KeyUnavailable):
            publish_due(fleet.ctx)
        seen.append(health(fleet, "crl")["crl issuing"])
    assert seen == [Level.OK, *[Level.WARNING] * 5, Level.CRITICAL]


def test_the_lists_of_an_authority_that_is_over_are_nobodys_worry(fleet: Fleet, clock: Clock) -> None:
    ceremony.create_bootstrap_authority(fleet.ctx, "line-2")
    publish_due(fleet.ctx)
    assert "crl line-2" in health(fleet, "crl")
    ceremony.retire(fleet.ctx, "line-2")
    clock.advance(8 * A_DAY)
    publish_due(fleet.ctx)
    assert health(fleet, "crl") == {"crl bootstrap-ca": Level.OK, "crl issuing": Level.OK}


def test_the_list_of_a_root_is_looked_at_though_it_is_signed_elsewhere(fleet: Fleet, clock: Clock) -> None:
    install_list(fleet.ctx, root_list(fleet.hierarchy))
    assert health(fleet, "crl") == {"crl root": Level.OK}
    clock.advance(400 * A_DAY)
    assert health(fleet, "crl") == {"crl root": Level.CRITICAL}
