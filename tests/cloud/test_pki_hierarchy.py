# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The certificates, judged by OpenSSL."""

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fleetpki.errors import FleetError
from fleetpki.pki import profiles
from fleetpki.pki.hierarchy import Credential, Hierarchy, make_credential, make_root
from fleetpki.pki.identifiers import certificate_id, is_device_id
from fleetpki.pki.issuer import Issuer
from fleetpki.pki.keys import KeyType
from fleetpki.pki.lint import lint
from fleetpki.pki.profiles import BACKDATE, Profile
from tests.cloud.doubles import START, new_key

VERIFIED_AT = str(int(START.timestamp()))


@pytest.fixture
def issuer(hierarchy: Hierarchy) -> Issuer:
    issuing = hierarchy.issuing
    return Issuer(issuing.certificate, issuing.key, chain_pem=issuing.certificate_pem)


def openssl_accepts(folder: Path, anchor: Credential, leaf: Credential, purpose: str, *extra: str) -> bool:
    (folder / "anchor.pem").write_text(anchor.certificate_pem)
    (folder / "chain.pem").write_text(leaf.full_chain_pem)
    (folder / "leaf.pem").write_text(leaf.certificate_pem)
    chain = ["-CAfile", "anchor.pem", "-untrusted", "chain.pem", "leaf.pem"]
    command = ["openssl", "verify", "-x509_strict", "-attime", VERIFIED_AT, "-purpose", purpose, *extra]
    return subprocess.run([*command, *chain], cwd=folder, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("host", [("-verify_hostname", "broker.example"), ("-verify_ip", "127.0.0.1")])
def test_the_broker_proves_its_names_to_a_device(
    hierarchy: Hierarchy, tmp_path: Path, host: tuple[str, str]
) -> None:
    assert openssl_accepts(tmp_path, hierarchy.root, hierarchy.broker, "sslserver", *host)


def test_the_broker_proves_no_other_name(hierarchy: Hierarchy, tmp_path: Path) -> None:
    other = ("-verify_hostname", "broker.example.org")
    assert not openssl_accepts(tmp_path, hierarchy.root, hierarchy.broker, "sslserver", *other)


@pytest.mark.parametrize("host", ["bröker.example", "a b", "", "https://broker"])
def test_what_is_no_host_gets_no_certificate(issuer: Issuer, host: str) -> None:
    with pytest.raises(FleetError, match="neither a host name nor an IP address"):
        make_credential(issuer, profiles.BROKER, "broker", START, hosts=[host])


def test_services_are_clients_and_no_servers(hierarchy: Hierarchy, tmp_path: Path) -> None:
    for credential in (hierarchy.service, hierarchy.operator):
        assert openssl_accepts(tmp_path, hierarchy.root, credential, "sslclient")
        assert not openssl_accepts(tmp_path, hierarchy.root, credential, "sslserver")


@pytest.mark.parametrize("key_type", [KeyType.EC_P256, KeyType.RSA_2048])
def test_a_device_verifies_to_the_root(
    hierarchy: Hierarchy, issuer: Issuer, tmp_path: Path, key_type: KeyType
) -> None:
    device = make_credential(issuer, profiles.DEVICE, "sensor-1", START, key_type=key_type)
    assert openssl_accepts(tmp_path, hierarchy.root, device, "sslclient")
    assert not openssl_accepts(tmp_path, hierarchy.root, device, "sslserver")


@pytest.mark.parametrize("key_type", [KeyType.EC_P256, KeyType.EC_P384, KeyType.RSA_2048])
def test_what_was_linted_is_signed_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key_type: KeyType
) -> None:
    linted: list[bytes] = []
    monkeypatch.setattr(
        "fleetpki.pki.issuer.lint", lambda draft, *_: linted.append(draft.tbs_certificate_bytes)
    )
    root = make_root(profiles.ROOT, "root", key_type, START)
    device = make_credential(Issuer(root.certificate, root.key), profiles.DEVICE, "sensor-1", START)
    assert linted == [device.certificate.tbs_certificate_bytes]
    assert openssl_accepts(tmp_path, root, device, "sslclient")


def test_the_bootstrap_identity_does_not_chain_to_the_root(hierarchy: Hierarchy, tmp_path: Path) -> None:
    assert openssl_accepts(tmp_path, hierarchy.bootstrap_ca, hierarchy.bootstrap, "sslclient")
    assert not openssl_accepts(tmp_path, hierarchy.root, hierarchy.bootstrap, "sslclient")
    assert not openssl_accepts(tmp_path, hierarchy.bootstrap_ca, hierarchy.service, "sslclient")


def test_a_device_cannot_act_as_an_authority(hierarchy: Hierarchy, issuer: Issuer, tmp_path: Path) -> None:
    device = make_credential(issuer, profiles.DEVICE, "sensor-1", START)
    chain = device.certificate_pem + hierarchy.issuing.certificate_pem
    forged = make_credential(
        Issuer(device.certificate, device.key, chain), profiles.DEVICE, "sensor-2", START
    )
    assert not openssl_accepts(tmp_path, hierarchy.root, forged, "sslclient")


