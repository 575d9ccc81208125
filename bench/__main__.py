"""Measure a running platform: issuance, OCSP, memory; and, when asked, starting from cold and warm.

Run `make up` first, then `make bench`. Nothing here passes or fails on a figure; a run with errors
is not a figure and ends with exit code 1.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from cryptography import x509

from bench.load import Measurement, Target, exchange, measure
from bench.requests import csr_pem, issue_request, ocsp_request

DDT = Path(sys.executable).with_name("ddt")
OCSP_CERTIFICATES = 200


def ddt(*arguments: str, home: Path | None = None, **environment: str) -> str:
    """Run the ddt command and return its standard output."""
    env = {**os.environ, **environment}
    if home is not None:
        env["DDT_HOME"] = str(home)
    return subprocess.run(
        [DDT, *arguments], env=env, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def show(name: str, result: Measurement) -> bool:
    """Print one row; return whether the run was free of errors."""
    print(
        f"{name:<28} {result.rate:8.0f}/s   p50 {result.percentile_ms(0.5):6.1f} ms   "
        f"p99 {result.percentile_ms(0.99):6.1f} ms   errors {len(result.errors)}"
    )
    for text in result.errors[:3]:
        print(f"    {text}")
    return not result.errors


def memory_mb(pid: int) -> dict[str, float]:
    """Return the proportional set size in MB of a process and each descendant, by name."""
    sizes: dict[str, float] = {}
    root = psutil.Process(pid)
    for process in [root, *root.children(recursive=True)]:
        try:
            words = process.cmdline()
            name = next(
                (w for w in words if "pkakey" in w or "ddt" in w), words[0] if words else "?"
            )
            size = process.memory_full_info().pss / 1e6
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        name = Path(name).name[:40]
        sizes[name] = sizes.get(name, 0.0) + size
    return sizes


def measure_running(*, seconds: float, connections: int) -> bool:
    """Measure issuance, OCSP and memory of the platform that DDT_HOME names."""
    try:
        status = json.loads(ddt("status", "--json"))
    except subprocess.CalledProcessError:
        sys.stderr.write("The platform is not ready, and only a running one is measured: make up\n")
        return False
    api = urlsplit(status["urls"]["api"])
    ocsp_url = urlsplit(status["urls"]["ocsp"])
    host = api.netloc
    token = ddt(
        "token", "create", "--name", "bench", "--scope", "certificates:issue", "--expires", "1d"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as root:
        root.write(ddt("trust", "--print"))
        root.flush()
        gateway = Target(api.port or 443, api.hostname, root.name)
        count = int((seconds + 3) * 2000)
        print(f"Preparing {count} certificate requests …")
        bodies = [
            issue_request(host=host, token=token.strip(), csr=csr_pem(f"h{i:06d}.bench.test"))
            for i in range(count)
        ]
        # The certificates that OCSP is asked about are issued here, so that their issuer is known.
        with gateway.connect() as connection:
            issued = [
                json.loads(exchange(connection, body)[1]) for body in bodies[:OCSP_CERTIFICATES]
            ]
        clean = show(
            f"issue, {connections} connections",
            measure(
                gateway,
                bodies[OCSP_CERTIFICATES:],
                expected_status=201,
                connections=connections,
                seconds=seconds,
            ),
        )
    issuer = x509.load_pem_x509_certificate(issued[0]["chain"][0].encode())
    asked = [
        ocsp_request(
            host=ocsp_url.netloc,
            certificate=x509.load_pem_x509_certificate(row["pem"].encode()),
            issuer=issuer,
        )
        for row in issued
    ]
    clean &= show(
        f"OCSP, {connections} connections",
        measure(
            Target(ocsp_url.port or 80),
            asked,
            expected_status=200,
            connections=connections,
            seconds=seconds,
            reuse=True,
        ),
    )
    supervisor = psutil.Process(status["services"][0]["pid"]).parent()
    if supervisor is not None:
        sizes = memory_mb(supervisor.pid)
        for name, size in sorted(sizes.items(), key=lambda row: -row[1]):
            print(f"    {name:<42} {size:7.1f} MB")
        print(f"{'memory of the tree (PSS)':<28} {sum(sizes.values()):8.0f} MB")
    return clean


def measure_start() -> None:
    """Time the first and the second start of a fresh platform on ports of its own."""
    with tempfile.TemporaryDirectory(prefix="ddt-bench-") as folder:
        settings = {"DDT_HTTPS_PORT": "18443", "DDT_HTTP_PORT": "18080"}
        home = Path(folder) / "home"
        for name in ("first start", "second start"):
            begin = time.monotonic()
            ddt("up", home=home, **settings)
            print(f"{name:<28} {time.monotonic() - begin:8.1f} s")
            ddt("down", home=home, **settings)


def main() -> int:
    """Parse the arguments, measure, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="measured time of each run")
    parser.add_argument("--connections", type=int, default=8, help="keep-alive connections")
    parser.add_argument("--start", action="store_true", help="also time a first and a second start")
    arguments = parser.parse_args()
    if arguments.start:
        measure_start()
    return 0 if measure_running(seconds=arguments.seconds, connections=arguments.connections) else 1


if __name__ == "__main__":
    sys.exit(main())
