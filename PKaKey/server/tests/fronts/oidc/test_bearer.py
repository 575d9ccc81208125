"""Signed tokens (JWT) at the REST API: Keycloak's and our own, and every refusal."""

import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from pkakey.services.token_keys import load_token_keys
from pkakey_engine.testing import make_csr
from theddt_identity import KeySet, TrustedIssuer, Verifier
from theddt_identity.errors import REASONS
from theddt_identity.testing import Issuer, segment

from PKaKey.server.tests.conftest import Platform
from PKaKey.server.tests.fronts.oidc.conftest import SignIn, browser
from PKaKey.server.tests.fronts.oidc.keycloak import ISSUER, Keycloak
from PKaKey.server.tests.fronts.rest.rest_client import RESTClient, problem

NOW = datetime(2026, 5, 17, 12, tzinfo=UTC)
OURS = "https://pkakey.theddt.localhost:8443"


def csr_body() -> dict[str, str]:
    return {"csr": make_csr(dns=["jwt.example.test"]).decode(), "profile": "tls-server"}


@pytest.fixture
def count(admin_dsn: str) -> Callable[[], int]:
    def counted() -> int:
        with psycopg.connect(admin_dsn) as connection:
            [(number,)] = connection.execute("SELECT count(*) FROM certificates_intent").fetchall()
            return int(number)

    return counted


# Keycloak's tokens


def test_a_person_of_keycloak_may_what_their_roles_permit(
    relying: Platform, keycloak: Keycloak
) -> None:
    requester = RESTClient(keycloak.token(roles=["pki-requester"]))
    assert requester.post("certificates/", csr_body()).status_code == 201
    auditor = RESTClient(keycloak.token(roles=["pki-auditor"]))
    assert auditor.get("certificates/").status_code == 200
    problem(auditor.post("certificates/", csr_body()), 403, "permission.denied")


def test_a_program_of_keycloak_acts_in_its_namespace_only(
    relying: Platform, keycloak: Keycloak
) -> None:
    made = RESTClient(keycloak.token("s-robot", roles=["pki-officer"])).issue("robot.example.test")
    stranger = RESTClient(keycloak.token("s-other", roles=["pki-officer"], namespace="guest"))
    path = f"certificates/{made['serial_number']}/"
    problem(stranger.get(path), 404, "resource.not-found")


def test_permissions_in_the_scope_narrow_what_the_roles_permit(
    relying: Platform, keycloak: Keycloak
) -> None:
    token = keycloak.token(roles=["pki-admin"], scope="openid certificates:read")
    assert RESTClient(token).get("certificates/").status_code == 200
    problem(RESTClient(token).post("certificates/", csr_body()), 403, "permission.denied")


def test_a_scope_adds_nothing_to_the_roles(relying: Platform, keycloak: Keycloak) -> None:
    client = RESTClient(keycloak.token(roles=[], scope="certificates:issue certificates:read"))
    problem(client.get("certificates/"), 403, "permission.denied")


def test_a_token_without_a_namespace_of_ours_is_told_so(
    relying: Platform, keycloak: Keycloak
) -> None:
    for namespace in (None, "nowhere"):
        client = RESTClient(keycloak.token(namespace=namespace))
        problem(client.get("certificates/"), 403, "namespace.unknown")


def test_who_was_shut_out_here_is_shut_out_with_a_good_token_too(
    relying: Platform, keycloak: Keycloak, sign_in: SignIn
) -> None:
    from django.contrib.auth import get_user_model

    sign_in(browser(), "s-shut")
    get_user_model().objects.filter(username="shut").update(is_active=False)
    problem(RESTClient(keycloak.token("s-shut")).get("certificates/"), 401, "token.revoked")


