"""Each kind of secret gets another value while the stack runs: it goes on, and the old one ends."""

import json
from typing import Any

import httpx
import jwt
import pytest
from cryptography import x509

from bench.requests import csr_pem
from e2e.stack.keycloak import Keycloak
from e2e.stack.stack import Stack, eventually
from e2e.stack.test_backup import ddt

CLIENT = "rotator"


@pytest.fixture(scope="module")
def secret(keycloak: Keycloak) -> str:
    return keycloak.client(CLIENT, "pki-officer", "pki-requester", seconds=1800)


@pytest.fixture(scope="module")
def token(keycloak: Keycloak, secret: str) -> str:
    return keycloak.token(CLIENT, secret)


def issue(stack: Stack, token: str, name: str) -> x509.Certificate:
    answers: list[httpx.Response] = []

    def answered() -> bool:
        # The gateway hears of a container that is healthy again some seconds later (503 till then).
        answers.append(
            stack.ask(
                "pkakey",
                "/api/v1/certificates/",
                method="POST",
                headers={"Authorization": f"Bearer {token}"},
                json={"csr": csr_pem(name), "profile": "tls-server"},
            )
        )
        return answers[-1].status_code != httpx.codes.SERVICE_UNAVAILABLE

    eventually(answered, "PKaKey has a route again", seconds=30)
    answer = answers[-1]
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return x509.load_pem_x509_certificate(answer.json()["pem"].encode())


def rotate(stack: Stack, name: str, *options: str) -> tuple[str, str]:
    """Rotate; return the values before and after. The stack is well, and nothing is left."""
    old = stack.secret(name)
    told = json.loads(ddt(stack, "rotate", "--docker", name, "--json", *options).stdout)
    assert told == {"secret": name, "resumed": False}
    new = stack.secret(name)
    assert new != old
    assert stack.unwell() == []
    folder = stack.folder / stack.settings["SECRETS_DIR"]
    assert not [p.name for p in folder.iterdir() if p.suffix in {".next", ".retired", ".new"}]
    return old, new


def may_enter(stack: Stack, service: str, role: str, password: str) -> bool:
    """Ask the server over the network, where it wants the password."""
    done = stack.inside(
        service, "sh", "-c",
        'PGPASSWORD="$1" psql -h "$(hostname -i)" -U "$0" -d postgres -Atc "SELECT 1" 2>&1',
        role, password, check=False,
    )  # fmt: skip
    assert done.strip() == "1" or "password authentication failed" in done
    return done.strip() == "1"


def test_a_role_of_the_database_gets_another_password(stack: Stack, token: str) -> None:
    old, new = rotate(stack, "pkakey-web-password")
    assert may_enter(stack, "pkakey_postgres", "pkakey_web", new)
    assert not may_enter(stack, "pkakey_postgres", "pkakey_web", old)
    issue(stack, token, "role.example.test")


def test_the_data_api_and_the_pooler_follow_their_roles(stack: Stack, token: str) -> None:
    for name, role in (
        ("pesequel-authenticator-password", "authenticator"),
        ("pesequel-relay-password", "inventory_writer"),
    ):
        old, new = rotate(stack, name)
        assert may_enter(stack, "pesequel_postgres", role, new)
        assert not may_enter(stack, "pesequel_postgres", role, old)
    assert stack.secret("pesequel-authenticator-password") in stack.secret("pesequel-postgrest-uri")
    serial = f"{issue(stack, token, 'relay.example.test').serial_number:x}"

    def is_told() -> bool:
        headers = {"Authorization": f"Bearer {token}"}
        return serial in stack.ask("api", "/certificates", headers=headers).text.lower()

    eventually(is_told, "the inventory has the certificate")


def takes(stack: Stack, user: str, password: str) -> bool:
    words = ("sh", "-c", 'REDISCLI_AUTH="$1" redis-cli --user "$0" --no-auth-warning ping 2>&1')
    return "PONG" in stack.inside("pkakey_redis", *words, user, password)


@pytest.mark.parametrize(
    ("name", "user"), [("redis-password", "default"), ("redis-sessions-password", "sessions")]
)
def test_the_queue_and_the_sessions_get_other_passwords_and_redis_stays_up(
    stack: Stack, token: str, name: str, user: str
) -> None:
    before = stack.containers()["pkakey_redis"].pid
    old, new = rotate(stack, name)
    assert takes(stack, user, new)
    assert not takes(stack, user, old)
    assert stack.containers()["pkakey_redis"].pid == before
    issue(stack, token, f"{user}.example.test")


