"""PKaKey as provider (native mode): the code flow of a program, its tokens, and every refusal."""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client
from theddt_identity import KeySet, TrustedIssuer, Verifier

from PKaKey.server.tests.conftest import Platform
from PKaKey.server.tests.fronts.oidc.conftest import browser
from PKaKey.server.tests.fronts.rest.rest_client import RESTClient, problem

ISSUER = "https://pkakey.theddt.localhost:8443"
AUTHORIZE = "/identity/o/authorize"
TOKEN = "/identity/o/api/token"
BACK = "https://program.example.test/back"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")


def register(*options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("create_oidc_client", "program", *options, stdout=out)
    made: dict[str, Any] = json.loads(out.getvalue())
    return made


@pytest.fixture(scope="module")
def program(platform: Platform) -> dict[str, Any]:
    """A public client that may ask for tokens for PKaKey and the data API."""
    return register(
        "--redirect-uri", BACK, "--audience", "pkakey", "--audience", "pesequel", "--public"
    )


@pytest.fixture(scope="module")
def someone(platform: Platform) -> Callable[..., Client]:
    """Return a browser of a new person with these roles."""
    made = iter(range(100))

    def make(*roles: str, namespace: str = "default") -> Client:
        username = f"holder{next(made)}"
        platform.services.create_user(
            username=username, email=f"{username}@example.test", roles=list(roles),
            namespace=namespace, now=platform.now,
        )  # fmt: skip
        user: Any = get_user_model().objects.get(username=username)
        user.must_change_password = False
        user.save()
        client = browser()
        client.force_login(user)
        return client

    return make


def ask(client: Client, program: dict[str, Any], **changes: str | None) -> Any:
    query = {
        "client_id": program["client_id"],
        "response_type": "code",
        "redirect_uri": BACK,
        "scope": "openid profile email pkakey",
        "state": "st",
        "nonce": "no",
        "code_challenge": CHALLENGE.decode(),
        "code_challenge_method": "S256",
    } | changes
    return client.get(AUTHORIZE, {name: value for name, value in query.items() if value})


def grant(client: Client, program: dict[str, Any], **changes: str) -> dict[str, list[str]]:
    """Say yes, and return what the program gets in the query."""
    page = ask(client, program, **changes)
    assert page.status_code == 200
    form = page.context["form"]
    answer = client.post(
        AUTHORIZE,
        {
            "request": form.initial["request"],
            "scopes": form.fields["scopes"].initial
            or [value for value, _ in form.fields["scopes"].choices],
            "action": "grant",
        },
    )
    assert answer.status_code == 302, answer.content
    assert answer.headers["Location"].startswith(f"{BACK}?")
    return parse_qs(urlsplit(answer.headers["Location"]).query)


def exchange(program: dict[str, Any], came: str, **changes: str) -> Any:
    form = {
        "grant_type": "authorization_code",
        "client_id": program["client_id"],
        "code": came,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
    } | changes
    return browser().post(TOKEN, form)


def checker(audience: str) -> Verifier:
    keys = KeySet.of(browser().get("/.well-known/jwks.json").content)
    return Verifier(audience=audience, issuers=[TrustedIssuer(ISSUER, keys)])


def test_a_person_lets_a_program_in_and_it_acts_with_their_rights(
    program: dict[str, Any], someone: Callable[..., Client]
) -> None:
    got = grant(someone("pki-auditor"), program)
    assert got["state"] == ["st"]
    answer = exchange(program, got["code"][0])
    assert answer.status_code == 200, answer.content
    tokens = answer.json()
    caller = checker("pkakey").caller(tokens["access_token"], now=datetime.now(tz=UTC))
    assert (caller.roles, caller.namespace) == ({"pki-auditor"}, "default")
    _, claims = checker(program["client_id"]).verified(tokens["id_token"], now=datetime.now(tz=UTC))
    assert (claims["nonce"], claims["typ"], claims["sub"]) == ("no", "ID", caller.subject)
    assert claims["roles"] == ["pki-auditor"]
    client = RESTClient(tokens["access_token"])
    assert client.get("certificates/").status_code == 200
    problem(RESTClient(tokens["id_token"]).get("certificates/"), 401, "jwt.audience")


def test_a_program_that_asked_for_another_service_opens_nothing_here(
    program: dict[str, Any], someone: Callable[..., Client]
) -> None:
    got = grant(someone("pki-admin"), program, scope="openid pesequel")
    token = exchange(program, got["code"][0]).json()["access_token"]
    _, claims = checker("pesequel").verified(token, now=datetime.now(tz=UTC))
    assert (claims["role"], claims["aud"]) == ("web_user", ["pesequel"])
    problem(RESTClient(token).get("certificates/"), 401, "jwt.audience")


def test_who_is_shut_out_is_shut_out_with_a_good_token_too(
    program: dict[str, Any], someone: Callable[..., Client]
) -> None:
    client = someone("pki-auditor")
    token = exchange(program, grant(client, program)["code"][0]).json()["access_token"]
    users = get_user_model().objects.filter(pk=client.session["_auth_user_id"])
    users.update(is_active=False)
    assert RESTClient(token).get("certificates/").status_code in {401, 403}


def test_roles_that_were_taken_away_are_gone_before_the_token_ends(
    program: dict[str, Any], someone: Callable[..., Client]
) -> None:
    client = someone("pki-auditor")
    token = exchange(program, grant(client, program)["code"][0]).json()["access_token"]
    get_user_model().objects.get(pk=client.session["_auth_user_id"]).groups.clear()
    problem(RESTClient(token).get("certificates/"), 403, "permission.denied")


def test_the_page_lets_the_form_lead_to_the_program_and_nowhere_else(
    program: dict[str, Any], someone: Callable[..., Client]
) -> None:
    policy = ask(someone(), program).headers["Content-Security-Policy"]
    [rule] = [one.strip() for one in policy.split(";") if "form-action" in one]
    assert rule == "form-action 'self' https://program.example.test"


def test_saying_no_gives_no_code(program: dict[str, Any], someone: Callable[..., Client]) -> None:
    client = someone()
    form = ask(client, program).context["form"]
    answer = client.post(AUTHORIZE, {"request": form.initial["request"], "action": "cancel"})
    assert parse_qs(urlsplit(answer.headers["Location"]).query) == {
        "error": ["access_denied"],
        "state": ["st"],
    }


def test_who_is_not_signed_in_signs_in_first(program: dict[str, Any]) -> None:
    answer = ask(browser(), program)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/accounts/login/?next=")


def test_the_consent_is_held_by_its_csrf_token(
    program: dict[str, Any], someone: Callable[..., Client]
) -> None:
    client = someone()
    form = ask(client, program).context["form"]
    client.handler.enforce_csrf_checks = True
    body = {"request": form.initial["request"], "scopes": ["openid"], "action": "grant"}
    assert client.post(AUTHORIZE, body).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example/back"},
        {"redirect_uri": f"{BACK}/further"},
        {"redirect_uri": None},
    ],
    ids=str,
)
def test_a_strange_program_or_address_is_told_here_and_never_sent_on(
    program: dict[str, Any], someone: Callable[..., Client], changes: dict[str, str | None]
) -> None:
    answer = ask(someone("pki-admin"), program, **changes)
    assert "Location" not in answer.headers
    assert answer.status_code < 500
    assert b"<h1>Error" in answer.content.replace(b"\n", b"").replace(b"  ", b"")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"scope": "openid koolflows"}, "invalid_scope"),
        ({"response_type": "token"}, "unauthorized_client"),
        ({"response_type": "id_token token"}, "unauthorized_client"),
    ],
    ids=str,
)
def test_what_a_program_may_not_ask_for_is_refused(
    program: dict[str, Any],
    someone: Callable[..., Client],
    changes: dict[str, str | None],
    error: str,
) -> None:
    answer = ask(someone("pki-admin"), program, **changes)
    where = urlsplit(answer.headers["Location"])
    assert f"{where.scheme}://{where.netloc}{where.path}" == BACK
    said = parse_qs(where.query or where.fragment)
    assert (said["error"], "code" in said) == ([error], False)


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "w" * 64},
        {"code_verifier": ""},
        {"redirect_uri": "https://evil.example/back"},
        {"client_id": "nobody"},
        {"code": "guessed"},
        {"grant_type": "password"},
        {"grant_type": "client_credentials"},
    ],
    ids=str,
)
def test_an_exchange_that_does_not_fit_gives_no_token(
    program: dict[str, Any], someone: Callable[..., Client], changes: dict[str, str]
) -> None:
    code = grant(someone("pki-admin"), program)["code"][0]
    answer = exchange(program, code, **changes)
    assert answer.status_code in {400, 401}
    assert "access_token" not in answer.json()