def test_the_root_key_is_written_encrypted(hierarchy: Hierarchy) -> None:
    pem = hierarchy.root.key_pem(b"correct horse")
    with pytest.raises(TypeError):
        serialization.load_pem_private_key(pem, password=None)
    key = serialization.load_pem_private_key(pem, password=b"correct horse")
    assert key.public_key() == hierarchy.root.certificate.public_key()


def test_no_credential_shows_its_key(hierarchy: Hierarchy) -> None:
    assert "key=" not in repr(hierarchy.root)


def test_the_certificate_id_is_what_openssl_calls_the_fingerprint(
    hierarchy: Hierarchy, tmp_path: Path
) -> None:
    path = tmp_path / "certificate.pem"
    path.write_text(hierarchy.broker.certificate_pem)
    command = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", str(path)]
    shown = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    fingerprint = shown.strip().partition("=")[2].replace(":", "").lower()
    assert certificate_id(hierarchy.broker.certificate) == fingerprint


def test_serial_numbers_are_long_and_never_repeat(issuer: Issuer) -> None:
    key = new_key().public_key()
    serials = {issuer.plan(profiles.DEVICE, "sensor-1", key, START).serial for _ in range(100)}
    assert len(serials) == 100
    assert min(serials) >= 2**64


def test_a_certificate_starts_a_little_early_for_slow_clocks(issuer: Issuer) -> None:
    later = START + timedelta(days=1, microseconds=7)
    plan = issuer.plan(profiles.DEVICE, "sensor-1", new_key().public_key(), later)
    assert plan.not_before == START + timedelta(days=1) - BACKDATE
    assert plan.not_after == START + timedelta(days=1) + profiles.DEVICE.validity


def test_no_certificate_reaches_beyond_its_issuer(issuer: Issuer) -> None:
    nearly = issuer.certificate.not_valid_after_utc - timedelta(days=1)
    plan = issuer.plan(profiles.DEVICE, "sensor-1", new_key().public_key(), nearly)
    assert plan.not_after == issuer.certificate.not_valid_after_utc


def test_an_expired_issuer_says_so(issuer: Issuer) -> None:
    with pytest.raises(FleetError, match="expired") as caught:
        issuer.plan(profiles.DEVICE, "sensor-1", new_key().public_key(), START + 6 * profiles.YEAR)
    assert "root key" in caught.value.hint


def test_a_key_of_another_certificate_is_refused(hierarchy: Hierarchy) -> None:
    with pytest.raises(FleetError, match="does not belong"):
        Issuer(hierarchy.issuing.certificate, hierarchy.service.key)


@pytest.mark.parametrize(
    ("profile", "finding"),
    [
        (profiles.BOOTSTRAP_CA, "basic constraints"),
        (profiles.BROKER, "host names missing"),
        (Profile("x", profiles.YEAR, profiles.CERTIFICATE_AUTHORITY), "key usage differs"),
        (Profile("x", profiles.YEAR, profiles.SIGN_ONLY), "extended key usage differs"),
    ],
)
def test_the_linter_names_what_differs_from_the_profile(
    hierarchy: Hierarchy, profile: Profile, finding: str
) -> None:
    with pytest.raises(FleetError, match=finding):
        lint(hierarchy.service.certificate, profile, hierarchy.issuing.certificate)


def test_the_linter_misses_what_is_not_there(issuer: Issuer) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bare")])
    bare = x509.CertificateBuilder(
        name, name, new_key().public_key(), 2**70, START, START + timedelta(days=1)
    )
    with pytest.raises(
        FleetError, match=r"basic constraints differ.*key usage differs.*no extension 2\.5\.29\.19"
    ):
        lint(bare.sign(new_key(), hashes.SHA256()), profiles.DEVICE, issuer.certificate)


def test_the_linter_wants_the_validity_inside_the_issuers(hierarchy: Hierarchy) -> None:
    with pytest.raises(FleetError, match="not inside its issuer's"):
        lint(hierarchy.bootstrap_ca.certificate, profiles.BOOTSTRAP_CA, hierarchy.issuing.certificate)


def test_nothing_is_signed_that_the_linter_refuses(issuer: Issuer) -> None:
    weak = ec.generate_private_key(ec.SECP192R1()).public_key()
    plan = issuer.plan(profiles.DEVICE, "sensor-1", weak, START)
    with pytest.raises(FleetError, match="the key must be one of"):
        issuer.sign(plan)


@pytest.mark.parametrize("text", ["abc", "A" * 64, "sensor_1-x", "0aB"])
def test_device_ids(text: str) -> None:
    assert is_device_id(text)


@pytest.mark.parametrize("text", ["", "ab", "A" * 65, "-abc", "_abc", "a/b", "a+b", "abc\n", "sénsor", "a b"])
def test_no_device_ids(text: str) -> None:
    assert not is_device_id(text)


def test_a_self_signed_certificate_of_the_same_name_is_not_ours(hierarchy: Hierarchy, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = hierarchy.root.certificate.subject
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    fake = (
        builder.serial_number(1)
        .not_valid_before(START)
        .not_valid_after(START + profiles.YEAR)
        .sign(key, hashes.SHA256())
    )
    assert not openssl_accepts(tmp_path, hierarchy.root, Credential(fake, key), "sslclient")
