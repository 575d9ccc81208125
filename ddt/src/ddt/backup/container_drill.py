"""`ddt backup drill --docker`: a backup comes up in containers beside the platform, and is checked.

The scratch project has volumes, networks and secrets of its own; nothing routes to it. Databases
and OCSP listen on loopback for as long as it takes, on a network without a way out.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from ddt import secret_files
from ddt.backup import containers, native, verification
from ddt.backup.drill import Finding, finding
from ddt.containers import project
from ddt.containers.engine import Compose
from ddt.containers.project import Project
from ddt.containers.servers import SERVERS
from ddt.errors import TroubleError

NAME = "theddt-drill"
_STATUS, _JOBS = "pkakey_status", "pkakey_bootstrap"
_WANTED = (*SERVERS, "pkakey_migrate", containers.SIGNER, _JOBS, _STATUS)
_PUBLISHED = {**dict.fromkeys(SERVERS, 5432), _STATUS: 8000}
_LEFT_OUT = ("build", "container_name", "depends_on", "labels", "networks", "ports", "restart")
_START_SECONDS = 600.0
_COMPARE = (
    "cat >/tmp/signer.log && exec python -m pkakey.config.manage compare_signer_log /tmp/signer.log"
)


@dataclass(frozen=True)
class Scratch:
    """The project that the backup came up in."""

    compose: Compose
    place: Path
    services: dict[str, Any]
    manifest: dict[str, Any]

    def address(self, service: str) -> str:
        """Return HOST:PORT at which this machine reaches the service."""
        printed = self.compose.run("port", service, str(_PUBLISHED[service]), timeout=60)
        return printed.decode().strip()

    @contextmanager
    def connection(self, database: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Yield a connection to a restored database, as its server's superuser."""
        service = self.manifest["servers"][database]
        environment = self.services[service]["environment"]
        secret = Path(environment["POSTGRES_PASSWORD_FILE"]).name
        host, _, port = self.address(service).rpartition(":")
        try:
            connection = psycopg.connect(
                host=host, port=port, dbname=database, user=environment["POSTGRES_USER"],
                password=secret_files.read(self.place / "secrets", secret),
            )  # fmt: skip
        except psycopg.OperationalError as error:
            raise TroubleError(f"The restored {service} does not let ddt in: {error}") from error
        with connection:
            yield connection


def run(chosen: Project, file: Path, identity: Path) -> list[dict[str, Any]]:
    """Restore the file beside the platform, check it, remove it; return the findings.

    Raises TroubleError when it cannot even be restored.
    """
    secret_files.private_folder(chosen.backups)
    with native.scratch(chosen.backups) as place, _restored(chosen, file, identity, place) as there:
        return [asdict(each) for each in _findings(chosen, there)]


@contextmanager
def _restored(chosen: Project, file: Path, identity: Path, place: Path) -> Iterator[Scratch]:
    manifest = containers.extract(file, place, identity)
    for path in (place / "secrets").iterdir():
        path.chmod(0o444)
    own = Compose(chosen.folder)
    own.engine_version()
    printed = own.run(
        "config", "--format", "json",
        environment={project.SECRETS_VARIABLE: os.fspath(place / "secrets")},
    )  # fmt: skip
    described = scratch_project(json.loads(printed))
    written = place / "drill.json"
    written.write_text(json.dumps(described), encoding="utf-8")
    compose = Compose(chosen.folder, project=NAME, file=written)
    compose.run("down", "--volumes", "--timeout", "5")
    try:
        containers.fill(compose, place, manifest)
        yield Scratch(compose, place, described["services"], manifest)
    finally:
        compose.run("down", "--volumes", "--timeout", "5")


def scratch_project(config: dict[str, Any]) -> dict[str, Any]:
    """Return a project of a few services of the resolved compose file, with nothing in common.

    Volumes lose their names (they would be the platform's), networks are its own.
    """
    services = {}
    for name in _WANTED:
        kept = {k: v for k, v in config["services"][name].items() if k not in _LEFT_OUT}
        kept["networks"] = ["inside"]
        if name in _PUBLISHED:
            kept["networks"].append("outside")
            kept["ports"] = [f"127.0.0.1::{_PUBLISHED[name]}"]
        services[name] = kept
    mounted = [v for each in services.values() for v in each.get("volumes", [])]
    used = {each["source"] for each in mounted if each["type"] == "volume"}
    secrets = {each["source"] for service in services.values() for each in service["secrets"]}
    return {
        "name": NAME,
        "services": services,
        "networks": {
            "inside": {"internal": True},
            # Loopback gets in, nothing gets out.
            "outside": {"driver_opts": {"com.docker.network.bridge.enable_ip_masquerade": "false"}},
        },
        "volumes": {name: {} for name in sorted(used)},
        "secrets": {name: {"file": config["secrets"][name]["file"]} for name in sorted(secrets)},
    }


def _findings(chosen: Project, there: Scratch) -> Iterator[Finding]:
    made_at = there.manifest["made_at"]
    yield finding("restore", lambda: f"Restored the backup of {made_at}.")
    for name, counts in there.manifest["databases"].items():
        yield finding(f"counts-{name}", partial(_counts, there, name, counts))
    with there.connection("pkakey") as connection:
        yield finding("audit-log", lambda: verification.check_audit(connection))
        yield finding("chain", lambda: verification.check_chain(connection))
        yield finding("crl", lambda: verification.check_crls(connection))
    up: Sequence[str] = ("up", "--detach", "--wait", "--no-build")
    there.compose.run(*up, "pkakey_migrate", timeout=_START_SECONDS)
    there.compose.run(*up, containers.SIGNER, _STATUS, timeout=_START_SECONDS)
    yield finding("signer-log", lambda: _compare_log(there))
    with there.connection("pkakey") as connection:
        url = f"http://{there.address(_STATUS)}/ocsp"
        host = f"pkakey.{chosen.domain}"
        yield finding("ocsp", lambda: verification.check_ocsp(connection, url, host))
    yield finding("new-crl", lambda: _new_crl(there))


def _counts(there: Scratch, name: str, counts: dict[str, int]) -> str:
    with there.connection(name) as connection:
        return verification.compare_counts(connection, name, counts)


def _compare_log(there: Scratch) -> str:
    words = ("run", "--rm", "--no-deps", "-T", _JOBS, "sh", "-c", _COMPARE)
    with (there.place / "keystore" / "signer.log").open("rb") as log:
        return there.compose.run(*words, stdin=log, timeout=3600).decode().strip()


def _new_crl(there: Scratch) -> str:
    with there.connection("pkakey") as connection:
        before = {n: a.last_crl_number for n, a in verification.authorities(connection).items()}
    containers.publish(there.compose)
    with there.connection("pkakey") as connection:
        said = verification.check_crls(connection)
        after = {n: a.last_crl_number for n, a in verification.authorities(connection).items()}
    if any(after[number] <= last for number, last in before.items()):
        raise TroubleError("A new CRL did not get a higher number.")
    return f"The restored keys signed a new CRL each. {said}"
