"""The checks of `ddt doctor --docker`: what the containers stand on, and how they are."""

import json
import socket
import ssl
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509

from ddt import inventory_state
from ddt.containers import engine, preparation, project, running
from ddt.containers.engine import Compose
from ddt.containers.project import Project
from ddt.errors import TroubleError
from ddt.native.start import listener
from ddt.rotation.journal import Journal

GATEWAY = "quewall_traefik"
LARGEST_DRIFT = timedelta(seconds=5)
_SECONDS = 30
_UNITS = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def checks(chosen: Project, *, now: datetime) -> dict[str, Callable[[], str]]:
    """Return each check by its name; one returns a sentence or raises TroubleError."""
    return {
        "engine": lambda: _engine(chosen),
        "compose": lambda: _compose(chosen),
        "prepared": lambda: _prepared(chosen),
        "rotations": lambda: _rotations(chosen),
        "ports": lambda: _ports(chosen),
        "hosts": lambda: unknown_names(chosen.hosts, "ddt hosts --docker"),
        "memory": lambda: memory(chosen, _information(chosen)),
        "clock": lambda: clock(_information(chosen), now=now),
        "services": lambda: _services(chosen),
        "gateway-certificate": lambda: _certificate(chosen, now=now),
        "inventory": lambda: _inventory(chosen, now=now),
    }


def _engine(chosen: Project) -> str:
    return new_enough(
        "Docker Engine", Compose(chosen.folder).engine_version(), engine.OLDEST_ENGINE
    )


def _compose(chosen: Project) -> str:
    found = Compose(chosen.folder).compose_version()
    return new_enough("The compose plugin", found, engine.OLDEST_COMPOSE)


def new_enough(what: str, version: str, oldest: tuple[int, ...]) -> str:
    """Say which version it is; raises TroubleError for one that is older than needed."""
    words = ".".join(map(str, oldest))
    if engine.version_of(version) < oldest:
        raise TroubleError(f"{what} is {version or 'unknown'}; {words} or later is needed: update.")
    return f"{what} is {version}."


def _prepared(chosen: Project) -> str:
    running.check(chosen)
    missing = preparation.lacking(chosen.folder)
    more = f" Variables that .env does not know yet: {', '.join(missing)}." if missing else ""
    return f"The secrets are usable and .env is there.{more}"


def _rotations(chosen: Project) -> str:
    if cut_off := Journal(chosen.secrets).unfinished():
        raise TroubleError(
            f"The rotation of {', '.join(cut_off)} was cut off. Finish it: ddt rotate --docker "
            f"{cut_off[0]}",
        )
    return "No rotation of a secret was cut off."


def _ports(chosen: Project) -> str:
    if _gateway_is_up(Compose(chosen.folder)):
        return "The gateway holds its ports."
    check_free("HTTPS_PORT", chosen.https_port)
    check_free("HTTP_PORT", chosen.http_port)
    return f"Ports {chosen.https_port} and {chosen.http_port} are free."


def _gateway_is_up(compose: Compose) -> bool:
    rows = compose.containers()
    return any((r.get("Service"), r.get("State")) == (GATEWAY, "running") for r in rows)


def check_free(variable: str, port: int) -> None:
    """Raise TroubleError when another program has the port; the engine needs no rights of ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except PermissionError:
            return
        except OSError:
            also = " (and HTTPS_SUFFIX after it)" if variable == "HTTPS_PORT" else ""
            raise TroubleError(
                f"Port {port} is taken{listener(port)}. Stop that program; or, if this platform "
                f"has never started, set {variable}{also} in .env to a free port.",
            ) from None


def before_start(chosen: Project, compose: Compose) -> str:
    """Raise TroubleError for what would end a start halfway; return what deserves a warning."""
    new_enough("Docker Engine", compose.engine_version(), engine.OLDEST_ENGINE)
    new_enough("The compose plugin", compose.compose_version(), engine.OLDEST_COMPOSE)
    running.check(chosen)
    _ports(chosen)
    try:
        memory(chosen, _information(chosen))
    except TroubleError as short:
        return str(short)
    return ""


def unknown_names(names: list[str], word: str) -> str:
    """Say that this computer finds every name; raises TroubleError with those that it does not."""
    unknown = []
    for name in names:
        try:
            socket.getaddrinfo(name, None)
        except OSError:
            unknown.append(name)
    if unknown:
        raise TroubleError(
            f"This computer does not find {', '.join(unknown)}. '{word}' prints what the hosts "
            "file needs.",
        )
    return f"This computer finds all {len(names)} names."


def _information(chosen: Project) -> dict[str, Any]:
    result = subprocess.run(  # noqa: S603
        [engine.docker_program(), "info", "--format", "{{json .}}"], cwd=chosen.folder,
        check=False, capture_output=True, timeout=_SECONDS,
    )  # fmt: skip
    try:
        answer = json.loads(result.stdout)
    except ValueError:
        answer = None
    if result.returncode != 0 or not isinstance(answer, dict):
        raise TroubleError(f"No Docker engine answers: {engine.last_words(result.stderr, 1)}.")
    return answer


def memory(chosen: Project, information: dict[str, Any]) -> str:
    """Compare the engine's memory with the sum of what the services may use."""
    there = int(information.get("MemTotal") or 0)
    wanted = sum(_limit(entry) for entry in project.services(chosen.folder).values())
    if there < wanted:
        raise TroubleError(
            f"The engine has {there / 1e9:.1f} GB of memory, and the services may use "
            f"{wanted / 1e9:.1f} GB. Give it more (Docker Desktop: Settings, Resources), or expect "
            "services to be ended under load.",
        )
    return f"The engine has {there / 1e9:.1f} GB for services that may use {wanted / 1e9:.1f} GB."


