"""What goes wrong at a site, tried on the engine: a sentence says what, the rest goes on.

docs/containers.md has the table of what was seen.
"""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.requests import csr_pem
from e2e.stack.program import Load, Program
from e2e.stack.stack import DOMAIN, Stack, environment, eventually
from e2e.stack.test_backup import DDT, ddt

CERTIFICATES = "/api/v1/certificates/"


@pytest.fixture
def secrets(stack: Stack, tmp_path: Path) -> Path:
    """A copy of the secrets, to be broken; the stack's own stay as they are."""
    copy = tmp_path / "secrets"
    shutil.copytree(stack.folder / stack.settings["SECRETS_DIR"], copy)
    return copy


def begin(stack: Stack, service: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Start one more container of a service, beside the running one, with other variables."""
    return subprocess.run(
        ["docker", "compose", "run", "--detach", "--no-deps", service],
        cwd=stack.folder, env=environment() | variables, check=False, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip


@contextmanager
def started(stack: Stack, service: str, **variables: str) -> Iterator[str]:
    """Start one and hand out its id; it is gone afterwards."""
    done = begin(stack, service, **variables)
    assert done.returncode == 0, done.stderr
    name = done.stdout.split()[-1]
    try:
        yield name
    finally:
        subprocess.run(
            ["docker", "rm", "--force", "--volumes", name],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip


def says(container: str, *words: str) -> bool:
    """Tell whether a container's log has all the words by now."""
    done = subprocess.run(
        ["docker", "logs", container], check=True, capture_output=True, text=True, timeout=60
    )
    return all(word in done.stdout + done.stderr for word in words)


@pytest.mark.parametrize(
    ("service", "secret"),
    [
        ("koolflows", "koolflows-service-key"),
        ("koolflows", "koolflows-web-password"),
        ("pesequel_keys", "pesequel-authenticator-password"),
        ("pesequel_pgbouncer", "koolflows-web-password"),
        ("pkakey_celery_worker", "pesequel-relay-password"),
        ("pkakey_celery_worker", "redis-password"),
        ("pkakey_django", "django-secret-key"),
        ("pkakey_django", "pkakey-web-password"),
        ("pkakey_redis", "redis-password"),
        ("pkakey_redis", "redis-sessions-password"),
        ("pkakey_signer", "keystore-kek"),
        ("quewall_keycloak", "keycloak-admin-password"),
        ("quewall_oauth2_proxy", "oauth2-proxy-cookie-secret"),
    ],
)
def test_a_container_names_the_secret_that_is_empty(
    stack: Stack, secrets: Path, service: str, secret: str
) -> None:
    (secrets / secret).unlink()
    (secrets / secret).touch(mode=0o444)
    with started(stack, service, SECRETS_DIR=str(secrets)) as container:
        eventually(lambda: says(container, secret), f"{service} names {secret}", 60)


def test_the_engine_names_a_secret_that_is_missing(stack: Stack, secrets: Path) -> None:
    (secrets / "redis-password").unlink()
    refused = begin(stack, "pkakey_redis", SECRETS_DIR=str(secrets))
    assert refused.returncode != 0
    assert str(secrets / "redis-password") in refused.stderr


@pytest.mark.parametrize("octets", [None, b""])
def test_ddt_up_starts_nothing_while_a_secret_is_missing_or_empty(
    stack: Stack, octets: bytes | None
) -> None:
    file = stack.folder / stack.settings["SECRETS_DIR"] / "redis-password"
    aside = file.rename(file.with_name("aside"))
    before = {c.service: c.id for c in stack.containers().values()}
    try:
        if octets is not None:
            file.write_bytes(octets)
        for word in ("up", "doctor"):
            refused = ddt(stack, word, "--docker", check=False)
            assert refused.returncode == 1
            assert str(file) in refused.stdout + refused.stderr
            assert "backup" in refused.stdout + refused.stderr
    finally:
        file.unlink(missing_ok=True)
        aside.rename(file)
    assert {c.service: c.id for c in stack.containers().values()} == before


@pytest.mark.parametrize("domain", ["localhost", "two words.example", "x`).example"])
def test_a_wrong_domain_starts_nothing(stack: Stack, domain: str) -> None:
    file = stack.folder / ".env"
    kept = file.read_text()
    try:
        file.write_text(f"{kept}\nDOMAIN={domain}\n")
        refused = ddt(stack, "up", "--docker", check=False)
    finally:
        file.write_text(kept)
    assert refused.returncode == 1
    assert f"DOMAIN is '{domain}'" in refused.stderr
    assert stack.unwell() == []


def test_a_taken_port_is_named_with_who_has_it_and_the_next_start_goes_on(stack: Stack) -> None:
    stack.compose("stop", "quewall_traefik")
    with socket.create_server(("127.0.0.1", stack.https_port)):
        refused = ddt(stack, "up", "--docker", check=False)
        assert refused.returncode == 1
        assert f"Port {stack.https_port} is taken" in refused.stderr
        assert "HTTPS_PORT" in refused.stderr
        # Without ddt, the engine's own words.
        words = ["docker", "compose", "up", "--detach", "--no-deps", "quewall_traefik"]
        done = subprocess.run(
            words, cwd=stack.folder, env=environment(), check=False, capture_output=True,
            text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode != 0
        assert "address already in use" in done.stderr
    ddt(stack, "up", "--docker")
    assert stack.unwell() == []


def test_a_project_on_a_read_only_disk_is_told(stack: Stack, tmp_path: Path) -> None:
    for name in ("docker-compose.yml", ".env.example"):
        shutil.copy(stack.folder / name, tmp_path / name)
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$1" init --docker'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, str(tmp_path), str(DDT)],
        env=environment() | {"DDT_PROJECT": str(tmp_path)}, check=False, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr
    assert str(tmp_path) in done.stderr
    assert "Traceback" not in done.stderr


def asked(program: Program, name: str) -> tuple[int, str]:
    """Ask for a certificate; return what was answered, whatever it was."""
    body = {"csr": csr_pem(name), "profile": "tls-server"}
    answer = program.ask(CERTIFICATES, method="POST", json=body)
    return answer.status_code, answer.text


def test_a_signer_on_a_read_only_disk_ends_and_says_why(stack: Stack, tmp_path: Path) -> None:
    override = tmp_path / "read-only.yml"
    override.write_text(
        "services:\n  pkakey_signer:\n    volumes:\n"
        "      - pkakey_keystore:/var/lib/pkakey/keystore:ro\n"
        "      - {type: tmpfs, target: /run/pkakey, tmpfs: {mode: 0o1777}}\n"
    )
    with started(
        stack, "pkakey_signer", COMPOSE_FILE=f"docker-compose.yml:{override}"
    ) as container:
        told = ("signer.log cannot be opened", "Read-only file system")
        eventually(lambda: says(container, *told), "the signer says why", 60)


def test_without_keycloak_nobody_signs_in_and_the_rest_goes_on(
    stack: Stack, program: Program, tmp_path: Path
) -> None:
    kept = program.issue("before-no-keycloak.example.test")
    stack.compose("stop", "quewall_keycloak")
    try:
        path = "/realms/theddt/.well-known/openid-configuration"
        eventually(lambda: stack.ask("keycloak", path).status_code == 503, "the gateway knows", 30)
        assert "does not answer" in stack.ask("keycloak", path).text
        # Whoever has a token goes on; status is told; the web process starts without it.
        program.issue("no-keycloak.example.test")
        assert ": good" in program.ocsp(kept, tmp_path)
        stack.compose("restart", "pkakey_django")
        eventually(lambda: stack.ask("pkakey", "/readyz").status_code == 200, "web is back", 120)
        page = stack.ask("pkakey", "/portal/", headers={"Accept": "text/html"})
        assert page.status_code in {302, 503}
        assert stack.ask("", "/dashboard/", headers={"Accept": "text/html"}).status_code == 302
    finally:
        stack.compose("start", "quewall_keycloak")
    eventually(lambda: stack.unwell() == [], "Keycloak is back", 240)
    eventually(lambda: stack.ask("keycloak", path).status_code == 200, "it answers", 60)
    program.issue("after-no-keycloak.example.test")


def test_while_pkakeys_database_is_gone_nothing_is_promised_and_it_goes_on_afterwards(
    stack: Stack, program: Program, tmp_path: Path
) -> None:
    kept = program.issue("before-no-database.example.test")
    listed = set(program.serials())
    with Load(program, "no-database") as load:
        stack.compose("stop", "--timeout", "5", "pkakey_postgres")
        try:
            eventually(lambda: stack.ask("pkakey", "/readyz").status_code == 503, "it is told", 60)
            assert "database" in stack.ask("pkakey", "/readyz").text
            status, text = asked(program, "no-database.example.test")
            assert status == 503, text
            assert stack.ask("pkakey", "/healthz").status_code == 200
            # Others do not need it.
            headers = {"Authorization": f"Bearer {program.token}"}
            assert stack.ask("api", "/certificates", headers=headers).status_code == 200
            assert stack.ask("flows", "/readyz").status_code == 200
        finally:
            stack.compose("start", "pkakey_postgres")
        told = len(load.told)
        eventually(lambda: len(load.told) > told + 1, "certificates are issued again", 120)
    assert listed | set(load.told) <= set(program.serials())
    eventually(lambda: ": good" in program.ocsp(kept, tmp_path), "OCSP answers", 60)
    eventually(lambda: stack.unwell() == [], "every service is well")


def test_while_the_primary_database_is_gone_certificates_are_issued_and_it_catches_up(
    stack: Stack, program: Program
) -> None:
    stack.compose("stop", "--timeout", "5", "pesequel_postgres")
    try:
        issued = [program.issue(f"no-primary-{number}.example.test") for number in range(3)]
        headers = {"Authorization": f"Bearer {program.token}"}
        said = stack.ask("api", "/certificates", headers=headers)
        assert said.status_code in {503, 504}, said.text
        eventually(lambda: stack.ask("flows", "/readyz").status_code == 503, "flows tells", 60)
        assert "database" in stack.ask("flows", "/readyz").text
    finally:
        stack.compose("start", "pesequel_postgres")
    serials = {row["serial_number"] for row in issued}
    eventually(lambda: stack.unwell() == [], "every service is well")
    eventually(lambda: serials <= program.inventory(), "the inventory catches up", 120)


def test_when_redis_is_emptied_nothing_is_lost_but_sessions(stack: Stack, program: Program) -> None:
    listed = set(program.serials())
    with Load(program, "emptied") as load:
        eventually(lambda: len(load.told) > 1, "certificates are issued", 60)
        words = (
            "sh",
            "-c",
            'REDISCLI_AUTH="$(cat /run/secrets/redis-password)" redis-cli FLUSHALL',
        )
        assert "OK" in stack.inside("pkakey_redis", *words)
        told = len(load.told)
        eventually(lambda: len(load.told) > told + 1, "certificates are issued again", 60)
    assert listed | set(load.told) <= set(program.serials())
    eventually(lambda: set(load.told) <= program.inventory(), "the inventory has all", 120)
    page = stack.ask("", "/dashboard/", headers={"Accept": "text/html"})
    assert page.status_code == 302
    assert f"keycloak.{DOMAIN}" in page.headers["location"]
    assert stack.unwell() == []
