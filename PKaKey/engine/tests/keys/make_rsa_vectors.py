"""Write vectors/keys/rsa.json: RSA public keys to refuse, and sound ones to accept.

Deterministic by its seed: the same file comes out each time. ROCA keys are made as the broken
library made them (Nemec et al., 2017): primes k*M + (65537^a mod M), M the product of the first
126 primes.
"""

import json
import math
import random
from pathlib import Path

SEED = 7
TARGET = Path(__file__).parents[1] / "vectors" / "keys" / "rsa.json"
_RANDOM = random.Random(SEED)  # noqa: S311 - vectors, not keys.


def is_prime(number: int) -> bool:
    """Return whether the number passes 24 rounds of Miller-Rabin."""
    if any(number % small == 0 for small in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(24):
        power = pow(_RANDOM.randrange(2, number - 1), odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def prime(bits: int) -> int:
    """Return a prime whose two top bits are set, so that two of them give twice the bits."""
    while True:
        number = _RANDOM.getrandbits(bits) | 3 << (bits - 2) | 1
        if is_prime(number):
            return number


def next_prime(number: int) -> int:
    """Return the first prime after an odd number."""
    number += 2
    while not is_prime(number):
        number += 2
    return number


def roca_prime(bits: int) -> int:
    """Return a prime of the broken library's form."""
    primes = [n for n in range(2, 800) if all(n % d for d in range(2, math.isqrt(n) + 1))][:126]
    product = math.prod(primes)
    while True:
        residue = pow(65537, _RANDOM.getrandbits(254), product)
        low = (3 << (bits - 2)) // product + 1
        number = _RANDOM.randrange(low, (1 << bits) // product) * product + residue
        if number.bit_length() == bits and is_prime(number):
            return number


def vectors() -> list[dict[str, object]]:
    """Return the vectors: id, what makes the key so, modulus, exponent, expected code or null."""
    p, q = prime(1024), prime(1024)
    sound = p * q
    close = next_prime(p)
    rows: list[tuple[str, int, int, str | None]] = [
        ("sound-2048", sound, 65537, None),
        ("sound-3072", prime(1536) * prime(1536), 65537, None),
        ("sound-large-odd-exponent", sound, 2**256 - 1, None),
        ("1024-bits", prime(512) * prime(512), 65537, "key.too-small"),
        ("2040-bits", prime(1020) * prime(1020), 65537, "key.too-small"),
        ("2047-bits-as-some-cards-make", (sound >> 1) | 1, 65537, "key.too-small"),
        ("4104-bits", prime(2052) * prime(2052), 65537, "key.too-large"),
        ("2052-bits-no-multiple-of-8", prime(1026) * prime(1026), 65537, "key.malformed"),
        ("exponent-3", sound, 3, "key.bad-exponent"),
        ("exponent-17", sound, 17, "key.bad-exponent"),
        ("exponent-65535-one-step-too-low", sound, 65535, "key.bad-exponent"),
        ("exponent-2^256+1", sound, 2**256 + 1, "key.bad-exponent"),
        ("factor-3", prime(2046) * 3, 65537, "key.small-factor"),
        ("factor-751-the-last-below-752", prime(2038) * 751, 65537, "key.small-factor"),
        ("close-primes-neighbours", p * close, 65537, "key.close-primes"),
        ("close-primes-square", p * p, 65537, "key.close-primes"),
        (
            "close-primes-some-32-rounds-away",
            p * next_prime(p + (math.isqrt(math.isqrt(sound)) << 4)),
            65537,
            "key.close-primes",
        ),
        ("roca-2048", roca_prime(1024) * roca_prime(1024), 65537, "key.roca"),
    ]
    return [
        {"id": name, "modulus": f"{modulus:x}", "exponent": f"{exponent:x}", "refusal": refusal}
        for name, modulus, exponent, refusal in rows
    ]


if __name__ == "__main__":
    TARGET.write_text(json.dumps(vectors(), indent=1) + "\n", "ascii")