def _limit(entry: object) -> int:
    found: object = entry
    if isinstance(entry, dict) and entry.get("profiles"):
        return 0
    for name in ("deploy", "resources", "limits", "memory"):
        found = found.get(name) if isinstance(found, dict) else None
    text = str(found or "").lower().removesuffix("b")
    unit = _UNITS.get(text[-1:], 0)
    return int(text[:-1]) * unit if unit and text[:-1].isdecimal() else 0


def clock(information: dict[str, Any], *, now: datetime) -> str:
    """Compare the engine's clock with ours: in a virtual machine it may have slept."""
    text = str(information.get("SystemTime", ""))
    try:
        theirs = datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    except ValueError:
        raise TroubleError(f"The engine told '{text[:40]}' as its time. Restart it.") from None
    if text[-1:] != "Z":
        # With an offset and nanoseconds, of which Python reads six digits at most.
        theirs = datetime.fromisoformat(f"{text[:19]}{text[-6:]}")
    drift = abs(theirs - now)
    if drift > LARGEST_DRIFT:
        raise TroubleError(
            f"The engine's clock and this computer's differ by {drift.total_seconds():.0f} s: "
            "certificates and tokens will be refused. Set the clock (timedatectl set-ntp true), "
            "or restart Docker Desktop.",
        )
    return "The engine's clock and this computer's agree."


def _services(chosen: Project) -> str:
    compose = Compose(chosen.folder)
    answer = running.status(compose)
    if answer["state"] == "stopped":
        raise TroubleError("The containers do not run. Start them with 'ddt up --docker'.")
    if short := compose.ended_for_memory():
        raise TroubleError(
            f"Ended for want of memory: {', '.join(short)}. Raise the limit (deploy.resources."
            "limits.memory of the service, in docker-compose.override.yml), then 'ddt up --docker'."
        )
    units = answer["services"] + answer["tasks"]
    ill = [u for u in units if u["state"] not in {"ready", "done"}]
    if ill:
        words = "; ".join(f"{u['name']} is {u['state']} ({u['detail']})" for u in ill)
        raise TroubleError(f"{words}. 'docker compose logs {ill[0]['name']}' tells more.")
    return f"All {len(answer['services'])} services are well."


def _certificate(chosen: Project, *, now: datetime) -> str:
    # Looked at and not trusted: nothing is sent to whoever answers here.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    name = f"pkakey.{chosen.domain}"
    try:
        with (
            socket.create_connection(("127.0.0.1", chosen.https_port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            der = secured.getpeercert(binary_form=True) or b""
        certificate = x509.load_der_x509_certificate(der)
    except (OSError, ValueError) as error:
        raise TroubleError(
            f"The gateway shows no certificate on port {chosen.https_port} ({error}). Start the "
            "containers with 'ddt up --docker'.",
        ) from error
    return validity(certificate, name, now=now)


def _inventory(chosen: Project, *, now: datetime) -> str:
    compose = Compose(chosen.folder)
    if running.status(compose)["state"] == "stopped":
        raise TroubleError("The containers do not run. Start them with 'ddt up --docker'.")
    # A container of its own, as the migration's: only that one may ask as an administrator.
    printed = compose.run(
        "run", "--rm", "--no-deps", "-T", "pesequel_migrate", "python", "-m", "pesequel", "state",
        timeout=_SECONDS,
    )  # fmt: skip
    return inventory_state.words(
        printed.decode(errors="replace"), now=now, log="docker compose logs pkakey_celery_worker"
    )


def validity(certificate: x509.Certificate, name: str, *, now: datetime) -> str:
    """Say how long the certificate is valid; raises TroubleError when it is not, or not for it."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= now <= end:
        raise TroubleError(
            f"The gateway's certificate is valid from {begin} to {end}, and it is {now}. If the "
            "clock is right, 'docker compose logs pkakey_celery_worker' tells why it was not "
            "renewed.",
        )
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        known = []
    if name not in known and f"*.{name.partition('.')[2]}" not in known:
        raise TroubleError(
            f"The gateway's certificate is for {', '.join(known) or 'no name'}, not for {name}: "
            "another program may listen there, or DOMAIN was changed.",
        )
    return f"The gateway's certificate has {(end - now).days} days left."
