# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Which keys are good enough, what they are called, and how to make and write them."""

from collections.abc import Callable
from enum import StrEnum

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from fleetpki.errors import Code, Rejected
from fleetpki.pki.weak_keys import weakness

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_RSA_EXPONENT_MIN = 65537
_RSA_EXPONENT_MAX = 2**32


class KeyType(StrEnum):
    """The accepted keys."""

    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"


_GENERATORS: dict[KeyType, Callable[[], PrivateKey]] = {
    KeyType.EC_P256: lambda: ec.generate_private_key(ec.SECP256R1()),
    KeyType.EC_P384: lambda: ec.generate_private_key(ec.SECP384R1()),
    KeyType.RSA_2048: lambda: rsa.generate_private_key(_RSA_EXPONENT_MIN, 2048),
    KeyType.RSA_3072: lambda: rsa.generate_private_key(_RSA_EXPONENT_MIN, 3072),
    KeyType.RSA_4096: lambda: rsa.generate_private_key(_RSA_EXPONENT_MIN, 4096),
}
_EC_CURVES = {"secp256r1": KeyType.EC_P256, "secp384r1": KeyType.EC_P384}
_RSA_SIZES = {2048: KeyType.RSA_2048, 3072: KeyType.RSA_3072, 4096: KeyType.RSA_4096}


def generate(key_type: KeyType) -> PrivateKey:
    """Make a new key pair."""
    return _GENERATORS[key_type]()


def accept(key: CertificatePublicKeyTypes) -> tuple[PublicKey, KeyType]:
    """Return the key and its type if it is good enough; otherwise raise ``Rejected(weak_key)``."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        key_type = _EC_CURVES.get(key.curve.name)
        if key_type is not None:
            return key, key_type
    elif isinstance(key, rsa.RSAPublicKey):
        exponent = key.public_numbers().e
        sane_exponent = exponent % 2 == 1 and _RSA_EXPONENT_MIN <= exponent <= _RSA_EXPONENT_MAX
        key_type = _RSA_SIZES.get(key.key_size)
        if key_type is not None and sane_exponent:
            flaw = weakness(key.public_numbers().n)
            if flaw is not None:
                raise Rejected(Code.WEAK_KEY, f"the key is broken: {flaw}")
            return key, key_type
    raise Rejected(Code.WEAK_KEY, f"the key must be one of {', '.join(KeyType)} with a usual exponent")


def sign(key: PrivateKey, data: bytes, digest: hashes.HashAlgorithm) -> bytes:
    """Sign as X.509 has it: ECDSA (RFC 5758, 3.2), or RSA with PKCS#1 v1.5 (RFC 4055, 5)."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(digest))
    return key.sign(data, padding.PKCS1v15(), digest)


def private_key_pem(key: PrivateKey, passphrase: bytes | None = None) -> bytes:
    """PKCS#8 PEM, encrypted when there is a passphrase."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
