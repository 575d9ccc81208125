"""The stack is healthy, is what the plan counts, and answers at its addresses."""

import json
import re

import pytest
from cryptography import x509

from e2e.stack.stack import DOMAIN, Stack

THE_PLANS_SERVICES = {
    "quewall_traefik", "quewall_keycloak", "quewall_postgres", "quewall_oauth2_proxy",
    "pesequel_postgres", "pesequel_postgrest", "pesequel_pgbouncer", "pesequel_pgadmin",
    "pkakey_postgres", "pkakey_redis", "pkakey_django", "pkakey_celery_worker",
    "pkakey_celery_beat", "koolflows",
}  # fmt: skip


def test_every_service_is_healthy_and_every_job_has_ended_well(stack: Stack) -> None:
    assert stack.unwell() == []
    for name in ("pkakey_migrate", "pkakey_bootstrap", "pesequel_migrate", "koolflows_migrate"):
        (job,) = json.loads(f"[{stack.compose('ps', '--all', '--format', 'json', name)}]")
        assert (job["State"], job["ExitCode"]) == ("exited", 0), job


def test_the_counts_are_the_plans(stack: Stack) -> None:
    config = json.loads(stack.compose("--profile", "*", "config", "--format", "json"))
    assert set(config["services"]) >= THE_PLANS_SERVICES
    assert set(config["networks"]) == {
        "web", "backend", "pkakey_net", "pesequel_net", "quewall_net",
    }  # fmt: skip
    assert len(config["volumes"]) >= 11


def test_only_the_gateway_is_published(stack: Stack) -> None:
    config = json.loads(stack.compose("--profile", "*", "config", "--format", "json"))
    published = {name for name, service in config["services"].items() if service.get("ports")}
    assert published == {"quewall_traefik"}


def test_the_gateways_certificate_is_ours_and_names_every_host(stack: Stack) -> None:
    # The client checks chain and name: each answer is the proof.
    for name in ("", "keycloak", "auth", "api", "pgadmin", "pkakey", "flows"):
        stack.ask(name)
    shown = stack.inside("quewall_traefik", "cat", "/etc/traefik/dynamic/tls.pem")
    names = (
        x509.load_pem_x509_certificate(shown.encode())
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value.get_values_for_type(x509.DNSName)
    )
    assert DOMAIN in names


@pytest.mark.parametrize(
    ("name", "path", "status"),
    [
        ("pkakey", "/", 200),
        ("pkakey", "/healthz", 200),
        ("pkakey", "/readyz", 200),
        ("pkakey", "/api/v1/certificates/", 401),
        ("pkakey", "/.well-known/jwks.json", 200),
        ("pkakey", "/internal/forward-auth/admin", 403),
        ("pkakey", "/metrics", 403),
        ("flows", "/healthz", 200),
        ("flows", "/readyz", 200),
        ("flows", "/api/v1/processes/", 401),
        ("flows", "/metrics", 403),
        ("api", "/", 401),
        ("keycloak", "/realms/theddt/.well-known/openid-configuration", 200),
        ("keycloak", "/realms/master/.well-known/openid-configuration", 404),
        ("keycloak", "/metrics", 404),
        ("keycloak", "/health/ready", 404),
        ("keycloak", "/admin/master/console/", 404),
        ("elsewhere", "/", 404),
    ],
)
def test_a_route_answers(stack: Stack, name: str, path: str, status: int) -> None:
    if name == "elsewhere":
        # Not in the certificate, so the name is only asked for.
        answer = stack.ask("", path, headers={"Host": f"elsewhere.{DOMAIN}"})
    else:
        answer = stack.ask(name, path)
    assert answer.status_code == status, answer.text[:500]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("", "/"),
        ("", "/dashboard/"),
        ("", "/api/rawdata"),
        ("pgadmin", "/"),
        ("pgadmin", "/browser/"),
        ("keycloak", "/admin/theddt/console/"),
        ("keycloak", "/admin/realms/theddt/users"),
    ],
)
def test_a_page_for_signed_in_people_sends_others_to_sign_in(
    stack: Stack, name: str, path: str
) -> None:
    answer = stack.ask(name, path, headers={"Accept": "text/html"})
    assert answer.status_code == 302
    where = answer.headers["location"]
    assert where.startswith(
        stack.address("keycloak", "/realms/theddt/protocol/openid-connect/auth?")
    )
    assert "code_challenge_method=S256" in where
    program = stack.ask(name, path, headers={"Accept": "application/json"})
    assert program.status_code == 401


def test_plain_http_serves_status_and_sends_all_else_to_https(stack: Stack) -> None:
    moved = stack.plain("/portal/?a=b")
    assert moved.status_code in {301, 308}
    assert moved.headers["location"] == stack.address("pkakey", "/portal/?a=b")
    moved = stack.plain("/x", host=f"keycloak.{DOMAIN}:{stack.http_port}")
    assert moved.headers["location"] == stack.address("keycloak", "/x")
    # A name that is not ours is never sent to itself.
    moved = stack.plain("/x", host="evil.example")
    assert moved.headers["location"] == stack.address("pkakey", "/x")
    assert stack.plain("/ocsp", content=b"no request").status_code not in {301, 308}


def test_no_container_runs_with_rights_that_it_does_not_need(stack: Stack) -> None:
    config = json.loads(stack.compose("--profile", "*", "config", "--format", "json"))
    for name, service in config["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged"), name
        limit = service.get("deploy", {}).get("resources", {}).get("limits", {}).get("memory")
        assert limit or name.endswith(("_migrate", "_bootstrap")), name
    writable = {
        name for name, service in config["services"].items() if not service.get("read_only")
    }
    assert writable == {"quewall_keycloak", "pesequel_pgadmin"}


def test_no_secret_stands_in_an_environment_or_a_command_line(stack: Stack) -> None:
    values = [
        file.read_text()
        for file in (stack.folder / stack.settings["SECRETS_DIR"]).iterdir()
        if file.is_file() and not file.name.startswith(".")
    ]
    assert len(values) > 20
    config = stack.compose("config")
    for value in values:
        assert value not in config
    for container in stack.containers().values():
        if container.is_running:
            line = re.sub(r"\0", " ", _command_line(container.pid))
            for value in values:
                assert value not in line, container.service


def _command_line(pid: int) -> str:
    with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:  # noqa: PTH123
        return file.read()
