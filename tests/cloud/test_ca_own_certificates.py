# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates that operators ask for: of bootstrap, broker and services."""

import pytest
from cryptography import x509

from fleetpki.errors import Code, NotFound
from fleetpki.lifecycle import revoke_certificate
from fleetpki.lifecycle.ceremony import create_bootstrap_authority
from fleetpki.lifecycle.own_certificates import certify_bootstrap, renew_own
from fleetpki.lifecycle.revocation_lists import install_list
from fleetpki.pki.identifiers import certificate_id
from fleetpki.pki.keys import PrivateKey
from fleetpki.registry.models import ApiRole, Certificate, CertificateState, Role
from tests.cloud.doubles import FakeDevice, Fleet, add_issuing, new_key, refused
from tests.cloud.published import root_list

BATCH = "bootstrap-1"
HOSTS = ["broker.example", "127.0.0.1"]


def bootstrap(
    fleet: Fleet, key: PrivateKey, name: str = "sensor-1", authority: str | None = None
) -> Certificate:
    return certify_bootstrap(
        fleet.ctx, common_name=name, public_key=key.public_key(), batch=BATCH, authority=authority
    )


def test_a_bootstrap_certificate_enrols_its_device(fleet: Fleet) -> None:
    certificate = bootstrap(fleet, new_key())
    assert (certificate.role, certificate.batch) == (Role.BOOTSTRAP, BATCH)
    assert fleet.admits(certificate.signed_id, "sensor-1")


def test_the_same_key_gets_the_same_bootstrap_certificate(fleet: Fleet) -> None:
    key = new_key()
    assert bootstrap(fleet, key).signed_id == bootstrap(fleet, key).signed_id


def test_a_bootstrap_key_has_one_name(fleet: Fleet) -> None:
    key = new_key()
    bootstrap(fleet, key)
    assert refused(lambda: bootstrap(fleet, key, "sensor-2")) == Code.WEAK_KEY


def test_the_key_of_a_device_is_no_bootstrap_key(fleet: Fleet) -> None:
    device: FakeDevice = fleet.device("sensor-1")
    assert refused(lambda: bootstrap(fleet, device.key)) == Code.WEAK_KEY


def test_a_batch_may_have_an_authority_of_its_own(fleet: Fleet) -> None:
    create_bootstrap_authority(fleet.ctx, "batch-7")
    pem = bootstrap(fleet, new_key(), authority="batch-7").signed_pem
    issuer = x509.load_pem_x509_certificate(pem.encode()).issuer.rfc4514_string()
    assert issuer == "CN=fleetpki bootstrap CA batch-7"


def test_an_issuing_authority_makes_no_bootstrap_certificates(fleet: Fleet) -> None:
    assert refused(lambda: bootstrap(fleet, new_key(), authority="issuing")) == Code.NOT_ALLOWED


def test_the_operator_stays_what_he_is_when_his_certificate_is_renewed(fleet: Fleet) -> None:
    former = fleet.hierarchy.operator
    renewed = renew_own(fleet.ctx, former.certificate_pem, hosts=HOSTS)
    assert renewed.state == CertificateState.ACTIVE
    assert renewed.api_role == ApiRole.CA_OFFICER
    key = x509.load_pem_x509_certificate(renewed.signed_pem.encode()).public_key()
    assert key == former.certificate.public_key()
    assert fleet.admits(renewed.signed_id, "operator")


def test_the_broker_is_renewed_with_its_hosts_and_a_service_has_none(fleet: Fleet) -> None:
    def has_hosts(certificate: Certificate) -> bool:
        extensions = x509.load_pem_x509_certificate(certificate.signed_pem.encode()).extensions
        return any(isinstance(each.value, x509.SubjectAlternativeName) for each in extensions)

    assert has_hosts(renew_own(fleet.ctx, fleet.hierarchy.broker.certificate_pem, hosts=HOSTS))
    assert not has_hosts(renew_own(fleet.ctx, fleet.hierarchy.service.certificate_pem, hosts=HOSTS))


def test_a_revoked_certificate_is_not_renewed(fleet: Fleet) -> None:
    pem = fleet.hierarchy.service.certificate_pem
    renewed = renew_own(fleet.ctx, pem, hosts=HOSTS)
    revoke_certificate(fleet.ctx, renewed.signed_id, "leaked")
    assert refused(lambda: renew_own(fleet.ctx, renewed.signed_pem, hosts=HOSTS)) == Code.REVOKED


def test_a_key_that_others_have_is_replaced_and_all_its_certificates_revoked(fleet: Fleet) -> None:
    pem, key = fleet.hierarchy.operator.certificate_pem, new_key()
    renewed = renew_own(fleet.ctx, pem, hosts=HOSTS)
    replaced = renew_own(fleet.ctx, pem, hosts=HOSTS, new_key=key.public_key())
    assert replaced.api_role == ApiRole.CA_OFFICER
    assert x509.load_pem_x509_certificate(replaced.signed_pem.encode()).public_key() == key.public_key()
    assert fleet.admits(replaced.signed_id, "operator")
    for former in (certificate_id(fleet.hierarchy.operator.certificate), renewed.signed_id):
        assert fleet.state(former) == CertificateState.REVOKED
    again = renew_own(fleet.ctx, pem, hosts=HOSTS, new_key=new_key().public_key())  # it had broken off
    assert fleet.admits(again.signed_id, "operator")


def test_who_lost_its_certificate_with_its_authority_is_renewed_by_another(fleet: Fleet) -> None:
    pem = fleet.hierarchy.service.certificate_pem
    add_issuing(fleet, "issuing-2")
    install_list(fleet.ctx, root_list(fleet.hierarchy, fleet.hierarchy.issuing.certificate))
    assert not fleet.admits(certificate_id(fleet.hierarchy.service.certificate), "service")
    renewed = renew_own(fleet.ctx, pem, hosts=HOSTS)
    assert fleet.admits(renewed.signed_id, "service")


def test_a_device_is_not_renewed_this_way(fleet: Fleet) -> None:
    pem = fleet.certificate(fleet.device("sensor-1").certificate_id).signed_pem
    with pytest.raises(NotFound):
        renew_own(fleet.ctx, pem, hosts=HOSTS)