def _refused(realm: Keycloak) -> dict[str, tuple[str, str]]:
    now = datetime.now(tz=UTC)
    claims = realm.claims()
    good = realm.signer.sign(claims)
    head, body, signature = good.split(".")
    richer = segment(claims | {"roles": ["pki-admin"]})
    hour = timedelta(hours=1)
    confused = segment({"alg": "HS256", "typ": "JWT", "kid": "test-key"}) + f".{body}"
    mac = hmac.digest(realm.signer.jwks, confused.encode(), "sha256")
    return {
        "signed by another key": ("jwt.signature", Issuer(ISSUER).sign(claims)),
        "changed after signing": ("jwt.signature", f"{head}.{richer}.{signature}"),
        "without a signature": ("jwt.malformed", f"{head}.{body}."),
        "algorithm none": (
            "jwt.algorithm",
            f"{segment({'alg': 'none', 'typ': 'JWT', 'kid': 'test-key'})}.{body}.{signature}",
        ),
        "the public key as an HMAC secret": (
            "jwt.algorithm",
            f"{confused}.{segment(mac)}",
        ),
        "with a key of its own": ("jwt.header", realm.signer.sign(claims, header={"jwk": {}})),
        "with an address of keys": (
            "jwt.header",
            realm.signer.sign(claims, header={"jku": "https://evil.example/"}),
        ),
        "an unknown key": ("jwt.key", realm.signer.sign(claims, header={"kid": "other"})),
        "of another issuer": ("jwt.issuer", realm.token(iss="https://evil.example")),
        "of our issuer by Keycloak's key": ("jwt.key", realm.token(iss=OURS)),
        "for another service": ("jwt.audience", realm.token(audience=["koolflows", "pesequel"])),
        "for nobody": ("jwt.audience", realm.token(audience=None)),
        "expired": ("jwt.expired", realm.token(exp=int((now - hour).timestamp()))),
        "without an end": ("jwt.claims", realm.token(exp=None)),
        "from the future": ("jwt.not-yet-valid", realm.token(iat=int((now + hour).timestamp()))),
        "an ID token": ("jwt.type", realm.token(typ="ID")),
        "a refresh token": ("jwt.type", realm.token(typ="Refresh")),
        "roles that are no list": ("jwt.claims", realm.token(roles="pki-admin")),
        "a namespace that is none": ("jwt.claims", realm.token(namespace="../x")),
        "bound to a key": ("jwt.bound", realm.token(cnf={"x5t#S256": "x"})),
        "too long": ("jwt.too-large", "a" * 8180 + ".b.cdefghijk="),
    }


REFUSED = [
    "signed by another key", "changed after signing", "without a signature", "algorithm none",
    "the public key as an HMAC secret", "with a key of its own", "with an address of keys",
    "an unknown key", "of another issuer", "of our issuer by Keycloak's key",
    "for another service", "for nobody", "expired", "without an end", "from the future",
    "an ID token", "a refresh token", "roles that are no list", "a namespace that is none",
    "bound to a key", "too long",
]  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_a_signed_token_that_is_no_good_is_refused_by_name_and_issues_nothing(
    relying: Platform, keycloak: Keycloak, count: Callable[[], int], kind: str
) -> None:
    before = count()
    code, token = _refused(keycloak)[kind]
    answer = RESTClient(token).post("certificates/", csr_body())
    body = problem(answer, 401, code)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="theDDT", error="invalid_token"'
    assert token not in json.dumps(body)
    assert count() == before


def test_the_list_of_refusals_is_walked_whole(relying: Platform, keycloak: Keycloak) -> None:
    assert {code for code, _ in _refused(keycloak).values()} == REASONS.keys()
    assert set(REFUSED) == _refused(keycloak).keys()


def test_while_keycloaks_keys_are_away_the_answer_is_503_and_not_401(
    relying: Platform, keycloak: Keycloak
) -> None:
    keycloak.fails.add("certs")
    answer = RESTClient(keycloak.token()).get("certificates/")
    problem(answer, 503, "service.unavailable")
    assert answer.headers["Retry-After"]


def test_natively_a_token_of_keycloak_is_nobodys(platform: Platform, keycloak: Keycloak) -> None:
    problem(RESTClient(keycloak.token()).get("certificates/"), 401, "jwt.issuer")


# Our own


def create(client: RESTClient, *scopes: str, **more: str) -> Any:
    return client.post("tokens/", {"name": "script", "scopes": scopes, "form": "jwt", **more})


@pytest.fixture
def maker(platform: Platform) -> RESTClient:
    """A client that may make tokens and read."""
    return RESTClient(platform.token("tokens:manage", "data:read", "certificates:read").token)


def of_pesequel(platform: Platform) -> Verifier:
    keys = browser().get("/.well-known/jwks.json").content
    return Verifier(audience="pesequel", issuers=[TrustedIssuer(OURS, KeySet.of(keys))])


