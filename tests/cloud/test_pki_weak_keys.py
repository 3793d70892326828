# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""RSA keys that are broken whatever their size are refused by name."""

import math

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from fleetpki.errors import Code, Rejected
from fleetpki.pki import keys
from fleetpki.pki.weak_keys import weakness

BITS = 2048


SMALL = math.prod(n for n in range(3, 752, 2))


def without_small_factors(start: int, step: int = 2) -> int:
    """The next number of a sequence that no small prime divides: as good as a prime for these checks."""
    while math.gcd(start, SMALL) != 1:
        start += step
    return start


def close_factors() -> int:
    first = without_small_factors((1 << (BITS // 2 - 1)) + (1 << (BITS // 2 - 2)) + 1)
    return first * without_small_factors(first + 2)


def roca() -> int:
    """What the broken generator's moduli look like: a power of 65537 modulo the product of small primes."""
    product = math.prod(n for n in range(2, 168) if all(n % d for d in range(2, math.isqrt(n) + 1)))
    power = pow(65537, 12345, product)
    return without_small_factors(power + product * ((1 << (BITS - 1)) // product + 4), product)


@pytest.mark.parametrize(
    ("modulus", "flaw"),
    [
        (close_factors(), "close"),
        (roca(), "ROCA"),
        (3 * (1 << (BITS - 2)) + 3, "small factor"),
    ],
    ids=["close factors", "ROCA", "small factor"],
)
def test_a_broken_modulus_is_named(modulus: int, flaw: str) -> None:
    assert modulus.bit_length() == BITS
    with pytest.raises(Rejected, match=flaw) as caught:
        keys.accept(rsa.RSAPublicNumbers(65537, modulus).public_key())
    assert caught.value.code == Code.WEAK_KEY


def test_good_keys_are_not_mistaken_for_broken_ones() -> None:
    for _ in range(5):
        key = rsa.generate_private_key(65537, BITS).public_key()
        assert weakness(key.public_numbers().n) is None
