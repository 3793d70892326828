# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Where authorities' keys are: encrypted files, and a token (SoftHSM)."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

from fleetpki.errors import Code, FleetError
from fleetpki.lifecycle import Context, authorities
from fleetpki.lifecycle.ocsp import answer
from fleetpki.lifecycle.revocation_lists import publish_due
from fleetpki.pki import key_files, pkcs11_keys, profiles
from fleetpki.pki.hierarchy import Hierarchy
from fleetpki.pki.issuer import Issuer, to_pem
from fleetpki.pki.key_store import KeyStore
from fleetpki.pki.keyring import KeyRing, KeyUnavailable
from fleetpki.pki.keys import KeyType, PrivateKey
from fleetpki.pki.pkcs11_keys import Token
from fleetpki.registry.database import reading
from fleetpki.registry.models import Authority, CertificateState
from tests.cloud.doubles import START, Clock, FakeDevice, Fleet, KeysInMemory, refused, wait_until
from tests.cloud.published import ocsp_question
from tests.cloud.soft_token import MODULE, ON_TOKEN, SoftToken, soft_token, start_anew


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftToken]:
    with soft_token(tmp_path, monkeypatch) as token:
        yield token


def works(key: PrivateKey) -> bool:
    try:
        return proves_itself(key)
    except KeyUnavailable:
        return False


def proves_itself(key: PrivateKey) -> bool:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = key.sign(b"text", ec.ECDSA(hashes.SHA256()))
    key.public_key().verify(signature, b"text", ec.ECDSA(hashes.SHA256()))
    return True


def test_a_key_is_made_on_the_token_and_found_there_again(token: SoftToken) -> None:
    made = token.store.create(ON_TOKEN, KeyType.EC_P384)
    found = token.store.open(ON_TOKEN)
    assert found.public_key() == made.public_key()
    assert proves_itself(found)


def test_a_key_on_a_token_does_not_leave_it(token: SoftToken) -> None:
    key = token.store.create(ON_TOKEN, KeyType.EC_P256)
    with pytest.raises(NotImplementedError):
        key.private_numbers()


def test_a_label_that_is_taken_is_not_taken_again(token: SoftToken) -> None:
    token.store.create(ON_TOKEN, KeyType.EC_P256)
    with pytest.raises(FleetError, match="already"):
        token.store.create(ON_TOKEN, KeyType.EC_P256)


def test_a_token_that_was_away_is_used_again_when_it_is_back(token: SoftToken) -> None:
    key = token.store.create(ON_TOKEN, KeyType.EC_P256)
    token.pull_out()
    for _ in range(2):
        with pytest.raises(KeyUnavailable, match="does not answer"):
            proves_itself(key)
    token.put_back()
    assert proves_itself(key)