def test_the_signers_keys_are_sealed_again(stack: Stack, token: str) -> None:
    folder = "/var/lib/pkakey/keystore"
    words = ("sh", "-c", f"cat {folder}/*.key | sha256sum; ls {folder}/*.key | wc -l")
    before = stack.inside("pkakey_signer", *words).split()
    rotate(stack, "keystore-kek")
    after = stack.inside("pkakey_signer", *words).split()
    assert after[0] != before[0]
    assert after[-1] == before[-1]
    # At its next start it knows the new key only.
    stack.compose("restart", "pkakey_signer")
    eventually(lambda: stack.unwell() == [], "the signer is well")
    issue(stack, token, "sealed.example.test")


def keys_of(stack: Stack) -> list[str]:
    answer = stack.ask("pkakey", "/.well-known/jwks.json").raise_for_status().json()
    return [key["kid"] for key in answer["keys"]]


def test_the_key_before_checks_tokens_until_it_ends_at_once(stack: Stack, token: str) -> None:
    made = stack.ask(
        "pkakey", "/api/v1/tokens/", method="POST",
        headers={"Authorization": f"Bearer {token}"},
        json={"name": "signed", "scopes": ["certificates:read"], "form": "jwt"},
    )  # fmt: skip
    assert made.status_code == 201, made.text
    signed = made.json()["token"]

    def said() -> int:
        headers = {"Authorization": f"Bearer {signed}"}
        return stack.ask("pkakey", "/api/v1/certificates/", headers=headers).status_code

    assert said() == 200
    (first,) = keys_of(stack)
    assert jwt.get_unverified_header(signed)["kid"] == first
    rotate(stack, "token-signing-key")
    assert keys_of(stack)[1:] == [first]
    assert said() == 200
    rotate(stack, "token-signing-key", "--at-once")
    assert first not in keys_of(stack)
    assert said() == 401


def client_secrets(keycloak: Keycloak, client: str) -> str:
    (found,) = keycloak.admin("GET", f"/clients?clientId={client}").json()
    answer: dict[str, Any] = keycloak.admin("GET", f"/clients/{found['id']}/client-secret").json()
    return str(answer["value"])


def test_keycloak_knows_the_new_secret_of_a_client_and_the_new_password_of_its_administrator(
    stack: Stack, keycloak: Keycloak
) -> None:
    _, new = rotate(stack, "keycloak-admin-password")
    fresh = Keycloak(stack)
    assert new == stack.secret("keycloak-admin-password")
    for name, client in (
        ("oauth2-proxy-client-secret", "oauth2-proxy"),
        ("pkakey-oidc-client-secret", "pkakey"),
    ):
        _, new = rotate(stack, name)
        assert client_secrets(fresh, client) == new
    keycloak.administrators_token = ""


@pytest.mark.parametrize("name", ["oauth2-proxy-cookie-secret", "django-secret-key"])
def test_what_counts_at_its_readers_only_changes_there(stack: Stack, token: str, name: str) -> None:
    rotate(stack, name)
    issue(stack, token, f"{name}.example.test")


def test_a_rotation_that_was_cut_off_is_named_and_finished(stack: Stack, token: str) -> None:
    folder = stack.folder / stack.settings["SECRETS_DIR"]
    coming = "ab" * 32
    (folder / "pkakey-status-password.next").write_text(coming)
    doctor = json.loads(ddt(stack, "doctor", "--docker", "--json", check=False).stdout)
    (row,) = [check for check in doctor["checks"] if check["name"] == "rotations"]
    assert "ddt rotate --docker pkakey-status-password" in row["detail"]
    refused = ddt(stack, "backup", "--docker", check=False)
    assert "ddt rotate --docker pkakey-status-password" in refused.stderr
    told = json.loads(ddt(stack, "rotate", "--docker", "pkakey-status-password", "--json").stdout)
    assert told["resumed"]
    assert stack.secret("pkakey-status-password") == coming
    assert stack.unwell() == []
    issue(stack, token, "finished.example.test")
