import json
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pkakey_engine.errors import Refused
from pkakey_engine.keys import check_public_key
from pkakey_engine.keys.rsa_rules import has_close_primes, has_roca_fingerprint

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "keys" / "rsa.json").read_text("ascii")
)


def load(modulus: int, exponent: int = 65537) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_each_vector_is_refused_for_its_own_reason(vector: dict[str, str]) -> None:
    key = load(int(vector["modulus"], 16), int(vector["exponent"], 16))
    code = None
    try:
        check_public_key(key)
    except Refused as error:
        code = error.refusal.value
    assert code == vector["refusal"]


def test_most_vectors_are_negative() -> None:
    refused = [vector for vector in VECTORS if vector["refusal"]]
    assert len(refused) > len(VECTORS) / 2


def test_fresh_openssl_keys_have_no_roca_fingerprint_and_no_close_primes() -> None:
    for _ in range(3):
        modulus = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n
        assert not has_roca_fingerprint(modulus)
        assert not has_close_primes(modulus)


def test_random_odd_numbers_almost_never_have_the_roca_fingerprint() -> None:
    source = random.Random(11)  # noqa: S311 - vectors, not keys.
    assert not any(has_roca_fingerprint(source.getrandbits(2048) | 1) for _ in range(5000))


def test_every_power_of_65537_has_the_roca_fingerprint() -> None:
    assert all(has_roca_fingerprint(65537**power) for power in range(1, 40))
