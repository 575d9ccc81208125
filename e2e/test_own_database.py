"""DATABASE_URL: the platform runs on a PostgreSQL of one's own and starts none."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from ddt.native import postgresql

from e2e.native_platform import Platform, free_port, make_csr, openssl

pytestmark = pytest.mark.platform


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Another real PostgreSQL server; the address is its administrator's."""
    with postgresql.temporary_server() as url:
        yield url


def test_a_platform_lives_on_ones_own_postgresql_across_a_restart(
    server: str, tmp_path: Path
) -> None:
    platform = Platform(tmp_path / "home", database_url=server)
    try:
        platform.ddt("up")
        names = {service["name"] for service in platform.status()["services"]}
        assert "web" in names
        assert "postgresql" not in names
        assert not (platform.home / "postgresql").exists()
        name = "own-database.example.test"
        _, csr = make_csr(tmp_path, name)
        certificate, chain = tmp_path / "certificate.pem", tmp_path / "chain.pem"
        platform.ddt(
            "issue", "--csr", csr, "--profile", "tls-server", "--out", certificate,
            "--chain-out", chain,
        )  # fmt: skip
        verified = openssl(
            "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", name,
            "-CAfile", platform.root(), "-untrusted", chain, certificate,
        )  # fmt: skip
        assert verified.stdout.strip() == f"{certificate}: OK"
        with psycopg.connect(_database(server, "pkakey")) as connection:
            found = connection.execute("SELECT count(*) FROM certificates_certificate").fetchone()
            assert found is not None
            assert found[0] > 0
        platform.ddt("restart")
        assert name in platform.ddt("list").stdout
    finally:
        platform.ddt("down")
    with psycopg.connect(server) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_database_that_nobody_serves_stops_the_start_with_words(tmp_path: Path) -> None:
    password = "s3cret-word"  # To be looked for in what is printed.
    address = f"postgresql://admin:{password}@127.0.0.1:{free_port()}/postgres"
    platform = Platform(tmp_path / "home", database_url=address)
    try:
        result = platform.ddt("up", check=False)
        assert result.returncode != 0
        said = result.stdout + result.stderr
        assert "Traceback" not in said
        assert password not in said
    finally:
        platform.ddt("down")


def _database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
