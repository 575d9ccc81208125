"""Where keys come from: bounded, remembered, renewed, and gone when they cannot be trusted."""

import json
from pathlib import Path
from threading import Thread

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from theddt_identity import KeySet, KeysUnavailable, keys_at, keys_in_file
from theddt_identity.keys import (
    FRESH_SECONDS,
    MAX_KEYS,
    MAX_SET_BYTES,
    RETRY_SECONDS,
    STALE_SECONDS,
    RemoteKeys,
)
from theddt_identity.testing import ISSUER, Issuer, serving


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


class Source:
    """A source that counts, changes and fails; and the clock beside it."""

    def __init__(self, body: bytes) -> None:
        self.body: bytes | Exception = body
        self.asked = 0
        self.now = 1000.0
        self.keys = RemoteKeys(ISSUER, self._fetch, clock=lambda: self.now)

    def _fetch(self) -> bytes:
        self.asked += 1
        if isinstance(self.body, Exception):
            raise self.body
        return self.body


@pytest.fixture
def source(issuer: Issuer) -> Source:
    return Source(issuer.jwks)


def entry(issuer: Issuer) -> dict[str, object]:
    found: dict[str, object] = json.loads(issuer.jwks)["keys"][0]
    return found


def test_a_set_is_fetched_once_while_it_is_fresh(source: Source) -> None:
    for _ in range(3):
        assert source.keys.find("test-key", "RS256") is not None
    assert source.asked == 1


def test_nothing_is_fetched_before_it_is_needed(source: Source) -> None:
    assert source.asked == 0


def test_a_new_key_is_found_at_its_first_use(source: Source) -> None:
    assert source.keys.find("test-key", "RS256") is not None
    source.body = Issuer(key_id="next").jwks
    source.now += RETRY_SECONDS
    assert source.keys.find("next", "RS256") is not None


def test_a_withdrawn_key_is_gone_after_the_fresh_time(source: Source) -> None:
    assert source.keys.find("test-key", "RS256") is not None
    source.body = Issuer(key_id="next").jwks
    source.now += FRESH_SECONDS
    assert source.keys.find("test-key", "RS256") is None


def test_unknown_keys_do_not_make_us_ask_again_and_again(source: Source) -> None:
    for number in range(50):
        assert source.keys.find(f"guess-{number}", "RS256") is None
    assert source.asked == 1


def test_known_keys_hold_while_the_source_is_away_but_not_for_ever(source: Source) -> None:
    assert source.keys.find("test-key", "RS256") is not None
    source.body = OSError()
    source.now += STALE_SECONDS - 1
    assert source.keys.find("test-key", "RS256") is not None
    source.now += RETRY_SECONDS
    with pytest.raises(KeysUnavailable):
        source.keys.find("test-key", "RS256")


def test_an_unknown_key_is_no_refusal_while_the_source_is_away(source: Source) -> None:
    assert source.keys.find("test-key", "RS256") is not None
    source.body = OSError()
    source.now += RETRY_SECONDS
    with pytest.raises(KeysUnavailable):
        source.keys.find("next", "RS256")


@pytest.mark.parametrize(
    "body",
    [OSError(), b"", b"[]", b"{}", b'{"keys": 1}', b"<html>", b"[" * 100_000, b"\xff\xfe"],
    ids=["away", "empty", "list", "object", "number", "html", "deep", "no text"],
)
def test_without_a_good_set_nobody_is_let_in(body: bytes | Exception) -> None:
    source = Source(b"")
    source.body = body
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            source.keys.find("test-key", "RS256")
    assert source.asked == 1


def test_a_source_that_comes_back_is_asked_again(source: Source, issuer: Issuer) -> None:
    source.body = OSError()
    with pytest.raises(KeysUnavailable):
        source.keys.find("test-key", "RS256")
    source.body = issuer.jwks
    source.now += RETRY_SECONDS
    assert source.keys.find("test-key", "RS256") is not None


def test_a_bad_set_does_not_replace_a_good_one(source: Source) -> None:
    assert source.keys.find("test-key", "RS256") is not None
    source.body = b"<html>error</html>"
    source.now += FRESH_SECONDS
    assert source.keys.find("test-key", "RS256") is not None


