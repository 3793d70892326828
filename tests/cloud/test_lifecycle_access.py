# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Who gets in at the API: tokens and operators' certificates."""

from datetime import timedelta

import pytest

from fleetpki.errors import Code, FleetError, NotFound
from fleetpki.lifecycle import (
    create_token,
    principal_with_certificate,
    principal_with_token,
    revoke_certificate,
    revoke_token,
    tokens,
)
from fleetpki.pki.identifiers import certificate_id
from fleetpki.registry.models import ApiRole
from tests.cloud.doubles import Clock, Fleet, refused


def test_a_token_identifies_its_holder_and_the_role(fleet: Fleet) -> None:
    token = create_token(fleet.ctx, "ci", ApiRole.OPERATOR)
    principal = principal_with_token(fleet.ctx, token)
    assert principal is not None
    assert (principal.actor, principal.role) == ("token:ci", ApiRole.OPERATOR)


@pytest.mark.parametrize("guess", ["", "fleetpki_", "ci", "fleetpki_" + "A" * 43, "\N{SNOWMAN}"])
def test_anything_else_is_nobody(fleet: Fleet, guess: str) -> None:
    create_token(fleet.ctx, "ci", ApiRole.OPERATOR)
    assert principal_with_token(fleet.ctx, guess) is None


def test_the_registry_keeps_no_token(fleet: Fleet) -> None:
    token = create_token(fleet.ctx, "ci", ApiRole.VIEWER)
    kept = tokens(fleet.ctx)[0]
    assert token not in str(vars(kept))
    assert token.removeprefix("fleetpki_") not in kept.digest


def test_a_role_includes_those_before_it(fleet: Fleet) -> None:
    principal = principal_with_token(fleet.ctx, create_token(fleet.ctx, "ci", ApiRole.OPERATOR))
    assert principal is not None
    assert [principal.may_act_as(role) for role in ApiRole] == [True, True, False]


def test_a_revoked_token_is_nobody_s_and_its_name_stays_taken(fleet: Fleet) -> None:
    token = create_token(fleet.ctx, "ci", ApiRole.VIEWER)
    revoke_token(fleet.ctx, "ci")
    revoke_token(fleet.ctx, "ci")
    assert principal_with_token(fleet.ctx, token) is None
    assert refused(lambda: create_token(fleet.ctx, "ci", ApiRole.VIEWER)) == Code.NOT_ALLOWED
    assert fleet.audited("ci") == ["token.created", "token.revoked", "create_token.refused"]


def test_a_token_ends_with_its_time(fleet: Fleet, clock: Clock) -> None:
    token = create_token(fleet.ctx, "ci", ApiRole.VIEWER, valid_for=timedelta(days=1))
    assert principal_with_token(fleet.ctx, token) is not None
    clock.advance(timedelta(days=1))
    assert principal_with_token(fleet.ctx, token) is None


@pytest.mark.parametrize("name", ["", "../x", "a b", "a\nb", "-x", "x" * 65])
def test_names_that_would_confuse_a_reader_of_the_audit_chain_are_refused(fleet: Fleet, name: str) -> None:
    with pytest.raises(FleetError):
        create_token(fleet.ctx, name, ApiRole.VIEWER)


def test_revoking_a_token_nobody_made_is_a_mistake(fleet: Fleet) -> None:
    with pytest.raises(NotFound):
        revoke_token(fleet.ctx, "nobody")


def test_the_operator_s_certificate_is_a_ca_officer_s_until_it_is_revoked(fleet: Fleet) -> None:
    operator = certificate_id(fleet.hierarchy.operator.certificate)
    principal = principal_with_certificate(fleet.ctx, operator)
    assert principal is not None
    assert (principal.actor, principal.role) == ("certificate:fleetpki-operator", ApiRole.CA_OFFICER)
    revoke_certificate(fleet.ctx, operator, "lost")
    assert principal_with_certificate(fleet.ctx, operator) is None


def test_certificates_of_devices_and_services_open_no_door(fleet: Fleet) -> None:
    service = certificate_id(fleet.hierarchy.service.certificate)
    for other in (service, fleet.bootstrap, fleet.device().certificate_id, "0" * 64):
        assert principal_with_certificate(fleet.ctx, other) is None
