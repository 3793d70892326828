# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Only the proven key of a well-formed request counts."""

import base64
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from fleetpki.errors import Code, Rejected
from fleetpki.pki.csr_policy import MAX_CSR_CHARACTERS, check_csr
from fleetpki.pki.keys import KeyType
from tests.cloud.doubles import make_csr, new_key

GOOD_REQUEST = make_csr(new_key(), "sensor-1")


def refusal(csr_pem: str, device_id: str = "sensor-1") -> Code:
    with pytest.raises(Rejected) as caught:
        check_csr(csr_pem, device_id)
    return caught.value.code


@pytest.mark.parametrize("key_type", [KeyType.EC_P256, KeyType.EC_P384, KeyType.RSA_2048])
def test_accepts_a_request_of_the_device_itself(key_type: KeyType) -> None:
    key = new_key(key_type)
    accepted = check_csr(make_csr(key, "sensor-1"), "sensor-1")
    assert accepted.key_type == key_type
    assert accepted.public_key == key.public_key()


def openssl_request(folder: Path, *options: str, subject: str = "/CN=sensor-1") -> str:
    files = ["-keyout", "key.pem", "-out", "request.pem"]
    command = ["openssl", "req", "-new", *options, "-nodes", "-subj", subject, *files]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return (folder / "request.pem").read_text()


def test_accepts_a_request_made_by_openssl(tmp_path: Path) -> None:
    options = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    request = openssl_request(tmp_path, *options, subject="/O=Somebody/CN=sensor-1")
    assert check_csr(request, "sensor-1").key_type == KeyType.EC_P256


@pytest.mark.parametrize(
    "make_key",
    [
        pytest.param(lambda: rsa.generate_private_key(65537, 1024), id="rsa-1024"),  # noqa: S505
        pytest.param(lambda: rsa.generate_private_key(3, 2048), id="rsa exponent 3"),
        pytest.param(lambda: ec.generate_private_key(ec.SECP224R1()), id="p-224"),
        pytest.param(lambda: ec.generate_private_key(ec.SECP256K1()), id="secp256k1"),
    ],
)
def test_refuses_a_weak_key(make_key: Callable[[], rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey]) -> None:
    assert refusal(make_csr(make_key(), "sensor-1")) == Code.WEAK_KEY


def test_refuses_a_kind_of_key_the_fleet_does_not_use() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sensor-1")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    csr = builder.sign(ed25519.Ed25519PrivateKey.generate(), None)
    assert refusal(csr.public_bytes(serialization.Encoding.PEM).decode()) == Code.WEAK_KEY


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("sensor-2",), id="another device"),
        pytest.param((), id="nobody"),
        pytest.param(("sensor-1", "sensor-2"), id="two names"),
        pytest.param(("sensor-1 ",), id="trailing space"),
        pytest.param(("SENSOR-1",), id="another case"),
    ],
)
def test_refuses_a_subject_that_is_not_exactly_the_device(names: tuple[str, ...]) -> None:
    assert refusal(make_csr(new_key(), *names)) == Code.WRONG_SUBJECT


def test_refuses_a_request_signed_by_another_key() -> None:
    own, other = (x509.load_pem_x509_csr(make_csr(new_key(), "sensor-1").encode()) for _ in range(2))
    own_body = own.tbs_certrequest_bytes
    forged = other.public_bytes(serialization.Encoding.DER).replace(other.tbs_certrequest_bytes, own_body)
    pem = x509.load_der_x509_csr(forged).public_bytes(serialization.Encoding.PEM).decode()
    assert refusal(pem) == Code.BAD_CSR


def test_refuses_a_request_signed_with_sha1(tmp_path: Path) -> None:
    assert refusal(openssl_request(tmp_path, "-newkey", "rsa:2048", "-sha1")) == Code.BAD_CSR


@pytest.mark.parametrize(
    ("sound", "damaged"),
    [
        pytest.param(b"\x02\x01\x00", b"\x02\x01\x07", id="unknown version"),
        pytest.param(b"\x0c\x08sensor-1", b"\x03\x08\x00ensor-1", id="name that is a bit string"),
    ],
)
def test_refuses_a_damaged_request(sound: bytes, damaged: bytes) -> None:
    csr = x509.load_pem_x509_csr(GOOD_REQUEST.encode())
    der = csr.public_bytes(serialization.Encoding.DER)
    assert sound in der
    body = base64.encodebytes(der.replace(sound, damaged, 1)).decode()
    request = f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"
    assert refusal(request) == Code.BAD_CSR


def test_refuses_a_request_of_unexpected_size() -> None:
    assert refusal("A" * (MAX_CSR_CHARACTERS + 1)) == Code.BAD_CSR


@given(st.text(max_size=300))
def test_refuses_any_text_that_is_no_request(text: str) -> None:
    assert refusal(text) == Code.BAD_CSR


@given(position=st.integers(min_value=30, max_value=300), replacement=st.characters(codec="ascii"))
def test_no_damage_to_a_request_gets_another_key_or_name_through(position: int, replacement: str) -> None:
    pem = GOOD_REQUEST[:position] + replacement + GOOD_REQUEST[position + 1 :]
    with suppress(Rejected):
        assert check_csr(pem, "sensor-1") == check_csr(GOOD_REQUEST, "sensor-1")