def test_many_threads_make_one_fetch(source: Source) -> None:
    threads = [Thread(target=source.keys.find, args=("test-key", "RS256")) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.asked == 1


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"alg": "RSA-OAEP"},
        {"alg": "HS256"},
        {"alg": 5},
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"},
        {"kty": 7},
        {"kid": None},
        {"kid": 5},
        {"n": "AQAB"},
        {"n": "!!!"},
        {"e": ""},
    ],
)
def test_a_key_that_may_not_check_signatures_is_passed_over(
    issuer: Issuer, change: dict[str, object]
) -> None:
    document = json.dumps({"keys": [entry(issuer) | change]}).encode()
    assert not KeySet.of(document).keys


def test_a_short_rsa_key_is_passed_over() -> None:
    short = rsa.generate_private_key(  # What must be refused.
        public_exponent=65537,
        key_size=1024,  # noqa: S505  # As above.
    ).public_key()
    jwk = json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(short)) | {"kid": "short"}
    jwk.pop("key_ops", None)
    assert not KeySet.of(json.dumps({"keys": [jwk]}).encode()).keys


def test_another_curve_is_passed_over() -> None:
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    jwk = json.loads(jwt.get_algorithm_by_name("ES384").to_jwk(other)) | {"kid": "p384"}
    assert not KeySet.of(json.dumps({"keys": [jwk]}).encode()).keys


def test_a_private_key_in_a_public_set_is_passed_over(issuer: Issuer) -> None:
    jwk = json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(issuer.private_key))
    jwk |= {"kid": "leaked", "key_ops": ["verify"]}
    assert not KeySet.of(json.dumps({"keys": [jwk]}).encode()).keys


def test_keys_beside_a_strange_one_are_read(issuer: Issuer) -> None:
    document = json.dumps({"keys": [7, None, {"kty": "OKP"}, entry(issuer)]}).encode()
    assert KeySet.of(document).find("test-key", "RS256") is not None


def test_a_key_without_its_algorithm_serves_those_of_its_type(issuer: Issuer) -> None:
    plain = {name: value for name, value in entry(issuer).items() if name not in {"alg", "use"}}
    keys = KeySet.of(json.dumps({"keys": [plain]}).encode())
    assert {algorithm for _, algorithm in keys.keys} == {"RS256", "PS256"}


def test_a_set_of_too_many_keys_is_refused(issuer: Issuer) -> None:
    with pytest.raises(ValueError, match="at most"):
        KeySet.of(json.dumps({"keys": [entry(issuer)] * (MAX_KEYS + 1)}).encode())


def test_keys_are_fetched_over_http(issuer: Issuer) -> None:
    with serving(issuer.jwks) as server:
        assert keys_at(ISSUER, server.url).find("test-key", "RS256") is not None


@pytest.mark.parametrize("status", [301, 302, 307, 404, 500])
def test_only_a_plain_answer_counts(issuer: Issuer, status: int) -> None:
    with serving(issuer.jwks) as good, serving(issuer.jwks) as server:
        server.status = status
        server.headers = {"Location": good.url}
        with pytest.raises(KeysUnavailable):
            keys_at(ISSUER, server.url).find("test-key", "RS256")
        assert good.asked == 0


def test_an_endless_answer_is_cut_off(issuer: Issuer) -> None:
    with serving(issuer.jwks + b" " * MAX_SET_BYTES) as server, pytest.raises(KeysUnavailable):
        keys_at(ISSUER, server.url).find("test-key", "RS256")


def test_a_server_that_is_not_there_makes_no_other_error() -> None:
    with pytest.raises(KeysUnavailable):
        keys_at(ISSUER, "http://127.0.0.1:9/certs").find("test-key", "RS256")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/", "certs", "", "http://"])
def test_an_address_that_is_no_web_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        keys_at(ISSUER, url)


def test_keys_are_read_from_a_file(issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    with pytest.raises(KeysUnavailable):
        keys_in_file(ISSUER, file).find("test-key", "RS256")
    file.write_bytes(issuer.jwks)
    assert keys_in_file(ISSUER, file).find("test-key", "RS256") is not None
