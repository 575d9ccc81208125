"""Measure how far the inventory is behind under full issuance, and how fast it is rebuilt.

`python -m bench.delivery` starts a platform of its own, and takes it down.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

import psycopg
from ddt.native import postgresql
from ddt.settings import Settings

from bench.load import Target, measure
from bench.requests import csr_pem, issue_request
from e2e.native_platform import Platform

LOOK_SECONDS = 0.2


class Lag:
    """Looks at the outbox again and again: how much waits, and how long the oldest has waited."""

    def __init__(self, address: str) -> None:
        """Look at the database of this address, as an administrator."""
        self.address = address
        self.seconds: list[float] = []
        self.waiting = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        with psycopg.connect(self.address, autocommit=True) as connection:
            while not self._end.wait(LOOK_SECONDS):
                row = connection.execute(
                    "SELECT w.*, coalesce(extract(epoch FROM now() - w.oldest_at), 0)::float "
                    "FROM pki.inventory_lag() AS w(number, oldest_at)"
                ).fetchone()
                if row is not None:
                    self.waiting = row[0]
                    self.seconds.append(row[2])


def run(platform: Platform, *, seconds: float, connections: int) -> None:
    """Issue for a time, wait until the inventory is there, rebuild it; print the figures."""
    host = f"pkakey.{platform.domain}"
    token = platform.token("certificates:issue")
    requests = [
        issue_request(
            host=f"{host}:{platform.https_port}", token=token, csr=csr_pem(f"d{number}.bench.test")
        )
        for number in range(int(seconds * 800))
    ]
    password = (platform.home / "secrets" / "postgres-password").read_text().strip()
    address = postgresql.url(
        Settings(platform.home).runtime, user="postgres", password=password, database="pkakey"
    )
    target = Target(platform.https_port, host, str(platform.root()))
    with Lag(address) as lag:
        issued = measure(
            target, requests, expected_status=201, connections=connections, seconds=seconds
        )
        ended = time.perf_counter()
        worst = max(lag.seconds)
        ordered = sorted(lag.seconds)
        while lag.waiting:
            time.sleep(LOOK_SECONDS)
        behind = time.perf_counter() - ended
    print(f"issued {issued.rate:.0f}/s, errors {len(issued.errors)}")
    print(
        f"the inventory was behind: p50 {ordered[len(ordered) // 2]:.1f} s, most {worst:.1f} s; "
        f"all was there {behind:.1f} s after the last certificate"
    )
    began = time.perf_counter()
    said = platform.ddt("manage", "rebuild_inventory", timeout=3600).stdout.strip()
    took = time.perf_counter() - began
    number = int(said.split(" from ")[1].split()[0])
    print(f"rebuilt from {number} events in {took:.1f} s: {number / took:.0f}/s")


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--connections", type=int, default=8)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ddt-bench-") as folder:
        platform = Platform(Path(folder) / "home")
        platform.ddt("up")
        try:
            run(platform, seconds=arguments.seconds, connections=arguments.connections)
        finally:
            platform.ddt("down")


if __name__ == "__main__":
    main()
