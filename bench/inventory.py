"""Measure the data API's search at a million certificates, through the real PostgREST.

`python -m bench.inventory` makes a database of its own, fills it, asks, and takes all down.
`python -m bench.inventory --certificates 10000000` wants some 20 GB of disk and half an hour.
What the relay does is measured on a platform that issues: `python -m bench.delivery`.
"""

import argparse
import json
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
from ddt.native import postgrest
from ddt.native.postgresql import temporary_server
from ddt.settings import Settings
from pesequel.database import LOGIN_ROLES, migrate
from psycopg.conninfo import make_conninfo

from bench.load import Measurement
from e2e.native_platform import free_port
from PeSequel.tests import world
from PeSequel.tests.signer import ISSUER, Signer, new_signer

PASSWORD = "for-measuring-only"  # noqa: S105  # The server is gone at the end.
DEPARTMENTS = 500
AT_ONCE = 20_000
# Every tenth of the other namespace; digests stand in for fingerprints and key ids.
FILL = """
INSERT INTO inventory.certificate (
    certificate_id, namespace, authority_id, serial_number, subject, names, typed_names,
    search_text, not_before, not_after, issued_at, certificate_sha256, public_key_sha256, key_id,
    key_algorithm, signature_algorithm, profile, profile_version, purpose, source, requested_by,
    requested_by_kind, request_id)
SELECT gen_random_uuid(), CASE WHEN n %% 10 = 0 THEN 'guest' ELSE 'default' END, %(authority)s,
       d.serial, 'CN=' || d.name, ARRAY[d.name], ARRAY['dns:' || d.name],
       inventory.search_text('CN=' || d.name, ARRAY[d.name], d.serial),
       d.at, d.at + interval '90 days', d.at, d.digest, reverse(d.digest), left(d.digest, 40),
       'EC P-256', 'ecdsa-with-SHA256', 'tls-server', 1, '', 'api', 'ada', 'user', ''
FROM generate_series(%(first)s::int, %(last)s::int) AS n,
    LATERAL (SELECT
        encode(sha256(n::text::bytea), 'hex') AS digest,
        ltrim(md5(n::text), '0') AS serial,
        format('host-%%s.dept-%%s.example.test', lpad(n::text, 9, '0'), n %% %(departments)s)
            AS name,
        now() - make_interval(secs => n * 7) AS at) AS d
"""


