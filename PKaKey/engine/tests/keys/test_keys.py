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


# A key of May 2008 from a Debian machine, published as a sample of CVE-2008-0166, and its published
# fingerprint: SHA-1 of what `openssl rsa -modulus` prints.
DEBIAN_MODULUS = (
    "D33C5D6E98B0EA4EAB76A60D6A0A7B9C5983C58C0AA1D3C3796958169F27027B"
    "AC81253FA579C482E884A2E1CEF0CA813EC8359E9610D29473CA36D63C1E81A0"
    "101A481A3CFF58610E8EA72A2A158267D66F4DA2866928A23D46E021C5442FDF"
    "9E4ADD6BC5367D3F7722610929511310836E7A77D608B7F191F82419BE1187EC"
    "A184F06651C448EA90478813EB6DC9BE53FC6669D31CAB638A3F3063D13CCADA"
    "5B4AFA231DCEF95486ED5D2D718C30E0CE4ADA2FFDE1816003F09D183A25CCB2"
    "874A57039500E4B6500BAB7CD435DC301D19F2C256AE4F837DD2DE630E88A652"
    "A87C1F2A444224503DA97DC3EEBBC793E6E5BEEC631C1ED2788FCB1DA10E0AF7"
)
DEBIAN_FINGERPRINT = "24a319be7f63b8b46e9cd10d992069d592fe1766"


def test_a_key_that_debian_made_in_2008_is_caught_by_its_published_fingerprint() -> None:
    key = rsa.RSAPublicNumbers(65537, int(DEBIAN_MODULUS, 16)).public_key()
    listed = KnownCompromisedKeys.parse([DEBIAN_FINGERPRINT[20:]])
    with pytest.raises(Refused) as caught:
        check_public_key(key, compromised=listed)
    assert caught.value.refusal is Refusal.KEY_DEBIAN_WEAK


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
