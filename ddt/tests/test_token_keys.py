"""The published half of the key that signs tokens."""

import json
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from ddt.errors import TroubleError
from ddt.native.token_keys import jwk_set
from pkakey.services.token_keys import load_token_keys


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture(scope="module")
def keys() -> list[rsa.RSAPrivateKey]:
    return [rsa.generate_private_key(65537, 2048) for _ in range(2)]


def test_a_token_of_each_key_is_good_by_the_published_set(keys: list[rsa.RSAPrivateKey]) -> None:
    entries = jwt.PyJWKSet.from_json(jwk_set("".join(map(pem, keys)))).keys
    for key, entry in zip(keys, entries, strict=True):
        token = jwt.encode({"sub": "x"}, key, algorithm="RS256")
        assert jwt.decode(token, entry.key, algorithms=["RS256"]) == {"sub": "x"}


def test_it_is_what_pkakey_publishes_and_nothing_private(
    keys: list[rsa.RSAPrivateKey], tmp_path: Path
) -> None:
    file = tmp_path / "token-signing-key"
    file.write_text("".join(map(pem, keys)))
    published = json.loads(jwk_set(file.read_text()))
    assert published == json.loads(load_token_keys(file).jwks)
    assert all(set(key) == {"kty", "n", "e", "kid", "use", "alg"} for key in published["keys"])


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "no key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        pem(ec.generate_private_key(ec.SECP256R1())),
    ],
)
def test_what_is_no_rsa_key_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(TroubleError) as caught:
        jwk_set(secret)
    assert "token-signing-key" in str(caught.value)
    assert "BEGIN" not in str(caught.value)