def test_a_code_is_good_once(program: dict[str, Any], someone: Callable[..., Client]) -> None:
    code = grant(someone(), program)["code"][0]
    assert exchange(program, code).status_code == 200
    assert exchange(program, code).status_code == 400


def test_a_program_with_a_secret_must_show_it(
    platform: Platform, someone: Callable[..., Client]
) -> None:
    made = register("--redirect-uri", BACK, "--audience", "pkakey")
    code = grant(someone(), made)["code"][0]
    assert exchange(made, code).status_code == 401
    assert exchange(made, code, client_secret="wrong").status_code == 401
    assert exchange(made, code, client_secret=made["client_secret"]).status_code == 200


def test_discovery_names_our_public_address_whatever_host_is_asked(platform: Platform) -> None:
    answer = Client(headers={"host": "localhost"}).get("/.well-known/openid-configuration")
    document = answer.json()
    assert document["issuer"] == ISSUER
    addresses = [value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))]
    assert all(address.startswith(f"{ISSUER}/") for address in addresses)
    assert document["jwks_uri"] == f"{ISSUER}/.well-known/jwks.json"
    assert document["response_types_supported"] == ["code"]
    assert "device_authorization_endpoint" not in document


@pytest.mark.parametrize("path", ["device", "api/device/code", "api/clients"])
def test_no_device_flow_and_no_registration_is_offered(platform: Platform, path: str) -> None:
    for method in ("get", "post"):
        answer = getattr(browser(), method)(f"/identity/o/{path}", follow=True)
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([], "at least one redirect URI"),
        (["--redirect-uri", "http://program.example.test/"], "cannot be a redirect URI"),
        (["--redirect-uri", "https://*.example.test/"], "cannot be a redirect URI"),
        (["--redirect-uri", "https://a.example.test/#x"], "cannot be a redirect URI"),
        (["--redirect-uri", "https://u@a.example.test/"], "cannot be a redirect URI"),
        (["--redirect-uri", "javascript:alert(1)"], "cannot be a redirect URI"),
        (["--redirect-uri", "https://["], "cannot be a redirect URI"),
        (["--redirect-uri", BACK, "--audience", "keycloak"], "There is no service keycloak"),
    ],
    ids=str,
)
def test_a_client_that_cannot_be_is_not_made(
    platform: Platform, options: list[str], why: str
) -> None:
    with pytest.raises(CommandError, match=why):
        register(*options)


def test_where_people_sign_in_at_keycloak_clients_are_made_there(relying: Platform) -> None:
    with pytest.raises(CommandError, match="Make the client there"):
        register("--redirect-uri", BACK)
