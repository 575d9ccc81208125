"""The issuers' keys in the database: public ones for signatures, and the last good ones stay."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pesequel import keys
from pesequel.errors import TroubleError
from psycopg.conninfo import make_conninfo

RSA = {"kty": "RSA", "n": "AQ", "e": "AQAB", "kid": "one", "alg": "RS256", "use": "sig"}
EC = {"kty": "EC", "crv": "P-256", "x": "AQ", "y": "Ag", "kid": "two"}


def key_set(*members: dict[str, Any]) -> bytes:
    return json.dumps({"keys": members}).encode()


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], str]]:
    """Serve these octets on loopback; return where."""
    servers = []

    def start(octets: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/jwks"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def authenticator(data_database: str, data_dsn: Callable[[str], str]) -> Iterator[str]:
    """PostgREST's role in a database of its own: a PostgREST of other tests would take the keys."""
    with psycopg.connect(data_database, autocommit=True) as admin:
        admin.execute("CREATE DATABASE keys_of_issuers")
        try:
            yield make_conninfo(data_dsn("authenticator"), dbname="keys_of_issuers")
        finally:
            admin.execute("DROP DATABASE keys_of_issuers WITH (FORCE)")


def stored(dsn: str) -> list[dict[str, str]]:
    """Return the keys as PostgREST's own next connection finds them."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT current_setting(%s, true)", [keys.SETTING]).fetchone()
    assert row is not None
    found: list[dict[str, str]] = json.loads(row[0])["keys"] if row[0] else []
    return found


def test_only_the_public_parts_of_signature_keys_are_taken() -> None:
    private = RSA | {"d": "secret", "p": "secret", "x5c": "long"}
    found = keys.signature_keys(key_set(private, EC, RSA | {"use": "enc", "kid": "three"}), "x")
    assert found == [RSA, EC]


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"", "JWK set"),
        (b"{", "JWK set"),
        (b"[]", "JWK set"),
        (b"null", "JWK set"),
        (b"[" * 200_000, "JWK set"),
        (b'{"keys": 7}', "JWK set"),
        (b'{"keys": [7]}', "JWK set"),
        (key_set({"n": "AQ"}), "JWK set"),
        (key_set({"kty": "RSA", "n": "AQ"}), "JWK set"),
        (key_set(RSA | {"e": 65537}), "JWK set"),
        (key_set(RSA | {"kid": ["one"]}), "JWK set"),
        (b'{"keys": []}', "no public key"),
        (key_set({"kty": "oct", "k": "c2VjcmV0"}), "no public key"),
        (key_set(RSA | {"use": "enc"}), "no public key"),
    ],
)
def test_what_is_no_set_of_public_keys_is_refused(octets: bytes, said: str) -> None:
    with pytest.raises(TroubleError, match=said):
        keys.signature_keys(octets, "x")


@given(st.binary() | st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(
    inner) | st.dictionaries(st.sampled_from(["keys", "kty", "n", "e"]), inner)).map(
        lambda value: json.dumps(value).encode()))  # fmt: skip
def test_anything_else_is_refused_with_a_sentence(octets: bytes) -> None:
    try:
        keys.signature_keys(octets, "x")
    except TroubleError:
        return


@pytest.mark.parametrize("address", ["file:///etc/hosts", "ftp://127.0.0.1/", "", "jwks.json"])
def test_keys_come_by_http_alone(address: str) -> None:
    with pytest.raises(TroubleError, match=r"no http\(s\) address"):
        keys.fetch(address)


def test_an_answer_without_end_is_not_read(serve: Callable[[bytes], str]) -> None:
    with pytest.raises(TroubleError, match="more than"):
        keys.fetch(serve(b" " * (keys.MOST_OCTETS + 1)))


def test_an_issuer_that_does_not_answer_is_named() -> None:
    with pytest.raises(TroubleError, match=r"127\.0\.0\.1:1/ cannot be fetched"):
        keys.fetch("http://127.0.0.1:1/")


def test_the_keys_of_all_issuers_are_stored_once(
    serve: Callable[[bytes], str], authenticator: str
) -> None:
    addresses = [serve(key_set(EC)), serve(key_set(RSA))]
    assert keys.refresh(authenticator, addresses)
    assert stored(authenticator) == [RSA, EC]
    assert not keys.refresh(authenticator, addresses)


def test_while_one_issuer_is_gone_the_keys_stay_as_they_are(
    serve: Callable[[bytes], str], authenticator: str
) -> None:
    assert keys.refresh(authenticator, [serve(key_set(RSA))])
    for bad in ("http://127.0.0.1:1/", serve(b"<html>")):
        with pytest.raises(TroubleError):
            keys.refresh(authenticator, [serve(key_set(EC)), bad])
    assert stored(authenticator) == [RSA]


def test_another_role_stores_nothing(data_dsn: Callable[[str], str]) -> None:
    with pytest.raises(TroubleError, match="did not take the keys"):
        keys.store(data_dsn("nobody_at_all"), [RSA])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"PESEQUEL_KEYS_DATABASE_URL": ""}, "have to be set"),
        ({"PESEQUEL_KEYS_URLS": " "}, "have to be set"),
        ({"PESEQUEL_KEYS_SECONDS": "soon"}, "a whole number of seconds"),
        ({"PESEQUEL_KEYS_SECONDS": "-1"}, "a whole number of seconds"),
        ({"PESEQUEL_KEYS_DATABASE_PASSWORD_FILE": "/nowhere"}, "cannot be read"),
    ],
)
def test_a_wrong_setting_is_told_and_nothing_starts(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str],
    said: str,
) -> None:
    good = {
        "PESEQUEL_KEYS_DATABASE_URL": "postgresql:///pesequel",
        "PESEQUEL_KEYS_URLS": "http://127.0.0.1:1/",
    }
    for name, value in (good | changes).items():
        monkeypatch.setenv(name, value)
    assert keys.main() == 1
    assert said in capsys.readouterr().err
