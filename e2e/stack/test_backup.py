"""Backup, `down -v`, restore, `up`: what was there is there, and goes on."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from bench.requests import csr_pem
from e2e.stack.keycloak import PASSWORD, Keycloak
from e2e.stack.stack import DOMAIN, Stack, environment, eventually

DDT = Path(sys.executable).with_name("ddt")
CLIENT = "keeper"


def ddt(stack: Stack, *words: str | Path, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run `ddt` for the stack's project."""
    done = subprocess.run(
        [DDT, *map(str, words)], env=environment() | {"DDT_PROJECT": str(stack.folder)},
        cwd=stack.folder, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert done.returncode == 0 or not check, f"{words}: {done.stdout}{done.stderr}"
    return done


def openssl(*words: str | Path) -> str:
    done = subprocess.run(
        ["openssl", *words], check=False, capture_output=True, text=True, timeout=60
    )
    return done.stdout + done.stderr


@dataclass
class Keeper:
    """A program that issued and revoked before the backup, and asks again after the restore."""

    stack: Stack
    keycloak: Keycloak
    secret: str
    folder: Path

    def ask(self, path: str, body: object = None) -> Any:  # noqa: ANN401
        token = self.keycloak.token(CLIENT, self.secret)
        bearer = {"Authorization": f"Bearer {token}"}
        method = "GET" if body is None else "POST"
        answer = self.stack.ask("pkakey", path, method=method, headers=bearer, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def issue(self, name: str) -> dict[str, Any]:
        body = {"csr": csr_pem(name), "profile": "tls-server"}
        issued: dict[str, Any] = self.ask("/api/v1/certificates/", body)
        return issued

    def files(self, issued: dict[str, Any]) -> tuple[Path, Path]:
        certificate, chain = self.folder / "certificate.pem", self.folder / "chain.pem"
        certificate.write_text(issued["pem"])
        chain.write_text("".join(issued["chain"]))
        return certificate, chain

    def ocsp(self, issued: dict[str, Any]) -> str:
        certificate, chain = self.files(issued)
        return openssl(
            "ocsp", "-issuer", chain, "-cert", certificate, "-CAfile", self.stack.root,
            "-url", f"http://127.0.0.1:{self.stack.http_port}/ocsp",
        )  # fmt: skip

    def crl(self, issued: dict[str, Any]) -> x509.CertificateRevocationList:
        points = (
            x509.load_pem_x509_certificate(issued["pem"].encode())
            .extensions.get_extension_for_class(x509.CRLDistributionPoints)
            .value
        )
        address = str(next(iter(points)).full_name[0].value)
        answer = self.stack.plain("/" + address.split("/", 3)[3])
        return x509.load_der_x509_crl(answer.content)

    def audit(self) -> int:
        """How many audit entries there are, each with its leaf hash as its text gives it."""
        query = (
            "SELECT count(*), count(*) FILTER (WHERE leaf_hash = "
            "sha256('\\x00'::bytea || convert_to(data, 'UTF8'))) FROM audit_entry"
        )
        words = ("psql", "-U", "postgres", "-d", "pkakey", "-Atc", query)
        entries, right = self.stack.inside("pkakey_postgres", *words).strip().split("|")
        assert entries == right
        return int(entries)

    def rows(self) -> dict[str, int]:
        counted = {}
        for service, database, table in (
            ("pkakey_postgres", "pkakey", "certificates_certificate"),
            ("pesequel_postgres", "koolflows", "django_migrations"),
            ("quewall_postgres", "keycloak", "user_entity"),
        ):
            query = f"SELECT count(*) FROM {table}"  # noqa: S608  # Names of ours.
            words = ("sh", "-c", 'exec psql -U "$POSTGRES_USER" -d "$0" -Atc "$1"')
            counted[table] = int(self.stack.inside(service, *words, database, query))
        return counted


def number_of(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def signs_in(stack: Stack, username: str, jar: Path) -> bool:
    """Sign in at the portal as a browser does, by curl; tell whether the portal shows itself."""
    hosts = [
        word
        for name in ("keycloak", "pkakey")
        for word in ("--resolve", f"{name}.{DOMAIN}:{stack.https_port}:127.0.0.1")
    ]
    curl = ["curl", "-sS", "--noproxy", "*", "--cacert", str(stack.root), *hosts, "-L"]
    curl += ["-b", str(jar), "-c", str(jar), "--max-time", "60"]

    def fetch(address: str, *options: str) -> str:
        done = subprocess.run(
            [*curl, *options, address], check=True, capture_output=True, text=True, timeout=90
        )
        return done.stdout

    form = fetch(stack.address("pkakey", "/portal/"))
    action = re.search(r'action="([^"]+)"', form)
    assert action, form[:500]
    shown = fetch(
        action[1].replace("&amp;", "&"),
        "--data-urlencode", f"username={username}", "--data-urlencode", f"password={PASSWORD}",
    )  # fmt: skip
    return "Dashboard" in shown


@pytest.fixture(scope="module")
def keeper(stack: Stack, keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Keeper:
    secret = keycloak.client(CLIENT, "pki-officer", "pki-requester", "pki-auditor", seconds=600)
    return Keeper(stack, keycloak, secret, tmp_path_factory.mktemp("keeper"))


@pytest.fixture(scope="module")
def good(keeper: Keeper) -> dict[str, Any]:
    return keeper.issue("good.example.test")


@pytest.fixture(scope="module")
def revoked(keeper: Keeper) -> dict[str, Any]:
    issued = keeper.issue("revoked.example.test")
    path = f"/api/v1/certificates/{issued['serial_number']}/revoke/"
    keeper.ask(path, {"reason": "keyCompromise"})
    return issued


@pytest.fixture(scope="module")
def made(stack: Stack, keycloak: Keycloak, good: object, revoked: object) -> dict[str, Any]:
    """A backup after the certificates; a person is in the realm."""
    keycloak.person("paula", "/default/officers")
    found: dict[str, Any] = json.loads(ddt(stack, "backup", "--docker", "--json").stdout)
    return found


def test_a_backup_of_the_running_containers_is_one_file_that_names_nothing(
    stack: Stack, made: dict[str, Any]
) -> None:
    file = Path(made["file"])
    assert file.parent == stack.folder / "backups"
    assert file.stat().st_mode & 0o777 == 0o600
    assert set(made["rows"]) == {"pkakey", "pesequel", "koolflows", "keycloak"}
    octets = file.read_bytes()
    assert octets.startswith(b"age-encryption.org/v1")
    assert DOMAIN.encode() not in octets
    # Nothing in the clear is left beside it.
    left = {path.name for path in file.parent.iterdir()}
    assert left <= {file.name, "recipients", "rotation.lock"}


def test_a_drill_beside_the_platform_finds_the_backup_whole(
    stack: Stack, made: dict[str, Any]
) -> None:
    before = {c.service: (c.id, c.restarts) for c in stack.containers().values()}
    found = json.loads(ddt(stack, "backup", "drill", "--docker", "--json", made["file"]).stdout)
    assert found["ok"], found
    names = {check["name"] for check in found["checks"]}
    assert names >= {
        "counts-pkakey", "counts-keycloak", "audit-log", "chain", "crl", "signer-log", "ocsp",
        "new-crl",
    }  # fmt: skip
    assert {c.service: (c.id, c.restarts) for c in stack.containers().values()} == before
    listed = subprocess.run(
        ["docker", "volume", "ls", "--quiet"], check=True, capture_output=True, text=True
    ).stdout
    assert "drill" not in listed


def test_a_restore_is_refused_where_a_platform_is(stack: Stack, made: dict[str, Any]) -> None:
    for words, told in (
        ((), "ddt down --docker"),
        (("--replace",), "docker compose down --volumes"),
    ):
        refused = ddt(stack, "restore", "--docker", *words, made["file"], check=False)
        assert refused.returncode == 1
        assert told in refused.stderr
    assert stack.unwell() == []


@pytest.mark.timeout(600)  # The whole stack starts twice.
def test_after_the_loss_of_every_volume_and_secret_a_restore_brings_all_back(
    stack: Stack,
    keycloak: Keycloak,
    keeper: Keeper,
    good: dict[str, Any],
    revoked: dict[str, Any],
    made: dict[str, Any],
    tmp_path: Path,
) -> None:
    rows, entries, number = keeper.rows(), keeper.audit(), number_of(keeper.crl(good))
    root = stack.root.read_text()
    secrets = stack.folder / stack.settings["SECRETS_DIR"]
    kept = {path.name: path.read_bytes() for path in secrets.iterdir() if path.is_file()}
    identity = tmp_path / "identity"
    identity.write_bytes(kept["backup-identity"])
    stack.compose("--profile", "*", "down", "--volumes", "--timeout", "5")
    for path in secrets.iterdir():
        path.unlink()
    (stack.folder / ".env").rename(tmp_path / "env")
    ports = {line for line in (tmp_path / "env").read_text().splitlines() if "PORT=" in line}

    ddt(stack, "restore", "--docker", "--identity", identity, made["file"])
    assert ports <= set((stack.folder / ".env").read_text().splitlines())
    ddt(stack, "up", "--docker")
    # What watches is no part of it; the other tests expect it.
    stack.up()

    assert stack.unwell() == []
    names = {path.name for path in secrets.iterdir()} | {"backup-identity"}
    assert names == set(kept)
    assert all((secrets / name).read_bytes() == kept[name] for name in names - {"backup-identity"})
    assert stack.inside("quewall_traefik", "cat", "/etc/traefik/dynamic/root.pem") == root
    assert keeper.rows() == rows
    assert keeper.audit() >= entries
    # Keycloak knows the program and the person, under its old signing key.
    eventually(lambda: keycloak.admin("GET", "/users?username=paula").json() != [], "the person")
    listed = {row["serial_number"] for row in keeper.ask("/api/v1/certificates/")["results"]}
    assert {good["serial_number"], revoked["serial_number"]} <= listed

    certificate, chain = keeper.files(good)
    said = openssl("verify", "-CAfile", stack.root, "-untrusted", chain, certificate)
    assert said.strip().endswith(": OK")
    assert ": good" in keeper.ocsp(good)
    assert ": revoked" in keeper.ocsp(revoked)
    crl = keeper.crl(good)
    assert number_of(crl) > number + (1 << 20)
    serial = int(revoked["serial_number"], 16)
    assert crl.get_revoked_certificate_by_serial_number(serial) is not None
    assert ": good" in keeper.ocsp(keeper.issue("afterwards.example.test"))
    assert signs_in(stack, "paula", tmp_path / "cookies")
    # The key that opens backups comes back by hand; the next backup needs it not.
    (secrets / "backup-identity").write_bytes(kept["backup-identity"])
    (secrets / "backup-identity").chmod(0o600)
    again = Path(json.loads(ddt(stack, "backup", "--docker", "--json").stdout)["file"])
    assert again.is_file()
    assert again != Path(made["file"])