def test_a_token_that_hangs_counts_as_away_until_it_goes_on(
    token: SoftToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = token.store.create(ON_TOKEN, KeyType.EC_P256)
    goes_on = threading.Event()

    def hang(_session: object) -> bool:
        return goes_on.wait(60)

    with monkeypatch.context() as patch:
        patch.setattr(pkcs11_keys, "ANSWER_S", 0.05)
        with pytest.raises(KeyUnavailable, match="does not answer: TimeoutError"):
            Token(MODULE, "fleet", lambda: "8765").run(hang)
    for _ in range(3):  # who comes now waits for nothing
        with pytest.raises(KeyUnavailable, match="does not answer: TimeoutError"):
            proves_itself(key)
    goes_on.set()
    wait_until(lambda: works(key))


def test_a_wrong_pin_is_tried_once_lest_the_token_locks_itself(
    token: SoftToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    token.store.create(ON_TOKEN, KeyType.EC_P256)
    start_anew()
    (token.folder / "pin").write_text("0000\n")
    store = token.store
    with pytest.raises(KeyUnavailable, match="refused the PIN"):
        store.open(ON_TOKEN)
    (token.folder / "pin").unlink()  # nobody reads it a second time
    with pytest.raises(KeyUnavailable, match="refused the PIN"):
        store.open(ON_TOKEN)


def test_while_the_token_is_away_devices_are_told_to_wait_and_nothing_is_half_done(
    token: SoftToken, ctx: Context, hierarchy: Hierarchy
) -> None:
    fleet = fleet_with_token(ctx, hierarchy, token)
    fleet.device("sensor-1")
    device = FakeDevice(fleet, "sensor-2")
    token.pull_out()
    assert refused(device.enroll) == Code.BUSY
    assert [each.state for each in fleet.certificates("sensor-2")] == [CertificateState.RECORDED]
    assert "issue.refused" in fleet.audited("sensor-2")
    token.put_back()
    device.enroll()
    assert [each.state for each in fleet.certificates("sensor-2")] == [CertificateState.ISSUED]


def test_while_the_token_is_away_other_authorities_sign_their_lists(
    token: SoftToken, ctx: Context, hierarchy: Hierarchy
) -> None:
    fleet = fleet_with_token(ctx, hierarchy, token)
    fleet.device("sensor-1")  # the key has been used
    with token.pulled_out(), pytest.raises(KeyUnavailable, match="does not answer"):
        publish_due(fleet.ctx)
    signed = publish_due(fleet.ctx)
    assert {each.authority_id for each in signed} == {issuing(fleet).authority_id}
    assert publish_due(fleet.ctx) == []


def test_while_the_token_is_away_the_ocsp_signer_there_is_serves_to_its_end(
    token: SoftToken, ctx: Context, hierarchy: Hierarchy, clock: Clock
) -> None:
    fleet = fleet_with_token(ctx, hierarchy, token)
    device = fleet.device("sensor-1").certificate_id
    first = ocsp_answer(fleet, device).certificates
    clock.advance(profiles.OCSP_SIGNER.validity * 0.6)  # it is to be renewed
    with token.pulled_out():
        for _ in range(20):
            assert ocsp_answer(fleet, device).certificates == first
        clock.advance(profiles.OCSP_SIGNER.validity * 0.4)
        for _ in range(20):
            assert ocsp_answer(fleet, device).response_status == ocsp.OCSPResponseStatus.TRY_LATER
    tried = fleet.audited("issuing").count("ocsp_signer.recorded")
    assert tried == 3, "anybody may ask, and each attempt is on record"
    clock.advance(timedelta(minutes=1))
    assert ocsp_answer(fleet, device).certificate_status == ocsp.OCSPCertStatus.GOOD


def issuing(fleet: Fleet) -> Authority:
    with reading(fleet.ctx.sessions) as session:
        return authorities.named(session, "issuing")


def ocsp_answer(fleet: Fleet, certificate_id: str) -> ocsp.OCSPResponse:
    """What is said of a certificate of the issuing authority."""
    certificate, issuer = (
        x509.load_pem_x509_certificate(pem.encode())
        for pem in (fleet.certificate(certificate_id).signed_pem, issuing(fleet).pem)
    )
    return ocsp.load_der_ocsp_response(answer(fleet.ctx, ocsp_question(certificate, issuer)).der)


def fleet_with_token(ctx: Context, hierarchy: Hierarchy, token: SoftToken) -> Fleet:
    """A fleet whose issuing authority has its key on the token, and its bootstrap authority in a file."""
    (token.folder / "fleet" / "ca").mkdir(parents=True)
    key_files.save(token.folder / "fleet" / "ca" / "bootstrap-ca.key", hierarchy.bootstrap_ca.key, None)
    key = token.store.create(ON_TOKEN, KeyType.EC_P256)
    root = Issuer(hierarchy.root.certificate, hierarchy.root.key)
    plan = root.plan(profiles.ISSUING, "issuing CA on a token", key.public_key(), START)
    pem = to_pem(root.sign(plan))
    with ctx.writing() as session:
        authority = session.query(Authority).filter_by(name="issuing").one()
        authority.pem, authority.chain_pem, authority.key_uri = pem, pem, ON_TOKEN
    return Fleet(replace(ctx, keyring=KeyRing(token.store)), hierarchy)


def test_a_key_file_is_encrypted_with_the_passphrase(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir()
    secret = tmp_path.parent / f"{tmp_path.name}.pass"
    secret.write_text("correct horse battery\n")
    store = KeyStore(tmp_path, str(secret))
    made = store.create("file:ca/issuing.key", KeyType.EC_P256)
    assert b"ENCRYPTED" in (tmp_path / "ca" / "issuing.key").read_bytes()
    assert (tmp_path / "ca" / "issuing.key").stat().st_mode & 0o077 == 0
    assert store.open("file:ca/issuing.key").public_key() == made.public_key()
    with pytest.raises(FleetError, match="is encrypted"):
        KeyStore(tmp_path).open("file:ca/issuing.key")
    secret.write_text("wrong\n")
    with pytest.raises(FleetError, match="wrong passphrase"):
        store.open("file:ca/issuing.key")


def test_a_passphrase_may_be_a_credential_of_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "ca").write_text("from systemd")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert KeyStore(tmp_path / "fleet", "$CREDENTIALS_DIRECTORY/ca").passphrase() == b"from systemd"


def test_a_passphrase_beside_its_key_protects_nothing(tmp_path: Path) -> None:
    (tmp_path / "pass").write_text("secret")
    with pytest.raises(FleetError, match="is to protect"):
        KeyStore(tmp_path, str(tmp_path / "pass")).passphrase()


@pytest.mark.parametrize("uri", ["file:../root.key", "file:/etc/key", "http://x", "pkcs11:token=fleet"])
def test_a_place_that_is_none_for_a_key_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(FleetError) as caught:
        KeyStore(tmp_path).open(uri)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("content", "reason"), [("garbage", "damaged"), (None, "cannot read")])
def test_a_key_that_cannot_be_read_is_named(tmp_path: Path, content: str | None, reason: str) -> None:
    if content is not None:
        (tmp_path / "issuing.key").write_text(content)
    with pytest.raises(FleetError, match=reason) as caught:
        KeyStore(tmp_path).open("file:issuing.key")
    assert "issuing.key" in caught.value.message


def test_a_missing_key_is_busy_to_a_device(ctx: Context, hierarchy: Hierarchy) -> None:
    fleet = Fleet(replace(ctx, keyring=KeyRing(KeysInMemory({}))), hierarchy)
    assert refused(FakeDevice(fleet, "sensor-1").enroll) == Code.BUSY
    assert "enroll.refused" in fleet.audited("sensor-1")
    assert not fleet.certificates("sensor-1")
