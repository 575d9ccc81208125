"""Who may call the interfaces: Keycloak's tokens, and none that is forged, stale or for others."""

import base64
import json
import time
from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from e2e.stack.keycloak import Keycloak
from e2e.stack.stack import Stack, eventually

INTERFACES = [
    pytest.param("pkakey", "/api/v1/certificates/", id="pkakey"),
    pytest.param("flows", "/api/v1/processes/", id="koolflows"),
    pytest.param("api", "/certificates", id="pesequel"),
]


@pytest.fixture(scope="module")
def token(keycloak: Keycloak) -> str:
    """A good token of a program with an officer's rights."""
    secret = keycloak.client("program", "pki-officer", "pki-requester", seconds=1800)
    return keycloak.token("program", secret)


def asked(stack: Stack, name: str, path: str, token: str) -> int:
    return stack.ask(name, path, headers={"Authorization": f"Bearer {token}"}).status_code


def claims(token: str) -> dict[str, object]:
    found: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return found


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(("name", "path"), INTERFACES)
def test_a_program_with_keycloaks_token_is_let_in(
    stack: Stack, token: str, name: str, path: str
) -> None:
    # PostgREST gets the keys within a minute of Keycloak's first answer.
    eventually(lambda: asked(stack, name, path, token) == 200, f"{name} takes the token", 90)


def another_key(claims: dict[str, object], header: dict[str, object]) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": str(header["kid"])})


def no_signature(claims: dict[str, object], header: dict[str, object]) -> str:
    return f"{part({**header, 'alg': 'none'})}.{part(claims)}."


def shared_secret(claims: dict[str, object], header: dict[str, object]) -> str:
    return jwt.encode(claims, "x" * 64, algorithm="HS256", headers={"kid": str(header["kid"])})


@pytest.mark.parametrize("forge", [another_key, no_signature, shared_secret])
@pytest.mark.parametrize(("name", "path"), INTERFACES)
def test_a_forged_token_is_refused(
    stack: Stack,
    token: str,
    name: str,
    path: str,
    forge: Callable[[dict[str, object], dict[str, object]], str],
) -> None:
    forged = forge({**claims(token), "roles": ["pki-admin"]}, jwt.get_unverified_header(token))
    assert asked(stack, name, path, forged) == 401


@pytest.mark.parametrize(("name", "path"), INTERFACES)
def test_a_token_with_changed_claims_is_refused(
    stack: Stack, token: str, name: str, path: str
) -> None:
    head, _, signature = token.split(".")
    changed = part({**claims(token), "roles": ["pki-admin"], "namespace": "other"})
    assert asked(stack, name, path, f"{head}.{changed}.{signature}") == 401


@pytest.mark.parametrize(("name", "path"), INTERFACES)
def test_a_token_of_a_foreign_issuer_is_refused(
    stack: Stack, token: str, name: str, path: str
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    foreign = {**claims(token), "iss": "https://login.example.org/realms/theddt"}
    forged = jwt.encode(foreign, key, algorithm="RS256", headers={"kid": "foreign"})
    assert asked(stack, name, path, forged) == 401


@pytest.mark.parametrize(("name", "path"), INTERFACES)
def test_a_token_of_the_realm_master_is_refused(
    stack: Stack, keycloak: Keycloak, name: str, path: str
) -> None:
    # By the same server, with a true signature, and still of a foreign issuer.
    keycloak.admin("GET", "").raise_for_status()
    assert asked(stack, name, path, keycloak.administrators_token) == 401


@pytest.mark.parametrize(("name", "path"), INTERFACES)
def test_a_token_for_another_audience_is_refused(
    stack: Stack, foreign_audience: str, name: str, path: str
) -> None:
    assert asked(stack, name, path, foreign_audience) == 401


@pytest.fixture(scope="module")
def foreign_audience(keycloak: Keycloak) -> str:
    """A true token of our realm that is meant for nobody of us."""
    secret = keycloak.client("nobodys", "pki-officer", audiences=False)
    return keycloak.token("nobodys", secret)


@pytest.fixture(scope="module")
def expired(keycloak: Keycloak) -> str:
    """A true token that is over, beyond every allowance for clocks that differ."""
    secret = keycloak.client("hasty", "pki-officer", seconds=1)
    token = keycloak.token("hasty", secret)
    end = claims(token)["exp"]
    assert isinstance(end, int)
    # PostgREST allows 30 seconds, as documented.
    eventually(lambda: time.time() > end + 35, "the token is over", 90)
    return token


@pytest.mark.parametrize(("name", "path"), INTERFACES)
def test_an_expired_token_is_refused(stack: Stack, expired: str, name: str, path: str) -> None:
    assert asked(stack, name, path, expired) == 401


@pytest.mark.parametrize("token_text", ["x", "a.b.c", "e30.e30.", "\xff"])
@pytest.mark.parametrize(("name", "path"), INTERFACES)
def test_what_is_no_token_is_refused(stack: Stack, token_text: str, name: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {token_text}".encode("latin-1")}
    assert stack.ask(name, path, headers=headers).status_code in {400, 401}


FORGED = {
    "X-Auth-Request-User": "admin",
    "X-Auth-Request-Email": "admin@theddt.local",
    "X-Auth-Request-Groups": "role:pki-admin,role:db-admin",
    "X-Auth-Request-Preferred-Username": "admin",
    "X_Auth_Request_Email": "admin@theddt.local",
    "X-Forwarded-User": "admin",
    "X-Forwarded-For": "10.213.70.2",
    "X-Remote-User": "admin",
    "Remote-User": "admin",
    "X-Roles": "pki-admin",
    "X-Namespace": "default",
}


@pytest.mark.parametrize(
    ("name", "path", "refusals"),
    [
        ("pkakey", "/api/v1/certificates/", {401}),
        ("pkakey", "/portal/", {302}),
        ("flows", "/api/v1/processes/", {401}),
        ("api", "/certificates", {401}),
        ("pgadmin", "/browser/", {302, 401}),
        ("", "/dashboard/", {302, 401}),
        ("keycloak", "/admin/realms/theddt/users", {302, 401}),
    ],
)
def test_forged_identity_headers_let_nobody_in(
    stack: Stack, name: str, path: str, refusals: set[int]
) -> None:
    assert stack.ask(name, path, headers=FORGED).status_code in refusals
