"""PeSequel's database with two namespaces' data in it, and the real PostgREST in front."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from ddt.native import postgrest
from ddt.settings import Settings
from psycopg.conninfo import make_conninfo

from PeSequel.tests import world
from PeSequel.tests.signer import Signer, new_signer


@dataclass(frozen=True)
class DataAPI:
    """The running data API, its database, and tokens for it."""

    url: str
    admin_url: str
    signer: Signer
    process: subprocess.Popen[bytes]

    def get(self, path: str, *, token: str | None = None, **headers: str) -> httpx.Response:
        """GET as this token's bearer; an auditor of the default namespace unless told otherwise."""
        return self.call("GET", path, token=token, **headers)

    def call(
        self, method: str, path: str, *, token: str | None = None, body: Any = None, **headers: str
    ) -> httpx.Response:
        """Call as this token's bearer; an empty token sends none."""
        token = self.signer.token() if token is None else token
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        return httpx.request(method, f"{self.url}{path}", headers=sent, json=body, timeout=30)


@pytest.fixture(scope="session")
def signer() -> Signer:
    return new_signer("ours")


@pytest.fixture(scope="session")
def stranger() -> Signer:
    return new_signer("ours")


@pytest.fixture(scope="module")
def filled(data_database: str) -> str:
    """The database with `world`'s events in it, for each file anew: others empty it, too."""
    with psycopg.connect(data_database, autocommit=True) as admin:
        admin.execute("SELECT inventory.reset()")
        admin.execute("SELECT inventory.deliver(%s)", [json.dumps(world.events())])
    return data_database


@pytest.fixture(scope="session")
def postgrest_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("postgrest")
    program = postgrest.fetch(Settings(home))
    if program is None:
        if os.environ.get("CI"):
            pytest.fail(f"CI must have PostgREST. {postgrest.ABSENT}")
        pytest.skip(postgrest.ABSENT)
    return program


@pytest.fixture(scope="session")
def running_data_api(
    data_database: str,
    data_dsn: Callable[[str], str],
    postgrest_program: Path,
    signer: Signer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[DataAPI]:
    """The real PostgREST with the shipped configuration."""
    home = tmp_path_factory.mktemp("home")
    (home / "postgrest").mkdir()
    keys = home / "jwks.json"
    keys.write_text(signer.jwks())
    port, admin_port = free_port(), free_port()
    file = postgrest.write_configuration(
        Settings(home, "theddt.test"),
        port=port,
        admin_port=admin_port,
        database_url=make_conninfo(data_dsn("authenticator"), application_name="postgrest"),
        jwks=keys,
    )
    log = home / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen([postgrest_program, file], stdout=stream, stderr=stream)
    deadline = time.monotonic() + 60
    while not _is_ready(admin_port):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    yield DataAPI(f"http://127.0.0.1:{port}", data_database, signer, process)
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="module")
def data_api(running_data_api: DataAPI, filled: str) -> DataAPI:
    """PostgREST, and what `filled` put into its database."""
    assert running_data_api.admin_url == filled
    return running_data_api


def _is_ready(admin_port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{admin_port}/ready", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
