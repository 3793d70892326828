# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""People get certificates for the API, and for nothing else."""

import pytest

from fleetpki.errors import Code, FleetError, NotFound
from fleetpki.lifecycle import principal_with_certificate
from fleetpki.lifecycle.people import certify_person, people, revoke_person
from fleetpki.pki.keys import PrivateKey
from fleetpki.registry.models import ApiRole, Certificate, CertificateState
from tests.cloud.doubles import Fleet, make_csr, new_key, refused


def certified(fleet: Fleet, name: str, role: ApiRole, key: PrivateKey | None = None) -> Certificate:
    return certify_person(fleet.ctx, name, role, make_csr(key or new_key(), name))


@pytest.mark.parametrize("role", ApiRole)
def test_a_certificate_permits_its_role(fleet: Fleet, role: ApiRole) -> None:
    certificate = certified(fleet, "alice", role)
    assert certificate.state == CertificateState.ACTIVE
    principal = principal_with_certificate(fleet.ctx, certificate.signed_id)
    assert principal is not None
    assert (principal.actor, principal.role) == ("certificate:alice", role)


def test_it_is_good_for_no_broker_under_any_name(fleet: Fleet) -> None:
    certificate = certified(fleet, "sensor-1", ApiRole.CA_OFFICER)
    fleet.device("sensor-1")
    for client_id in ("sensor-1", "sensor-2", "operator", "fleetpki-service"):
        assert not fleet.admits(certificate.signed_id, client_id)


def test_the_same_key_gets_the_same_certificate_and_no_other_role(fleet: Fleet) -> None:
    key = new_key()
    first = certified(fleet, "alice", ApiRole.VIEWER, key)
    assert certified(fleet, "alice", ApiRole.VIEWER, key).signed_id == first.signed_id
    assert refused(lambda: certified(fleet, "alice", ApiRole.CA_OFFICER, key)) == Code.NOT_ALLOWED
    assert refused(lambda: certified(fleet, "bob", ApiRole.VIEWER, key)) == Code.WEAK_KEY


def test_the_key_of_a_device_is_nobody_s(fleet: Fleet) -> None:
    device = fleet.device("sensor-1")
    assert refused(lambda: certified(fleet, "sensor-1", ApiRole.VIEWER, device.key)) == Code.WEAK_KEY


def test_nobody_is_called_like_a_part_of_the_cloud(fleet: Fleet) -> None:
    assert refused(lambda: certified(fleet, "fleetpki-operator", ApiRole.VIEWER)) == Code.NOT_ALLOWED


def test_a_request_for_somebody_else_is_refused(fleet: Fleet) -> None:
    csr = make_csr(new_key(), "bob")
    assert refused(lambda: certify_person(fleet.ctx, "alice", ApiRole.VIEWER, csr)) == Code.WRONG_SUBJECT


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "-x", "é", "x" * 65])
def test_impossible_names(fleet: Fleet, name: str) -> None:
    with pytest.raises(FleetError, match="no name for a person"):
        certify_person(fleet.ctx, name, ApiRole.VIEWER, make_csr(new_key(), "alice"))


def test_who_is_revoked_is_out_with_every_certificate(fleet: Fleet) -> None:
    found = [certified(fleet, "alice", ApiRole.OPERATOR) for _ in range(2)]
    other = certified(fleet, "bob", ApiRole.VIEWER)
    revoke_person(fleet.ctx, "alice", "left")
    for certificate in found:
        assert principal_with_certificate(fleet.ctx, certificate.signed_id) is None
    assert principal_with_certificate(fleet.ctx, other.signed_id) is not None
    assert [each.common_name for each in people(fleet.ctx)] == ["fleetpki-operator", "alice", "alice", "bob"]
    assert refused(lambda: revoke_person(fleet.ctx, "fleetpki-operator", "left")) == Code.NOT_ALLOWED
    with pytest.raises(NotFound):
        revoke_person(fleet.ctx, "carol", "never here")
