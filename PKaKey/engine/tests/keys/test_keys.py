import hashlib
import importlib.util
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, x25519
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.keys import (
    KnownCompromisedKeys,
    check_public_key,
    describe_key,
    shipped_compromised_keys,
    spki_der,
)
from pkakey_engine.testing import generate_key


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(ec.generate_private_key(ec.SECP521R1()).public_key(), id="P-521"),
        pytest.param(ec.generate_private_key(ec.SECP256K1()).public_key(), id="secp256k1"),
        pytest.param(ed448.Ed448PrivateKey.generate().public_key(), id="Ed448"),
        pytest.param(x25519.X25519PrivateKey.generate().public_key(), id="X25519 cannot sign"),
        pytest.param(dsa.generate_private_key(2048).public_key(), id="DSA"),
        pytest.param("not a key", id="no key at all"),
    ],
)
def test_an_algorithm_that_the_platform_does_not_know_is_refused(key: object) -> None:
    with pytest.raises(Refused) as caught:
        check_public_key(key)
    assert caught.value.refusal is Refusal.KEY_UNSUPPORTED_ALGORITHM


@pytest.mark.parametrize("scalar", [1, 2, 255, 256])
@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()], ids=lambda curve: curve.name)
def test_a_key_with_a_tiny_private_scalar_is_refused(scalar: int, curve: ec.EllipticCurve) -> None:
    with pytest.raises(Refused) as caught:
        check_public_key(ec.derive_private_key(scalar, curve).public_key())
    assert caught.value.refusal is Refusal.KEY_KNOWN_COMPROMISED


def test_the_shipped_list_is_what_its_script_makes() -> None:
    script = Path(__file__).with_name("make_known_compromised.py")
    spec = importlib.util.spec_from_file_location("make_known_compromised", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.TARGET.read_text("ascii").splitlines() == module.lines()
    assert len(shipped_compromised_keys()) == 2 * module.LAST_SCALAR


def test_a_key_on_the_operators_list_is_refused_and_others_are_not() -> None:
    bad, good = generate_key().public_key(), generate_key().public_key()
    digest = hashlib.sha256(spki_der(bad)).hexdigest()
    for line in (digest, digest[:32]):
        listed = KnownCompromisedKeys.parse(["# comment", "", line])
        check_public_key(good, compromised=listed)
        with pytest.raises(Refused) as caught:
            check_public_key(bad, compromised=listed)
        assert caught.value.refusal is Refusal.KEY_KNOWN_COMPROMISED


def test_a_line_of_debians_openssl_blacklist_marks_a_debian_weak_key() -> None:
    key = rsa.generate_private_key(65537, 2048).public_key()
    text = f"Modulus={key.public_numbers().n:X}\n"
    line = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[20:]
    listed = KnownCompromisedKeys.parse([line]) | KnownCompromisedKeys()
    with pytest.raises(Refused) as caught:
        check_public_key(key, compromised=listed)
    assert caught.value.refusal is Refusal.KEY_DEBIAN_WEAK
    check_public_key(generate_key().public_key(), compromised=listed)


@pytest.mark.parametrize("line", ["zz", "00", "0" * 40, "0" * 31, "hello world"])
def test_a_list_with_a_line_of_another_length_is_rejected_as_a_whole(line: str) -> None:
    with pytest.raises(ValueError, match="Line 2"):
        KnownCompromisedKeys.parse(["0" * 32, line])


@pytest.mark.parametrize(
    ("algorithm", "words"),
    [
        ("ecdsa-p256", "EC P-256"),
        ("ecdsa-p384", "EC P-384"),
        ("ed25519", "Ed25519"),
        ("rsa-2048", "RSA 2048 bits"),
    ],
)
def test_each_kind_of_key_has_words(algorithm: str, words: str) -> None:
    assert describe_key(check_public_key(generate_key(algorithm).public_key())) == words