def test_a_token_for_the_data_api_has_what_postgrest_reads(
    platform: Platform, maker: RESTClient
) -> None:
    answer = create(maker, "data:read")
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    made = answer.json()
    header, claims = of_pesequel(platform).verified(made["token"], now=datetime.now(tz=UTC))
    assert (header["alg"], header["typ"]) == ("RS256", "at+jwt")
    assert claims["iss"] == OURS
    assert claims["aud"] == ["pesequel"]
    assert claims["role"] == "web_user"
    assert claims["namespace"] == "default"
    assert claims["roles"] == []
    assert claims["scope"] == "data:read"
    assert claims["sub"] == f"token:{made['id']}"
    assert claims["exp"] - claims["iat"] == 3600


def test_a_token_for_the_data_api_opens_nothing_here(maker: RESTClient) -> None:
    made = create(maker, "data:read").json()
    problem(RESTClient(made["token"]).get("certificates/"), 401, "jwt.audience")


def test_a_persons_token_carries_their_roles_and_the_scope_that_narrows_them(
    platform: Platform,
) -> None:
    made = platform.services.create_jwt(
        principal=platform.principal("pki-auditor", "pki-admin"),
        name="mine", scopes=["data:read"], expires_at=None, now=platform.now,
    )  # fmt: skip
    _, claims = of_pesequel(platform).verified(made.token, now=platform.now)
    assert (claims["roles"], claims["scope"]) == (["pki-admin", "pki-auditor"], "data:read")


def test_a_token_for_us_works_until_it_is_revoked(maker: RESTClient) -> None:
    made = create(maker, "certificates:read").json()
    client = RESTClient(made["token"])
    assert client.get("certificates/").status_code == 200
    problem(client.post("certificates/", csr_body()), 403, "permission.denied")
    assert maker.send("DELETE", f"tokens/{made['id']}/").status_code == 204
    problem(client.get("certificates/"), 401, "token.revoked")


def test_a_token_by_our_key_that_we_never_made_is_unknown(
    platform: Platform, token_key_file: Path
) -> None:
    now = int(datetime.now(tz=UTC).timestamp())
    forged = load_token_keys(token_key_file, NOW).sign(
        {
            "iss": OURS,
            "aud": "pkakey",
            "sub": "token:7",
            "iat": now,
            "exp": now + 60,
            "typ": "Bearer",
        }
    )
    problem(RESTClient(forged).get("certificates/"), 401, "token.unknown")


def test_a_signed_token_ends_within_a_day(maker: RESTClient) -> None:
    late = datetime.now(tz=UTC) + timedelta(hours=25)
    problem(create(maker, "data:read", expires_at=late.isoformat()), 422, "token.expiry")
    soon = datetime.now(tz=UTC) + timedelta(hours=23)
    assert create(maker, "data:read", expires_at=soon.isoformat()).status_code == 201


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"form": "saml"}, 400, "request.invalid"),
        ({"form": 7}, 400, "request.invalid"),
        ({"scopes": ["data:write"]}, 400, "request.invalid"),
        ({"scopes": ["certificates:issue"]}, 403, "permission.denied"),
        ({"expires_at": "2000-01-01T00:00:00Z"}, 422, "token.expiry"),
        ({"name": "a\nb"}, 422, "token.name"),
    ],
    ids=str,
)
def test_a_signed_token_that_cannot_be_is_not_made(
    maker: RESTClient, body: dict[str, Any], status: int, code: str
) -> None:
    before = len(maker.get("tokens/").json()["results"])
    usual = {"name": "script", "scopes": ["data:read"], "form": "jwt"}
    problem(maker.post("tokens/", usual | body), status, code)
    assert len(maker.get("tokens/").json()["results"]) == before


def test_on_behalf_of_a_person_only_the_named_service_is_called_and_for_a_minute(
    platform: Platform,
) -> None:
    token = platform.services.mint_on_behalf(
        principal=platform.principal("pki-officer"), audience="koolflows", now=platform.now
    )
    keys = KeySet.of(platform.services.token_jwks(now=platform.now))
    verifier = Verifier(audience="koolflows", issuers=[TrustedIssuer(OURS, keys)])
    caller = verifier.caller(token, now=platform.now)
    assert (caller.subject, caller.roles) == ("7", {"pki-officer"})
    assert caller.expires_at - caller.issued_at == timedelta(seconds=60)
    problem(RESTClient(token).get("certificates/"), 401, "jwt.audience")


