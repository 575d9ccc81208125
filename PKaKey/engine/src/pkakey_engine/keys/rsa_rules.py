"""Rules on RSA public keys: size, exponent, and the known ways to be weak.

Not covered: a modulus that is itself prime (a test costs more than all of issuance), primes that
are close to a small ratio of each other, and keys that share a factor with another key.
"""

import math
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa

from pkakey_engine.errors import Refusal, Refused

__all__ = ["MAX_RSA_BITS", "MIN_RSA_BITS", "check_rsa_key"]

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 4096

# CA/Browser Forum Baseline Requirements section 6.1.6: odd, from 2^16+1 to 2^256-1.
_MIN_EXPONENT = 65537
_EXPONENT_LIMIT = 2**256

# NIST SP 800-89 section 5.3.3 asks for no factor below 752.
_SMALL_FACTOR_LIMIT = 752

# Nemec et al., "The Return of Coppersmith's Attack" (CVE-2017-15361): the primes of the broken
# library are k*M + (65537^a mod M), M a primorial, so that the modulus is a power of 65537
# modulo every prime of M. 167 is the last prime of the M used for 2048-bit keys (the first 39).
_ROCA_GENERATOR = 65537
_ROCA_LAST_PRIME = 167

# Fermat's factorisation finds primes that are closer than about 100 * 2 * n^(1/4) (BR 6.1.1.3).
_FERMAT_ROUNDS = 100
_SQUARES_MODULO_256 = frozenset(root * root % 256 for root in range(256))


def _primes_below(limit: int) -> list[int]:
    return [
        number
        for number in range(2, limit)
        if all(number % divisor for divisor in range(2, math.isqrt(number) + 1))
    ]


@cache
def _small_primorial() -> int:
    return math.prod(_primes_below(_SMALL_FACTOR_LIMIT))


@cache
def _roca_residues() -> tuple[int, tuple[tuple[int, frozenset[int]], ...]]:
    """Return the primes' product, and for each telling prime the powers of the generator."""
    telling: list[tuple[int, frozenset[int]]] = []
    for prime in _primes_below(_ROCA_LAST_PRIME + 1):
        powers = frozenset(pow(_ROCA_GENERATOR, exponent, prime) for exponent in range(prime))
        if len(powers) < prime - 1:
            telling.append((prime, powers))
    return math.prod(prime for prime, _ in telling), tuple(telling)


def has_roca_fingerprint(modulus: int) -> bool:
    """Return whether the modulus has the fingerprint; by chance about one in 2^27 has."""
    product, telling = _roca_residues()
    rest = modulus % product
    return all(rest % prime in powers for prime, powers in telling)


def has_close_primes(modulus: int) -> bool:
    """Return whether Fermat's method factors the modulus within 100 rounds."""
    root = math.isqrt(modulus)
    if root * root == modulus:
        return True
    root += 1
    difference = root * root - modulus
    for _ in range(_FERMAT_ROUNDS):
        # The cheap look at the low octet spares five of six square roots.
        if difference & 0xFF in _SQUARES_MODULO_256 and math.isqrt(difference) ** 2 == difference:
            return True
        difference += 2 * root + 1
        root += 1
    return False


def check_rsa_key(public_key: rsa.RSAPublicKey) -> None:
    """Raise ``Refused`` unless the key is one that may be certified."""
    numbers = public_key.public_numbers()
    modulus, exponent, bits = numbers.n, numbers.e, public_key.key_size
    if bits < MIN_RSA_BITS:
        raise Refused(
            Refusal.KEY_TOO_SMALL,
            f"The RSA key has {bits} bits; make one with {MIN_RSA_BITS} to {MAX_RSA_BITS} bits.",
        )
    if bits > MAX_RSA_BITS:
        raise Refused(
            Refusal.KEY_TOO_LARGE,
            f"The RSA key has {bits} bits; make one with {MIN_RSA_BITS} to {MAX_RSA_BITS} bits.",
        )
    if bits % 8:
        raise Refused(
            Refusal.KEY_MALFORMED,
            f"The RSA key has {bits} bits, which is no multiple of 8; make a new key.",
        )
    if exponent % 2 == 0 or not _MIN_EXPONENT <= exponent < _EXPONENT_LIMIT:
        raise Refused(
            Refusal.KEY_BAD_EXPONENT,
            "The RSA key's public exponent must be odd, at least 65537 and below 2^256; "
            "make a new key with the exponent 65537.",
        )
    if math.gcd(modulus, _small_primorial()) != 1:
        raise Refused(
            Refusal.KEY_SMALL_FACTOR,
            "The RSA modulus has a factor below 752, so that anyone can break it; make a new key.",
        )
    if has_roca_fingerprint(modulus):
        raise Refused(
            Refusal.KEY_ROCA,
            "The RSA key was made by a chip or library with the ROCA fault (CVE-2017-15361); "
            "make a new key elsewhere.",
        )
    if has_close_primes(modulus):
        raise Refused(
            Refusal.KEY_CLOSE_PRIMES,
            "The RSA key's primes lie so close together that anyone can find them "
            "(CVE-2022-26320); make a new key with another program.",
        )
