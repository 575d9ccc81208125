"""The PostgreSQL from the wheel, as the user who runs the tests."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg
import pytest
from ddt.errors import TroubleError
from ddt.native import launch, postgresql


@pytest.fixture(scope="module")
def admin_url() -> Iterator[str]:
    with postgresql.temporary_server() as url:
        yield url


def one(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def test_the_server_is_a_whole_postgresql_with_checksums_and_utf8(admin_url: str) -> None:
    assert str(one(admin_url, "SHOW server_version")).startswith("18.")
    assert one(admin_url, "SHOW data_checksums") == "on"
    assert one(admin_url, "SHOW server_encoding") == "UTF8"
    assert one(admin_url, "SELECT datlocale FROM pg_database LIMIT 1") == "C.UTF-8"


def test_it_listens_on_no_network_address(admin_url: str) -> None:
    assert one(admin_url, "SHOW listen_addresses") == ""


def test_its_socket_is_in_a_folder_for_its_owner_only(admin_url: str) -> None:
    folder = Path(parse_qs(urlsplit(admin_url).query)["host"][0])
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_connection_without_the_password_is_refused(admin_url: str, password: str) -> None:
    folder = Path(parse_qs(urlsplit(admin_url).query)["host"][0])
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgresql.url(folder, user="postgres", password=password))


def test_initialising_again_keeps_what_is_there(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret")
    data = tmp_path / "data"
    postgresql.initialise(data, password)
    mark = data / "mark"
    mark.touch()
    postgresql.initialise(data, password)
    assert mark.exists()


def test_a_half_made_cluster_is_made_anew(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret")
    draft = tmp_path / "data.new"
    draft.mkdir()
    (draft / "half").touch()
    postgresql.initialise(tmp_path / "data", password)
    assert postgresql.is_initialised(tmp_path / "data")
    assert not draft.exists()


def test_a_cluster_of_another_major_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("15\n")
    with pytest.raises(TroubleError, match="PostgreSQL 15"):
        postgresql.is_initialised(tmp_path)


def test_the_temporary_server_is_gone_afterwards() -> None:
    with postgresql.temporary_server() as url:
        folder = Path(parse_qs(urlsplit(url).query)["host"][0])
        assert folder.exists()
    assert not folder.exists()


def test_the_temporary_server_dies_with_the_test_run_that_started_it() -> None:
    code = (
        "import sys, time\nfrom ddt.native.postgresql import temporary_server\n"
        "with temporary_server() as url:\n print(url, flush=True)\n time.sleep(60)\n"
    )
    runner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert runner.stdout is not None
    folder = parse_qs(urlsplit(runner.stdout.readline().strip()).query)["host"][0]
    servers = [p for p in psutil.process_iter() if _runs_in(p, folder)]
    assert servers
    runner.kill()
    runner.wait()
    runner.stdout.close()
    deadline = time.monotonic() + 15
    while any(_runs_in(p, folder) for p in servers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [p for p in servers if _runs_in(p, folder)]
    shutil.rmtree(folder)


def _runs_in(process: psutil.Process, folder: str) -> bool:
    try:
        return any(folder in word for word in process.cmdline())
    except psutil.Error:
        return False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another identity")
def test_root_enters_a_namespace_and_the_files_stay_roots(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret")
    postgresql.initialise(tmp_path / "data", password)
    assert (tmp_path / "data" / "PG_VERSION").stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_root_where_namespaces_are_barred_is_told_what_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    barred = tmp_path / "launch.py"
    barred.write_text(f"raise SystemExit({launch.REFUSED})")
    monkeypatch.setattr(postgresql, "LAUNCH", barred)
    # An account is no way out here: it could not enter the home, which only root may.
    monkeypatch.setenv(postgresql.ACCOUNT_VARIABLE, "nobody")
    with pytest.raises(TroubleError, match=r"ordinary user.*DATABASE_URL") as caught:
        postgresql.identity()
    assert postgresql.ACCOUNT_VARIABLE not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_an_account_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(postgresql.ACCOUNT_VARIABLE, "no-such-account")
    with pytest.raises(TroubleError, match="no-such-account"):
        postgresql.temporary_identity()


@pytest.fixture
def open_binaries(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that every account may enter, with the programs: a checkout need not be one."""
    folder = Path(tempfile.mkdtemp(prefix="ddt-pg-programs-"))
    folder.chmod(0o755)
    package = postgresql.binaries().parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, folder / part.name)
    binaries = folder / package.name / "pginstall" / "bin"
    monkeypatch.setattr(postgresql, "binaries", lambda: binaries)
    monkeypatch.setenv(postgresql.ACCOUNT_VARIABLE, "nobody")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_the_named_account_is_used_where_namespaces_are_barred(open_binaries: Path) -> None:
    with postgresql.temporary_server() as url:
        assert one(url, "SELECT 1") == 1
        folder = Path(parse_qs(urlsplit(url).query)["host"][0])
        owner = pwd.getpwnam("nobody").pw_uid
        assert (folder / "data" / "postmaster.pid").stat().st_uid == owner


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_an_account_that_cannot_run_the_program_is_told(open_binaries: Path) -> None:
    open_binaries.chmod(0o700)
    with pytest.raises(TroubleError, match=r"'nobody'.*cannot run .*Let it read that folder"):
        postgresql.temporary_identity()