def fill(admin_url: str, certificates: int) -> None:
    """Put that many certificates into the inventory, and let the planner know."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("SELECT inventory.deliver(%s)", [json.dumps(world.events())])
        for first in range(1, certificates + 1, AT_ONCE):
            last = min(first + AT_ONCE - 1, certificates)
            admin.execute(
                FILL,
                {
                    "authority": world.ISSUING,
                    "first": first,
                    "last": last,
                    "departments": DEPARTMENTS,
                },
            )
        admin.execute("VACUUM ANALYZE inventory.certificate, inventory.request")


@contextmanager
def data_api(database_url: str, signer: Signer) -> Iterator[str]:
    """Run the real PostgREST as it ships; yield its address."""
    with tempfile.TemporaryDirectory(prefix="ddt-bench-") as folder:
        home = Path(folder)
        (home / "postgrest").mkdir()
        keys = home / "jwks.json"
        keys.write_text(signer.jwks())
        settings = Settings(home, "theddt.test")
        program = postgrest.fetch(settings)
        if program is None:
            raise SystemExit(postgrest.ABSENT)
        port, admin_port = free_port(), free_port()
        file = postgrest.write_configuration(
            settings, port=port, admin_port=admin_port, database_url=database_url, jwks=keys
        )
        with (home / "log").open("wb") as log:
            process = subprocess.Popen([program, file], stdout=log, stderr=log)
        try:
            while not _is_ready(admin_port):
                if process.poll() is not None:
                    raise SystemExit((home / "log").read_text())
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def _is_ready(admin_port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{admin_port}/ready", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def questions(admin_url: str, certificates: int) -> dict[str, Callable[[], str]]:
    """Return each kind of question and how to make one of it, of certificates that are there."""
    with psycopg.connect(admin_url) as admin:
        rows = admin.execute(
            "SELECT serial_number, certificate_sha256, key_id FROM inventory.certificate "
            "WHERE namespace = 'default' LIMIT 5000"
        ).fetchall()
    pick = random.Random(7)  # noqa: S311  # Which rows are asked for is no secret.

    def number() -> int:
        return pick.randrange(1, certificates + 1)

    def one() -> tuple[str, str, str]:
        serial, fingerprint, key = pick.choice(rows)
        return serial, fingerprint, key

    return {
        "part of a name, one match": lambda: f"/rpc/search_by_name?name=host-{number():09d}",
        "part of a name, hundreds": lambda: (
            f"/rpc/search_by_name?name=dept-{number() % DEPARTMENTS}.&limit=100"
        ),
        "part of a name, all match": lambda: "/rpc/search_by_name?name=example&limit=100",
        "part of a name, no match": lambda: f"/rpc/search_by_name?name=absent-{number()}",
        "serial number": lambda: f"/rpc/search_by_serial_number?serial_number={one()[0]}",
        "fingerprint": lambda: f"/rpc/search_by_fingerprint?fingerprint={one()[1]}",
        "key id": lambda: f"/rpc/search_by_key_id?key_id={one()[2]}",
        "newest 100": lambda: "/certificates?order=issued_at.desc&limit=100",
        "newest 100 requests": lambda: "/requests?order=requested_at.desc&limit=100",
        "next to end, 100": lambda: (
            "/certificates?status=eq.valid&not_after=gt.now&order=not_after&limit=100"
        ),
    }


def ask(url: str, token: str, make: Callable[[], str], *, count: int, clients: int) -> Measurement:
    """Ask so many questions of one kind by so many clients at once."""
    result = Measurement()
    paths = [make() for _ in range(count)]
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False) as http:

        def once(path: str) -> None:
            began = time.perf_counter()
            answer = http.get(path)
            if answer.status_code == 200:
                result.latencies.append(time.perf_counter() - began)
            else:
                result.errors.append(f"{path}: {answer.status_code} {answer.text[:200]}")

        began = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(once, paths))
        result.seconds = time.perf_counter() - began
    return result


def main() -> None:
    """Measure, and print one row for each kind of question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificates", type=int, default=1_000_000)
    parser.add_argument("--questions", type=int, default=200, help="of each kind")
    arguments = parser.parse_args()
    signer = new_signer("bench")
    with temporary_server() as server_url:
        migrate(
            server_url,
            passwords=dict.fromkeys(LOGIN_ROLES, PASSWORD),
            issuers=[ISSUER],
            database="pesequel",
        )
        admin_url = make_conninfo(server_url, dbname="pesequel")
        began = time.perf_counter()
        fill(admin_url, arguments.certificates)
        print(f"{arguments.certificates} certificates after {time.perf_counter() - began:.0f} s.")
        authenticator = make_conninfo(admin_url, user="authenticator", password=PASSWORD)
        clean = True
        with data_api(authenticator, signer) as url:
            for clients in (1, 8):
                for name, make in questions(admin_url, arguments.certificates).items():
                    result = ask(
                        url, signer.token(), make, count=arguments.questions, clients=clients
                    )
                    print(
                        f"{name:<28} {clients} clients   {result.rate:7.0f}/s   "
                        f"p50 {result.percentile_ms(0.5):7.1f} ms   "
                        f"p95 {result.percentile_ms(0.95):7.1f} ms   errors {len(result.errors)}",
                        flush=True,
                    )
                    for text in result.errors[:3]:
                        print(f"    {text}")
                    clean &= not result.errors
    if not clean:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
