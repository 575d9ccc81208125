"""A real PgBouncer with the shipped configuration, before the tests' server."""

import configparser
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ddt.native.postgresql import launch_prefix, temporary_identity
from psycopg.conninfo import conninfo_to_dict

SHIPPED: Final = Path(__file__).parents[1] / "pgbouncer" / "pgbouncer.ini"
DATABASE: Final = "pesequel"


@contextmanager
def running(program: Path, server_url: str, passwords: Mapping[str, str]) -> Iterator[str]:
    """Run it before this server, for roles with these passwords; yield the DSN of its database.

    Only where it listens, where its server is and where its passwords lie differ from what ships.
    """
    server = conninfo_to_dict(server_url)
    # Whoever may run the server may run PgBouncer, which refuses root as the server does.
    identity = temporary_identity()
    folder = Path(tempfile.mkdtemp(prefix="ddt-bouncer-"))
    try:
        users = folder / "userlist.txt"
        users.write_text("".join(f'"{name}" "{word}"\n' for name, word in passwords.items()))
        port = _free_port()
        ini = shipped()
        ini["databases"] = {
            DATABASE: " ".join(
                f"{key}={server[key]}" for key in ("host", "port", "dbname") if key in server
            )
        }
        ini["pgbouncer"].update(
            {
                "listen_addr": "127.0.0.1",
                "listen_port": str(port),
                "auth_file": str(users),
            }
        )
        file = folder / "pgbouncer.ini"
        with file.open("w") as stream:
            ini.write(stream)
        if identity[:1] == ["--account"]:
            for path in (folder, users, file):
                shutil.chown(path, identity[1])
        log = folder / "log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*launch_prefix(death_signal=signal.SIGTERM, identity=identity), program, file],
                stdout=stream, stderr=stream, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            _wait(process, port, log)
            yield f"host=127.0.0.1 port={port} dbname={DATABASE}"
        finally:
            process.terminate()
            process.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def shipped() -> configparser.ConfigParser:
    """Return the configuration that ships."""
    ini = configparser.ConfigParser(interpolation=None)
    ini.read_string(SHIPPED.read_text())
    return ini


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
