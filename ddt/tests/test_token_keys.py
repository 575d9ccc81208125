"""The published half of the key that signs tokens."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from ddt.errors import TroubleError
from ddt.native.token_keys import Key, jwk_set
from ddt.native.token_keys import keys as keys_in
from pkakey.services.token_keys import load_token_keys

NOW = datetime(2126, 5, 17, 12, tzinfo=UTC)


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
    entries = jwt.PyJWKSet.from_json(jwk_set("".join(map(pem, keys)), NOW)).keys
    for key, entry in zip(keys, entries, strict=True):
        token = jwt.encode({"sub": "x"}, key, algorithm="RS256")
        assert jwt.decode(token, entry.key, algorithms=["RS256"]) == {"sub": "x"}


def test_it_is_what_pkakey_publishes_and_nothing_private(
    keys: list[rsa.RSAPrivateKey], tmp_path: Path
) -> None:
    file = tmp_path / "token-signing-key"
    file.write_text("".join(map(pem, keys)))
    published = json.loads(jwk_set(file.read_text(), NOW))
    assert published == json.loads(load_token_keys(file, NOW).jwks)
    assert all(set(key) == {"kty", "n", "e", "kid", "use", "alg"} for key in published["keys"])


def test_former_keys_count_here_and_at_pkakey_until_the_same_moment(
    keys: list[rsa.RSAPrivateKey], tmp_path: Path
) -> None:
    file = tmp_path / "token-signing-key"
    until = NOW + timedelta(hours=1)
    file.write_text(Key(pem(keys[0])).text() + Key(pem(keys[1]), until).text())
    for moment, count in ((until - timedelta(seconds=1), 2), (until, 1)):
        published = json.loads(jwk_set(file.read_text(), moment))
        assert published == json.loads(load_token_keys(file, moment).jwks)
        assert len(published["keys"]) == count


def test_a_key_to_come_is_published_once_beside_those_that_count(
    keys: list[rsa.RSAPrivateKey],
) -> None:
    present, coming = (Key(pem(key).strip()).text() for key in keys)
    published = json.loads(jwk_set(present, NOW, coming + present))["keys"]
    assert len({key["kid"] for key in published}) == len(published) == 2


@pytest.mark.parametrize("moment", ["", "soon", "2126-05-17T12:00:00"])
def test_a_bound_that_is_no_moment_with_its_zone_is_refused(
    keys: list[rsa.RSAPrivateKey], moment: str
) -> None:
    with pytest.raises(TroubleError, match="token-signing-key"):
        keys_in(f"{pem(keys[0])}Until: {moment}\n{pem(keys[1])}", NOW)


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
        jwk_set(secret, NOW)
    assert "token-signing-key" in str(caught.value)
    assert "BEGIN" not in str(caught.value)