def test_a_token_speaks_on_behalf_of_nobody(platform: Platform) -> None:
    from pkakey.services.errors import NotPermitted

    principal = platform.services.authenticate_token(
        platform.token("certificates:read").token, platform.now
    )
    with pytest.raises(NotPermitted):
        platform.services.mint_on_behalf(
            principal=principal, audience="koolflows", now=platform.now
        )


# The key file


def test_an_old_key_stays_published_beside_the_new_one_that_signs(
    token_key_file: Path, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    old = load_token_keys(token_key_file, NOW)
    new = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    file = tmp_path / "keys"
    file.write_bytes(new + token_key_file.read_bytes())
    both = load_token_keys(file, NOW)
    assert both.key_id != old.key_id
    assert [key["kid"] for key in json.loads(both.jwks)["keys"]] == [both.key_id, old.key_id]
    assert "PRIVATE" not in repr(both)
    assert b'"d"' not in both.jwks


def test_a_former_key_counts_until_its_moment_and_the_first_always(
    token_key_file: Path, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    former = load_token_keys(token_key_file, NOW)
    new = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    until = NOW + timedelta(hours=1)
    bounds = [f"Until: {moment.isoformat()}\n".encode() for moment in (NOW, until)]
    file = tmp_path / "keys"
    file.write_bytes(bounds[0] + new + bounds[1] + token_key_file.read_bytes())
    before = load_token_keys(file, until - timedelta(seconds=1))
    after = load_token_keys(file, until)
    assert before.key_id == after.key_id != former.key_id
    assert before.public.find(former.key_id, "RS256") is not None
    assert after.public.find(former.key_id, "RS256") is None
    assert len(after.pems) == len(json.loads(after.jwks)["keys"]) == 1


@pytest.mark.parametrize("moment", ["", "soon", "2026-05-17T12:00:00"])
def test_a_bound_that_is_no_moment_with_its_zone_leaves_no_key_unbounded(
    token_key_file: Path, tmp_path: Path, moment: str
) -> None:
    from pkakey.services.errors import ServiceUnavailable

    key = token_key_file.read_text()
    file = tmp_path / "keys"
    file.write_text(f"{key}Until: {moment}\n{key}")
    with pytest.raises(ServiceUnavailable, match="ddt init"):
        load_token_keys(file, NOW)


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN X-----\nAA\n-----END X-----", None])
def test_without_a_usable_key_nothing_is_signed_and_the_error_says_what_to_do(
    tmp_path: Path, content: str | None
) -> None:
    from pkakey.services.errors import ServiceUnavailable

    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ServiceUnavailable, match="ddt init"):
        load_token_keys(file, NOW)


def test_write_jwks_writes_what_is_published(platform: Platform, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text("old")
    call_command("write_jwks", str(file), stdout=None)
    assert file.read_bytes() == browser().get("/.well-known/jwks.json").content
    assert [one.name for one in tmp_path.iterdir()] == ["jwks.json"]


def test_write_jwks_says_when_it_cannot(platform: Platform, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("write_jwks", str(tmp_path / "nowhere" / "jwks.json"))


def test_a_token_for_koolflows_speaks_there_as_the_person_who_made_it(platform: Platform) -> None:
    made = platform.services.create_jwt(
        principal=platform.principal("pki-officer"),
        name="mine", scopes=["flows:read", "flows:decide"], expires_at=None, now=platform.now,
    )  # fmt: skip
    keys = KeySet.of(platform.services.token_jwks(now=platform.now))
    verifier = Verifier(audience="koolflows", issuers=[TrustedIssuer(OURS, keys)])
    caller = verifier.caller(made.token, now=platform.now)
    assert (caller.subject, caller.roles) == ("7", {"pki-officer"})
    assert caller.scopes == {"flows:read", "flows:decide"}


def test_a_token_for_koolflows_has_no_other_scopes_beside(platform: Platform) -> None:
    client = RESTClient(platform.token("tokens:manage", "data:read", "flows:read").token)
    problem(create(client, "data:read", "flows:read"), 422, "token.scope")
    assert create(client, "flows:read").status_code == 201
