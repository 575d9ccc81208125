"""The real signer over a real socket, with a real PostgreSQL."""

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from pkakey_signers.client import SignerClient
from pkakey_signers.testing.authorities import Authority, make_root
from pkakey_signers.testing.process import SCHEMA, IntentDatabase, SignerProcess, with_parts
from psycopg import sql


@pytest.fixture(scope="session")
def database_admin_url(request: pytest.FixtureRequest) -> str:
    """A PostgreSQL superuser's URL, from the environment."""
    url = os.environ.get("THEDDT_TEST_DATABASE_URL")
    if not url:
        pytest.fail(
            "These tests need a PostgreSQL server: set THEDDT_TEST_DATABASE_URL to a superuser's "
            "URL, or run them by 'make test'."
        )
    return url


@pytest.fixture(scope="session")
def intent_database(
    database_admin_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[IntentDatabase]:
    name = f"h_signers_{secrets.token_hex(6)}"
    password = secrets.token_hex(16)
    identifier = sql.Identifier(name)
    password_file = tmp_path_factory.mktemp("database") / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password + "\n")
    with psycopg.connect(database_admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
        admin.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(identifier, sql.Literal(password))
        )
    url = with_parts(database_admin_url, database=name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA)
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA intents TO {}").format(identifier))
    yield IntentDatabase(
        url, with_parts(database_admin_url, database=name, role=name), password_file
    )
    with psycopg.connect(database_admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))
        admin.execute(sql.SQL("DROP ROLE {}").format(identifier))


@pytest.fixture
def make_signer(intent_database: IntentDatabase) -> Iterator[Callable[..., SignerProcess]]:
    """Make signers (not started) in short folders: a socket's path has at most 107 octets."""
    made: list[SignerProcess] = []

    def make(*options: str) -> SignerProcess:
        folder = Path(tempfile.mkdtemp(prefix="signer-"))
        signer = SignerProcess(folder, intent_database, list(options))
        signer.kek_file.touch(mode=0o600)
        signer.kek_file.write_text(secrets.token_hex(32) + "\n")
        made.append(signer)
        return signer

    yield make
    for signer in made:
        if signer.process is not None:
            signer.stop(signal.SIGKILL)
        shutil.rmtree(signer.folder)


@pytest.fixture
def signer(make_signer: Callable[..., SignerProcess]) -> SignerProcess:
    return make_signer().start()


@pytest.fixture
def client(signer: SignerProcess) -> Iterator[SignerClient]:
    with signer.client() as client:
        yield client


@pytest.fixture
def root(client: SignerClient, intent_database: IntentDatabase) -> Authority:
    """An active self-signed root, whose certificate the signer itself signed."""
    return make_root(client, intent_database)
