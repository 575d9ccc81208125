"""Keycloak's realm as code: what must never be in it, and what every client must have."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "keycloak"
TEXT = (FOLDER / "theddt-realm.json").read_text()
REALM: dict[str, Any] = json.loads(TEXT)
API_CLIENT: dict[str, Any] = json.loads((FOLDER / "api-client.json").read_text())
CLIENTS: dict[str, dict[str, Any]] = {each["clientId"]: each for each in REALM["clients"]}
ROLES = {
    "pki-admin",
    "pki-officer",
    "pki-auditor",
    "pki-requester",
    "db-admin",
    "content-editor",
}
PLACEHOLDER = re.compile(r"\$\{THEDDT_[A-Z0-9_]+\}")
SECRETS = [
    "keycloak-admin-password",
    "admin-password",
    "pkakey-oidc-client-secret",
    "koolflows-oidc-client-secret",
    "oauth2-proxy-client-secret",
    "keycloak-postgres-password",
]
every_client = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)


def config_of(client: dict[str, Any], mapper: str) -> dict[str, str]:
    found: list[dict[str, str]] = [
        each["config"] for each in client["protocolMappers"] if each["name"] == mapper
    ]
    assert len(found) == 1, mapper
    return found[0]


def values_of(tree: Any, *names: str) -> list[Any]:
    if isinstance(tree, dict):
        own = [value for name, value in tree.items() if name in names]
        return own + [one for value in tree.values() for one in values_of(value, *names)]
    if isinstance(tree, list):
        return [one for value in tree for one in values_of(value, *names)]
    return []


def test_the_clients_are_these() -> None:
    assert set(CLIENTS) == {"pkakey", "koolflows", "oauth2-proxy", "pgadmin"}


def test_no_secret_is_in_the_file() -> None:
    for value in values_of(REALM["clients"], "secret") + values_of(REALM["users"], "value"):
        assert PLACEHOLDER.fullmatch(value), "a secret that is no placeholder"
    assert not values_of(REALM, "secretData", "credentialData", "privateKey", "certificate")
    assert not values_of(API_CLIENT, "secret")


def test_every_placeholder_is_set_by_the_start_script() -> None:
    script = (FOLDER / "start.sh").read_text()
    for name in set(re.findall(r"\$\{([^}]+)\}", TEXT)):
        assert name.startswith("THEDDT_"), name
        assert re.search(rf"(hand_over|need|export) {name}\b", script), name


def test_the_file_does_not_replace_keycloaks_own_scopes() -> None:
    # A `clientScopes` list drops the built-in ones; a client without `basic` drops `sub`.
    for name in ("clientScopes", "defaultDefaultClientScopes", "defaultClientScopes"):
        assert name not in TEXT


@every_client
def test_every_sign_in_needs_pkce(client: dict[str, Any]) -> None:
    assert client["standardFlowEnabled"]
    assert client["attributes"]["pkce.code.challenge.method"] == "S256"


@every_client
def test_no_client_has_another_way_to_sign_in(client: dict[str, Any]) -> None:
    for flow in ("implicitFlowEnabled", "directAccessGrantsEnabled", "serviceAccountsEnabled"):
        assert client[flow] is False
    for grant in (
        "oauth2.device.authorization.grant.enabled",
        "oidc.ciba.grant.enabled",
        "standard.token.exchange.enabled",
    ):
        assert client["attributes"][grant] == "false"


@every_client
def test_every_address_is_whole_and_below_the_domain(client: dict[str, Any]) -> None:
    after = client["attributes"]["post.logout.redirect.uris"].split("##")
    for address in [*client["redirectUris"], *after]:
        assert "*" not in address
        assert re.fullmatch(
            r"https://([a-z]+\.)?\$\{THEDDT_DOMAIN\}\$\{THEDDT_HTTPS_SUFFIX\}/[a-z0-9/-]*", address
        )
    assert client["webOrigins"] == []


@every_client
def test_a_client_without_a_secret_is_public_and_no_other(client: dict[str, Any]) -> None:
    assert client["publicClient"] is ("secret" not in client)


@every_client
def test_tokens_carry_no_role_that_is_not_ours(client: dict[str, Any]) -> None:
    assert client["fullScopeAllowed"] is False
    mapped = {each["client"]: set(each["roles"]) for each in REALM["scopeMappings"]}
    assert mapped[client["clientId"]] == ROLES


@pytest.mark.parametrize("name", ["pkakey", "koolflows"])
def test_a_services_tokens_have_the_shared_claims(name: str) -> None:
    client = CLIENTS[name]
    assert config_of(client, "roles")["claim.name"] == "roles"
    assert config_of(client, "roles")["multivalued"] == "true"
    assert config_of(client, "namespace")["user.attribute"] == "namespace"
    assert config_of(client, "role")["claim.value"] == "web_user"
    assert config_of(client, f"audience {name}")["included.custom.audience"] == name
    for other in {"pkakey", "koolflows", "pesequel"} - {name}:
        assert not any(each["name"] == f"audience {other}" for each in client["protocolMappers"])


@pytest.mark.parametrize("name", ["pkakey", "koolflows"])
def test_a_sign_out_reaches_every_service(name: str) -> None:
    attributes = CLIENTS[name]["attributes"]
    assert attributes["backchannel.logout.url"].endswith("/internal/backchannel-logout")
    assert attributes["backchannel.logout.session.required"] == "true"
    # With front-channel logout on, Keycloak does not use the back channel.
    assert CLIENTS[name]["frontchannelLogout"] is False


def test_the_gateway_gets_roles_as_groups_and_itself_as_audience() -> None:
    gateway = CLIENTS["oauth2-proxy"]
    assert config_of(gateway, "groups")["claim.name"] == "groups"
    assert config_of(gateway, "groups")["usermodel.realmRoleMapping.rolePrefix"] == "role:"
    own = config_of(gateway, "audience oauth2-proxy")
    assert own["included.client.audience"] == "oauth2-proxy"


def test_roles_come_from_groups_and_groups_name_the_namespace() -> None:
    assert {each["name"] for each in REALM["roles"]["realm"]} == ROLES
    default = next(each for each in REALM["groups"] if each["name"] == "default")
    assert default["attributes"] == {"namespace": ["default"]}
    carried = {role for value in values_of(REALM["groups"], "realmRoles") for role in value}
    assert carried == ROLES


def test_the_only_person_must_choose_a_password_first() -> None:
    (admin,) = REALM["users"]
    assert admin["username"] == "admin"
    assert admin["groups"] == ["/default/admins", "/identity-admins"]
    assert admin["requiredActions"] == ["UPDATE_PASSWORD"]
    (password,) = admin["credentials"]
    assert password["value"] == "${THEDDT_ADMIN_PASSWORD}"
    assert password["temporary"] is True


def test_one_group_manages_people_and_it_alone() -> None:
    # The realm `master` is not reached from outside, so somebody here has to.
    managing = [each for each in REALM["groups"] if values_of(each, "clientRoles")]
    assert [each["name"] for each in managing] == ["identity-admins"]
    assert managing[0]["clientRoles"] == {"realm-management": ["realm-admin"]}
    assert "realmRoles" not in managing[0]


def test_guessing_is_slowed_down_and_nobody_signs_up() -> None:
    assert REALM["bruteForceProtected"] is True
    assert 3 <= REALM["failureFactor"] <= 10
    # A lock for good would let anybody lock the administrator out.
    assert REALM["permanentLockout"] is False
    for off in ("registrationAllowed", "resetPasswordAllowed", "rememberMe"):
        assert REALM[off] is False
    assert "length(12)" in REALM["passwordPolicy"]


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("accessTokenLifespan", 5 * 60),
        ("accessCodeLifespan", 60),
        ("ssoSessionIdleTimeout", 30 * 60),
        ("ssoSessionMaxLifespan", 10 * 3600),
        ("offlineSessionMaxLifespan", 7 * 86400),
    ],
)
def test_lifetimes_are_short(name: str, most: int) -> None:
    assert 0 < REALM[name] <= most


def test_a_refresh_token_is_used_once() -> None:
    assert REALM["revokeRefreshToken"] is True
    assert REALM["refreshTokenMaxReuse"] == 0


def test_the_template_for_programs_signs_nobody_in() -> None:
    assert API_CLIENT["serviceAccountsEnabled"] is True
    for flow in ("standardFlowEnabled", "implicitFlowEnabled", "directAccessGrantsEnabled"):
        assert API_CLIENT[flow] is False
    assert API_CLIENT["redirectUris"] == []
    assert API_CLIENT["fullScopeAllowed"] is False
    for claim in ("roles", "namespace", "role"):
        assert config_of(API_CLIENT, claim) == config_of(CLIENTS["pkakey"], claim)


@pytest.fixture
def start(tmp_path: Path) -> Any:
    home = tmp_path / "keycloak"
    (home / "bin").mkdir(parents=True)
    program = home / "bin" / "kc.sh"
    program.write_text('#!/bin/sh\necho "started $*"; env | sort | grep -E "THEDDT_|KC_"\n')
    program.chmod(0o755)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in SECRETS:
        (secrets / name).write_text(f"secret-of-{name}\n")

    def run(**env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [FOLDER / "start.sh", "--optimized"],
            env={
                "PATH": os.environ["PATH"],
                "KC_HOME": str(home),
                "THEDDT_SECRETS": str(secrets),
                "THEDDT_DOMAIN": "theddt.local",
                "THEDDT_PKAKEY_INTERNAL_URL": "http://pkakey:8000",
                "THEDDT_KOOLFLOWS_INTERNAL_URL": "http://koolflows:8000",
                **env,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    run.secrets = secrets  # type: ignore[attr-defined]  # For the tests that spoil one.
    return run


def test_the_start_hands_the_secrets_over(start: Any) -> None:
    result = start(THEDDT_HTTPS_SUFFIX=":8443")
    assert result.returncode == 0, result.stderr
    assert "started start --import-realm --optimized" in result.stdout
    assert "THEDDT_PKAKEY_CLIENT_SECRET=secret-of-pkakey-oidc-client-secret\n" in result.stdout
    assert "KC_DB_PASSWORD=secret-of-keycloak-postgres-password\n" in result.stdout


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("content", [None, "", "\n", "short"])
def test_without_a_secret_nothing_starts(start: Any, name: str, content: str | None) -> None:
    (start.secrets / name).unlink()
    if content is not None:
        (start.secrets / name).write_text(content)
    result = start()
    assert result.returncode != 0
    assert "started" not in result.stdout
    assert name in result.stderr
    assert "ddt init" in result.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [("THEDDT_DOMAIN", ""), ("THEDDT_PKAKEY_INTERNAL_URL", ""), ("THEDDT_HTTPS_SUFFIX", "8443")],
)
def test_without_an_address_nothing_starts(start: Any, name: str, value: str) -> None:
    result = start(**{name: value})
    assert result.returncode != 0
    assert name in result.stderr
