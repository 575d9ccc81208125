"""`ddt init --docker`: .env and secrets are made once, usable by every image, never overwritten."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ddt.containers import project, secret_kinds
from ddt.errors import TroubleError

DDT = Path(sys.executable).with_name("ddt")
SHIPPED = Path(__file__).parents[2] / "docker-compose.yml"
EXAMPLE = """\
# The domain under which everything is served.
DOMAIN=theddt.local
# Where the secrets are; 'ddt init --docker' sets it.
# SECRETS_DIR=
HTTPS_PORT=443
HTTP_PORT=80
"""
EC_KEY = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .strip()
)


def compose_text(*names: str) -> str:
    lines = "".join(f'  {name}: {{file: "${{SECRETS_DIR}}/{name}"}}\n' for name in names)
    return f"name: theddt\nservices:\n  web: {{image: none}}\nsecrets:\n{lines}"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "docker-compose.yml").write_text(compose_text(*secret_kinds.KINDS))
    (tmp_path / ".env.example").write_text(EXAMPLE)
    return tmp_path


def init(folder: Path, *options: str, **more: str) -> "subprocess.CompletedProcess[str]":
    names = ("DDT_", "DOMAIN", "HTTP", "SECRETS_DIR")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(names)}
    result = subprocess.run(
        [DDT, "init", "--docker", *options], cwd=folder, env={**kept, **more},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    return result


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_every_secret_of_the_shipped_compose_file_has_a_kind_and_no_other_has() -> None:
    if not SHIPPED.is_file():
        pytest.skip("docker-compose.yml is not in this tree yet: nothing to compare with")
    assert set(project.secret_files(SHIPPED.parent)) == set(secret_kinds.KINDS)


def test_every_secret_that_compose_names_is_made_and_nothing_else(checkout: Path) -> None:
    answer = json.loads(init(checkout, "--json").stdout)
    assert set(answer["made"]) == set(secret_kinds.KINDS)
    assert set(contents(checkout / "secrets")) == set(secret_kinds.KINDS)


def test_only_what_compose_names_is_made(checkout: Path) -> None:
    (checkout / "docker-compose.yml").write_text(compose_text("keystore-kek"))
    init(checkout)
    assert set(contents(checkout / "secrets")) == {"keystore-kek"}


def test_the_folder_is_the_owners_and_the_files_are_for_the_containers_users(
    checkout: Path,
) -> None:
    init(checkout)
    assert stat.S_IMODE((checkout / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(f.stat().st_mode) for f in (checkout / "secrets").iterdir()} == {0o444}
    assert stat.S_IMODE((checkout / ".env").stat().st_mode) == 0o600


def test_every_secret_is_alphanumeric_random_and_without_a_newline(checkout: Path) -> None:
    init(checkout)
    found = contents(checkout / "secrets")
    uri = found.pop("pesequel-postgrest-uri").decode()
    password = found["pesequel-authenticator-password"].decode()
    assert uri == f"postgresql://authenticator:{password}@pesequel_postgres:5432/pesequel"
    key = found.pop("token-signing-key")
    assert key.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert not key.endswith(b"\n")
    assert all(re.fullmatch(rb"[A-Za-z0-9]+", octets) for octets in found.values())
    assert len(set(found.values())) == len(found)
    assert len(found["oauth2-proxy-cookie-secret"]) == 32
    assert len(bytes.fromhex(found["keystore-kek"].decode())) == 32
    assert len(found["django-secret-key"]) >= 50


def test_init_again_changes_nothing(checkout: Path) -> None:
    init(checkout, DOMAIN="pki.example.org")
    before = contents(checkout / "secrets")
    environment = (checkout / ".env").read_bytes()
    again = json.loads(init(checkout, "--json").stdout)
    assert again["made"] == []
    assert not again["environment_made"]
    assert contents(checkout / "secrets") == before
    assert (checkout / ".env").read_bytes() == environment
    assert again["portal"] == "https://pkakey.pki.example.org/"


def test_a_secret_of_ones_own_is_kept_and_the_rest_is_made(checkout: Path) -> None:
    (checkout / "secrets").mkdir(mode=0o755)
    own = checkout / "secrets" / "admin-password"
    own.write_text("ChosenByAPersonWhoKnows")
    result = init(checkout)
    assert result.returncode == 0, result.stderr
    assert own.read_text() == "ChosenByAPersonWhoKnows"
    assert stat.S_IMODE((checkout / "secrets").stat().st_mode) == 0o700
    assert set(contents(checkout / "secrets")) == set(secret_kinds.KINDS)


def test_an_init_that_was_cut_short_is_finished(checkout: Path) -> None:
    (checkout / "secrets").mkdir(mode=0o700)
    (checkout / "secrets" / ".keystore-kek.new").write_text("hal")
    init(checkout)
    assert set(contents(checkout / "secrets")) == set(secret_kinds.KINDS)


def test_domain_ports_and_folder_come_from_the_environment(checkout: Path) -> None:
    elsewhere = checkout / "elsewhere"
    init(checkout, DOMAIN="pki.example.org", HTTPS_PORT="9443", SECRETS_DIR=str(elsewhere))
    written = project.environment_of(checkout / ".env")
    assert written["DOMAIN"] == "pki.example.org"
    assert written["HTTPS_PORT"] == "9443"
    assert written["HTTP_PORT"] == "80"
    assert written["HTTPS_SUFFIX"] == ":9443"
    assert written["SECRETS_DIR"] == str(elsewhere)
    assert set(contents(elsewhere)) == set(secret_kinds.KINDS)
    assert not (checkout / "secrets").exists()


def test_env_names_the_folder_of_secrets_so_that_compose_may_start(checkout: Path) -> None:
    init(checkout)
    assert project.environment_of(checkout / ".env")["SECRETS_DIR"] == "./secrets"
    assert (checkout / ".env").read_text().startswith("# The domain under which")


def test_a_variable_that_an_older_env_lacks_is_named(checkout: Path) -> None:
    (checkout / ".env").write_text("DOMAIN=theddt.local\n#HTTP_PORT=80\n")
    result = init(checkout)
    assert "HTTPS_PORT" in result.stderr
    assert "HTTP_PORT," not in result.stderr
    assert (checkout / ".env").read_text() == "DOMAIN=theddt.local\n#HTTP_PORT=80\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DOMAIN", "localhost"),
        ("DOMAIN", "a b.example"),
        ("DOMAIN", "x`).example"),
        ("DOMAIN", "x$y.example"),
        ("HTTPS_PORT", "0"),
        ("HTTPS_PORT", "https"),
        ("HTTP_PORT", "65536"),
    ],
)
def test_a_value_that_cannot_be_is_named_and_nothing_is_made(
    checkout: Path, name: str, value: str
) -> None:
    result = init(checkout, **{name: value})
    assert result.returncode == 1
    assert name in result.stderr
    assert not (checkout / ".env").exists()
    assert not (checkout / "secrets").exists()


@pytest.mark.parametrize(
    ("name", "octets", "word"),
    [
        ("pesequel-postgrest-uri", b"postgresql://other", "does not read"),
        ("keystore-kek", b"", "is empty"),
        ("keystore-kek", b"a" * 63, "at least 64"),
        ("keystore-kek", b"a" * 64 + b"\n", "white space"),
        ("oauth2-proxy-cookie-secret", b"a" * 33, "exactly 32"),
        ("oauth2-proxy-cookie-secret", b"a" * 31, "exactly 32"),
        ("django-secret-key", b"a" * 49, "at least 50"),
        ("redis-password", b"pa$$word" * 8, "letters and digits"),
        ("redis-password", "pässword".encode() * 8, "letters and digits"),
        ("token-signing-key", b"a" * 64, "no private key in PEM"),
        ("token-signing-key", EC_KEY, "no RSA key"),
        ("redis-password", b"\xff" * 64, "letters and digits"),
    ],
)
def test_a_secret_that_no_part_could_use_is_told_and_kept(
    checkout: Path, name: str, octets: bytes, word: str
) -> None:
    (checkout / "secrets").mkdir(mode=0o700)
    file = checkout / "secrets" / name
    file.write_bytes(octets)
    file.chmod(0o444)
    result = init(checkout)
    assert result.returncode == 1
    assert str(file) in result.stderr
    assert word in result.stderr
    assert file.read_bytes() == octets
    assert set(contents(checkout / "secrets")) == {name}


def test_a_secret_that_is_a_folder_is_told(checkout: Path) -> None:
    # What Docker leaves where a mounted file was missing.
    (checkout / "secrets" / "keystore-kek").mkdir(parents=True, mode=0o700)
    result = init(checkout)
    assert result.returncode == 1
    assert "has to be a file" in result.stderr


def test_a_secret_that_the_containers_cannot_read_is_told(checkout: Path) -> None:
    init(checkout)
    (checkout / "secrets" / "redis-password").chmod(0o600)
    result = init(checkout)
    assert result.returncode == 1
    assert "chmod 444" in result.stderr


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "services: {}\n",
        "- a\n- b\n",
        "secrets: [keystore-kek]\n",
        "secrets: {keystore-kek: {environment: KEK}}\n",
        "secrets: {keystore-kek: {file: ../keystore-kek}}\n",
        "secrets: {keystore-kek: {file: ./secrets/../../keystore-kek}}\n",
        "secrets: {keystore-kek: {file: /etc/passwd}}\n",
        'secrets: {keystore-kek: {file: "${SECRETS_DIR}/other"}}\n',
        "secrets: {never-heard-of: {file: ./secrets/never-heard-of}}\n",
        "a: &a [*a]\n",
        "secrets: !!python/object:os.system {}\n",
        "\x00",
        "&a " * 5000,
    ],
)
def test_a_compose_file_that_is_not_ours_makes_nothing(checkout: Path, text: str) -> None:
    (checkout / "docker-compose.yml").write_text(text)
    result = init(checkout)
    assert result.returncode == 1
    assert "docker-compose.yml" in result.stderr
    assert not (checkout / "secrets").exists()


def test_without_a_compose_file_the_command_says_where_it_looked(tmp_path: Path) -> None:
    result = init(tmp_path, DDT_PROJECT=str(tmp_path / "none"))
    assert result.returncode == 1
    assert str(tmp_path / "none") in result.stderr


def test_without_an_example_nothing_is_guessed(checkout: Path) -> None:
    (checkout / ".env.example").unlink()
    result = init(checkout)
    assert result.returncode == 1
    assert ".env.example" in result.stderr
    assert not (checkout / ".env").exists()


def test_a_name_without_a_kind_is_refused() -> None:
    with pytest.raises(TroubleError, match="does not know how to make"):
        secret_kinds.kind_of("new-thing")


@pytest.mark.parametrize("name", sorted(secret_kinds.KINDS))
def test_what_is_made_is_what_is_accepted(name: str) -> None:
    made = secret_kinds.new(name, lambda other: secret_kinds.kind_of(other).new())
    assert secret_kinds.problem(name, made.encode()) is None
