"""A token is believed for its signature, issuer, audience, time and kind; else it is refused."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from theddt_identity import (
    LEEWAY,
    MAX_TOKEN_BYTES,
    KeySet,
    KeysUnavailable,
    TokenRefused,
    TrustedIssuer,
    Verifier,
    keys_at,
)
from theddt_identity.testing import ISSUER, Issuer, segment

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
FOREIGN = "https://elsewhere.example/realms/theddt"


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def verifier(issuer: Issuer) -> Verifier:
    return Verifier(audience="koolflows", issuers=[issuer.trusted])


def refusal(verifier: Verifier, token: str, now: datetime = NOW) -> str:
    with pytest.raises(TokenRefused) as caught:
        verifier.caller(token, now=now)
    assert len(token) < 40 or token not in caught.value.detail
    return caught.value.code


def with_header(issuer: Issuer, **header: Any) -> str:
    claims = issuer.claims(now=NOW, audience="koolflows")
    return issuer.sign(claims, header=header)


def test_a_good_token_tells_who_calls(issuer: Issuer, verifier: Verifier) -> None:
    caller = verifier.caller(issuer.token(now=NOW, audience="koolflows"), now=NOW)
    assert caller.issuer == ISSUER
    assert (caller.username, caller.name) == ("ada", "Ada Lovelace")
    assert caller.roles == {"pki-requester"}
    assert caller.namespace == "default"
    assert caller.expires_at - caller.issued_at == timedelta(minutes=5)
    assert caller.key == f"{ISSUER}#4b1c7d0e"


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
def test_each_allowed_algorithm_is_read(algorithm: str) -> None:
    own = Issuer(algorithm=algorithm)
    verifier = Verifier(audience="koolflows", issuers=[own.trusted])
    assert verifier.caller(own.token(now=NOW, audience="koolflows"), now=NOW).username == "ada"


def test_one_of_several_audiences_is_enough(issuer: Issuer, verifier: Verifier) -> None:
    token = issuer.token(now=NOW, audience="koolflows", aud=["account", "koolflows"])
    assert verifier.caller(token, now=NOW).username == "ada"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
def test_an_unsigned_token_is_refused(issuer: Issuer, verifier: Verifier, alg: str) -> None:
    claims = issuer.claims(now=NOW, audience="koolflows")
    head = segment({"alg": alg, "typ": "JWT", "kid": "test-key"})
    assert refusal(verifier, f"{head}.{segment(claims)}.") == "jwt.malformed"
    assert refusal(verifier, f"{head}.{segment(claims)}.AA") == "jwt.algorithm"


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_no_shared_secret(issuer: Issuer, verifier: Verifier, alg: str) -> None:
    public = issuer.private_key.public_key()
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        issuer.jwks,
        b"",
    ):
        head = segment({"alg": alg, "typ": "JWT", "kid": "test-key"})
        signed = f"{head}.{segment(issuer.claims(now=NOW, audience='koolflows'))}"
        digest = hmac.new(secret, signed.encode(), getattr(hashlib, f"sha{alg[2:]}")).digest()
        token = f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
        assert refusal(verifier, token) == "jwt.algorithm"


@pytest.mark.parametrize("alg", ["RS512", "ES512", "EdDSA", "rs256", "", 5, None, ["RS256"], {}])
def test_other_algorithms_are_refused(issuer: Issuer, verifier: Verifier, alg: Any) -> None:
    head = segment({"alg": alg, "typ": "JWT", "kid": "test-key"})
    claims = segment(issuer.claims(now=NOW, audience="koolflows"))
    assert refusal(verifier, f"{head}.{claims}.AAAA") == "jwt.algorithm"


def test_an_algorithm_of_another_key_type_finds_no_key(issuer: Issuer, verifier: Verifier) -> None:
    other = Issuer(algorithm="ES256")
    token = other.sign(issuer.claims(now=NOW, audience="koolflows"))
    assert refusal(verifier, token) == "jwt.key"


def test_a_token_of_a_foreign_issuer_is_refused(verifier: Verifier) -> None:
    assert refusal(verifier, Issuer(FOREIGN).token(now=NOW, audience="koolflows")) == "jwt.issuer"


@pytest.mark.parametrize("wrong", [f"{ISSUER}/", ISSUER.upper(), "", None, 5, [ISSUER]])
def test_an_issuer_is_compared_whole(issuer: Issuer, verifier: Verifier, wrong: Any) -> None:
    token = (
        issuer.token(now=NOW, audience="koolflows", iss=wrong)
        if not _odd(wrong)
        else (_signed(issuer, iss=wrong))
    )
    assert refusal(verifier, token) == "jwt.issuer"


def _odd(value: Any) -> bool:
    # PyJWT signs no `iss` that is not a text; a hostile issuer may.
    return value is not None and not isinstance(value, str)


def _signed(issuer: Issuer, **more: Any) -> str:
    claims = issuer.claims(now=NOW, audience="koolflows", **more)
    return jwt.api_jws.encode(
        json.dumps(claims).encode(),
        issuer.private_key,
        algorithm=issuer.algorithm,
        headers={"kid": issuer.key_id, "typ": "JWT"},
    )


def test_one_issuers_keys_do_not_sign_for_another(issuer: Issuer) -> None:
    other = Issuer(FOREIGN)
    both = Verifier(audience="koolflows", issuers=[issuer.trusted, other.trusted])
    forged = other.sign(issuer.claims(now=NOW, audience="koolflows"))
    assert refusal(both, forged) == "jwt.signature"


def test_a_forged_signature_is_refused(issuer: Issuer, verifier: Verifier) -> None:
    head, claims, signature = issuer.token(now=NOW, audience="koolflows").split(".")
    better = segment(issuer.claims(now=NOW, audience="koolflows", roles=["pki-admin"]))
    assert refusal(verifier, f"{head}.{better}.{signature}") == "jwt.signature"
    assert refusal(verifier, f"{head}.{claims}.{'A' * len(signature)}") == "jwt.signature"
    assert refusal(verifier, f"{head}.{claims}.AAAA") == "jwt.signature"


def test_a_strangers_key_of_the_same_name_is_no_good(verifier: Verifier) -> None:
    assert refusal(verifier, Issuer().token(now=NOW, audience="koolflows")) == "jwt.signature"


@pytest.mark.parametrize("audience", ["pkakey", "koolflow", "koolflows ", "", None, [], ["pkakey"]])
def test_a_token_for_another_service_is_refused(
    issuer: Issuer, verifier: Verifier, audience: Any
) -> None:
    token = issuer.token(now=NOW, audience="koolflows", aud=audience)
    assert refusal(verifier, token) == "jwt.audience"


@pytest.mark.parametrize("audience", [5, True, {"koolflows": 1}, [["koolflows"]]])
def test_an_audience_of_another_form_is_refused(
    issuer: Issuer, verifier: Verifier, audience: Any
) -> None:
    assert refusal(verifier, _signed(issuer, aud=audience)) == "jwt.audience"


def test_a_token_ends_when_it_says(issuer: Issuer, verifier: Verifier) -> None:
    token = issuer.token(now=NOW, audience="koolflows")
    end = NOW + timedelta(minutes=5)
    assert verifier.caller(token, now=end + LEEWAY - timedelta(seconds=1))
    assert refusal(verifier, token, end + LEEWAY) == "jwt.expired"


def test_a_token_from_the_future_is_refused(issuer: Issuer, verifier: Verifier) -> None:
    token = issuer.token(now=NOW, audience="koolflows")
    assert verifier.caller(token, now=NOW - LEEWAY)
    assert refusal(verifier, token, NOW - LEEWAY - timedelta(seconds=1)) == "jwt.not-yet-valid"
    later = int((NOW + timedelta(minutes=2)).timestamp())
    token = issuer.token(now=NOW, audience="koolflows", nbf=later)
    assert refusal(verifier, token) == "jwt.not-yet-valid"


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", ["1", True, [], {}, -1, 1e300, 10**30])
def test_a_time_that_is_none_is_refused(
    issuer: Issuer, verifier: Verifier, name: str, value: Any
) -> None:
    assert refusal(verifier, _signed(issuer, **{name: value})) == "jwt.claims"


@pytest.mark.parametrize("name", ["exp", "iat"])
def test_a_token_without_its_times_is_refused(
    issuer: Issuer, verifier: Verifier, name: str
) -> None:
    token = issuer.token(now=NOW, audience="koolflows", **{name: None})
    assert refusal(verifier, token) == "jwt.claims"


def test_a_time_that_is_no_json_is_refused(issuer: Issuer, verifier: Verifier) -> None:
    head = segment({"alg": "RS256", "typ": "JWT", "kid": "test-key"})
    claims = segment(b'{"exp": NaN}')
    assert refusal(verifier, f"{head}.{claims}.AAAA") == "jwt.malformed"


@pytest.mark.parametrize("key_id", ["", "other", "../../etc/passwd", "x" * 300, None, 5])
def test_an_unknown_key_is_refused(issuer: Issuer, verifier: Verifier, key_id: Any) -> None:
    head = segment({"alg": "RS256", "typ": "JWT", "kid": key_id})
    claims = segment(issuer.claims(now=NOW, audience="koolflows"))
    assert refusal(verifier, f"{head}.{claims}.AAAA") == "jwt.key"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jku", "https://elsewhere.example/jwks"),
        ("x5u", "https://elsewhere.example/x5u"),
        ("jwk", {"kty": "RSA"}),
        ("x5c", ["MIIB"]),
        ("crit", ["exp"]),
        ("cty", "JWT"),
        ("zip", "DEF"),
    ],
)
def test_a_token_may_not_bring_its_key(
    issuer: Issuer, verifier: Verifier, name: str, value: Any
) -> None:
    assert refusal(verifier, with_header(issuer, **{name: value})) == "jwt.header"


@pytest.mark.parametrize("typ", ["logout+jwt", "dpop+jwt", "JWE", "text/html", ""])
def test_a_token_of_another_kind_is_refused(issuer: Issuer, verifier: Verifier, typ: str) -> None:
    assert refusal(verifier, with_header(issuer, typ=typ)) == "jwt.type"


@pytest.mark.parametrize("kind", ["ID", "Refresh", "Logout", "Offline", "", None, 5])
def test_an_id_token_is_no_access_token(issuer: Issuer, verifier: Verifier, kind: Any) -> None:
    # Keycloak's ID token of a client has the client's name as audience, as our access tokens do.
    token = issuer.token(now=NOW, audience="koolflows", typ=kind)
    assert refusal(verifier, token) == "jwt.type"


def test_the_mark_of_rfc_9068_is_known(issuer: Issuer, verifier: Verifier) -> None:
    claims = issuer.claims(now=NOW, audience="koolflows", typ=None)
    for typ in ("at+jwt", "AT+JWT", "application/at+jwt"):
        assert verifier.caller(issuer.sign(claims, header={"typ": typ}), now=NOW)
    forged = issuer.sign(claims | {"typ": "ID"}, header={"typ": "at+jwt"})
    assert refusal(verifier, forged) == "jwt.type"


def test_a_token_that_is_bound_to_a_key_is_refused(issuer: Issuer, verifier: Verifier) -> None:
    token = issuer.token(now=NOW, audience="koolflows", cnf={"jkt": "x"})
    assert refusal(verifier, token) == "jwt.bound"


def test_a_huge_token_is_refused_unread(issuer: Issuer, verifier: Verifier) -> None:
    token = issuer.token(now=NOW, audience="koolflows", padding="x" * MAX_TOKEN_BYTES)
    assert refusal(verifier, token) == "jwt.too-large"
    assert refusal(verifier, "." * 10_000_000) == "jwt.too-large"


def test_a_name_that_comes_twice_is_refused(issuer: Issuer, verifier: Verifier) -> None:
    claims = segment(issuer.claims(now=NOW, audience="koolflows"))
    twice = segment(b'{"alg":"none","alg":"RS256","typ":"JWT","kid":"test-key"}')
    assert refusal(verifier, f"{twice}.{claims}.AAAA") == "jwt.malformed"


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        "a.b.c",
        "ä.b.c",
        " a.b.c",
        "a.b.c\n",
        "e30.e30.AA",
        "a=.b.c",
    ],
)
def test_what_is_no_token_is_refused(verifier: Verifier, token: str) -> None:
    assert refusal(verifier, token) in {"jwt.malformed", "jwt.algorithm"}


@pytest.mark.parametrize(
    "part", [b"[" * 3000, b'{"a":' * 1000, b"[]", b"1", b'"x"', b"null", b"\xff"]
)
def test_a_part_that_is_no_object_is_refused(
    issuer: Issuer, verifier: Verifier, part: bytes
) -> None:
    head = segment({"alg": "RS256", "typ": "JWT", "kid": "test-key"})
    assert refusal(verifier, f"{segment(part)}.e30.AAAA") == "jwt.malformed"
    assert refusal(verifier, f"{head}.{segment(part)}.AAAA") == "jwt.malformed"


@given(st.text(alphabet="eyJhbGci.0_-=\x00 ", max_size=200) | st.binary(max_size=300).map(segment))
def test_no_text_makes_another_error(text: str) -> None:
    verifier = Verifier(audience="koolflows", issuers=[TrustedIssuer(ISSUER, KeySet({}))])
    with pytest.raises(TokenRefused):
        verifier.caller(text, now=NOW)


def test_without_keys_the_answer_is_not_a_refusal(issuer: Issuer) -> None:
    away = TrustedIssuer(ISSUER, keys_at(ISSUER, "http://127.0.0.1:9/certs"))
    verifier = Verifier(audience="koolflows", issuers=[away])
    with pytest.raises(KeysUnavailable):
        verifier.caller(issuer.token(now=NOW, audience="koolflows"), now=NOW)


@pytest.mark.parametrize(("audience", "issuers"), [("", [ISSUER]), ("koolflows", []), ("x", [""])])
def test_a_verifier_without_audience_or_issuer_cannot_be_made(
    audience: str, issuers: list[str]
) -> None:
    with pytest.raises(ValueError, match="needs an audience"):
        Verifier(audience=audience, issuers=[TrustedIssuer(name, KeySet({})) for name in issuers])
