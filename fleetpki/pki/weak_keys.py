# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""RSA moduli that are broken whatever their size."""

import math
from functools import cache

_ROUNDS_OF_FERMAT = 100
_SMALL = [n for n in range(3, 752, 2) if all(n % d for d in range(3, math.isqrt(n) + 1, 2))]
_PRODUCT_OF_SMALL = math.prod(_SMALL)
_ROCA_PRIMES = [prime for prime in _SMALL if prime <= 167]


def weakness(modulus: int) -> str | None:
    """What is wrong with an RSA modulus, if that is known."""
    if modulus % 2 == 0 or math.gcd(modulus, _PRODUCT_OF_SMALL) != 1:
        return "its modulus has a small factor"
    if _has_close_factors(modulus):
        return "the factors of its modulus are too close to each other"
    if _is_roca(modulus):
        return "it was made by a chip with a broken generator (ROCA, CVE-2017-15361)"
    return None


def _has_close_factors(modulus: int) -> bool:
    """Fermat's factorisation finds factors near the square root in a few rounds (CVE-2022-26320)."""
    middle = math.isqrt(modulus - 1) + 1
    for candidate in range(middle, middle + _ROUNDS_OF_FERMAT):
        rest = candidate * candidate - modulus
        if math.isqrt(rest) ** 2 == rest:
            return True
    return False


def _is_roca(modulus: int) -> bool:
    """The generator's primes are powers of 65537 modulo many small primes, and so is their product."""
    return all(modulus % prime in _powers(prime) for prime in _ROCA_PRIMES)


@cache
def _powers(prime: int) -> frozenset[int]:
    return frozenset(pow(65537, exponent, prime) for exponent in range(prime))
