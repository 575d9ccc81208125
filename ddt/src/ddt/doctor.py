"""The checks of `ddt doctor`: each looks at one thing and says what to do when it is not well."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psutil
from cryptography import x509

from ddt import inventory_state, secret_files
from ddt.backup import schedule
from ddt.errors import TroubleError
from ddt.native import environments, gateway, postgresql, start
from ddt.rotation.journal import Journal
from ddt.settings import Settings

_OLDEST_PYTHON = (3, 11)
_RENEWAL_OVERDUE = timedelta(days=1)
_SECONDS = 600
LEAST_MEMORY = 1_000_000_000  # Measured: docs/performance.md.


@dataclass(frozen=True)
class Check:
    """What one check found; `detail` is a sentence."""

    name: str
    ok: bool
    detail: str


def examine(settings: Settings) -> list[dict[str, Any]]:
    """Run every check of the native platform and return a row for each; none raises."""
    return run_all({name: partial(check, settings) for name, check in _CHECKS.items()})


def run_all(checks: Mapping[str, Callable[[], str]]) -> list[dict[str, Any]]:
    """Run the checks and return a row for each; none raises."""
    return [asdict(_run(name, check)) for name, check in checks.items()]


def _run(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, ok=True, detail=check())
    except TroubleError as error:
        return Check(name, ok=False, detail=str(error))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return Check(name, ok=False, detail=f"The check itself failed: {error}.")


def _python(_: Settings) -> str:
    if sys.version_info < _OLDEST_PYTHON:
        raise TroubleError("Python 3.11 or later is needed. Name one: make up PYTHON=…")
    return f"Python {sys.version.split()[0]}."


def _programs(_: Settings) -> str:
    return f"PostgreSQL in {postgresql.binaries()}, Traefik at {gateway.program()}."


def _postgresql_user(settings: Settings) -> str:
    if settings.database_url:
        return "The database is one of your own (DATABASE_URL)."
    options = postgresql.identity()
    return f"PostgreSQL can run here ({' '.join(options) or 'as this user'})."


def _space(settings: Settings) -> str:
    start.check_space(settings.home if settings.home.exists() else settings.home.parent)
    return "There is room on the disk."


def _home(settings: Settings) -> str:
    if not settings.home.is_dir():
        raise TroubleError(f"{settings.home} does not exist yet. 'ddt init' or 'ddt up' makes it.")
    mode = settings.home.stat().st_mode & 0o777
    if mode & 0o077:
        raise TroubleError(f"{settings.home} is open to others. Run: chmod 700 {settings.home}")
    return f"{settings.home} is for its owner only."


def _secrets(settings: Settings) -> str:
    for name in secret_files.NAMES:
        secret_files.read(settings.secrets, name)
        file = settings.secrets / name
        if file.stat().st_mode & 0o077:
            raise TroubleError(f"The secret {file} is open to others. Run: chmod 600 {file}")
    return f"All {len(secret_files.NAMES)} secrets are there, for their owner only."


def _rotations(settings: Settings) -> str:
    if cut_off := Journal(settings.secrets).unfinished():
        raise TroubleError(
            f"The rotation of {', '.join(cut_off)} was cut off; the platform works on. Finish it: "
            f"ddt rotate {cut_off[0]}",
        )
    return "No rotation of a secret was cut off."


def _ports(settings: Settings) -> str:
    if start.status(settings)["state"] != "stopped":
        return "The platform holds its ports."
    start.check_port("DDT_HTTPS_PORT", settings.https_port)
    start.check_port("DDT_HTTP_PORT", settings.http_port)
    return f"Ports {settings.https_port} and {settings.http_port} are free."


def _services(settings: Settings) -> str:
    answer = start.status(settings)
    if answer["state"] == "stopped":
        raise TroubleError("The platform does not run. Start it with 'ddt up'.")
    ill = [u for u in answer["services"] + answer["tasks"] if u["state"] not in {"ready", "done"}]
    if ill:
        words = "; ".join(f"{u['name']} is {u['state']} ({u['detail']})" for u in ill)
        raise TroubleError(f"{words}. 'ddt logs {ill[0]['name']}' tells more.")
    return f"All {len(answer['services'])} services are ready."


def _certificate(settings: Settings) -> str:
    file = settings.tls / "tls.pem"
    if not file.is_file():
        raise TroubleError("The gateway has no certificate yet. 'ddt up' makes it.")
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    if left < _RENEWAL_OVERDUE:
        raise TroubleError(
            f"The gateway's certificate ends at {certificate.not_valid_after_utc} and was not "
            "renewed. 'ddt logs worker' tells why; 'ddt restart worker' tries again.",
        )
    return f"The gateway's certificate has {left.days} days left."


def memory(settings: Settings) -> str:
    """Compare the free memory with what a start takes."""
    free = psutil.virtual_memory().available
    if start.status(settings)["state"] == "stopped" and free < LEAST_MEMORY:
        raise TroubleError(
            f"{free / 1e9:.1f} GB of memory are free, and the platform takes some "
            f"{LEAST_MEMORY / 1e9:.1f} GB. End other programs first.",
        )
    return f"{free / 1e9:.1f} GB of memory are free."


def _clock(settings: Settings) -> str:
    return clock(settings, datetime.now(UTC))


def clock(settings: Settings, now: datetime) -> str:
    """Compare the clock with what has happened already: a clock that went back breaks validity."""
    file = settings.tls / "tls.pem"
    if file.is_file():
        begin = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_before_utc
        if now < begin:
            raise TroubleError(
                f"The clock says {now:%Y-%m-%d %H:%M} UTC, before the gateway's certificate was "
                f"made ({begin:%Y-%m-%d %H:%M}). Set it: timedatectl set-ntp true",
            )
    return f"The clock says {now:%Y-%m-%d %H:%M} UTC."


def _backups(settings: Settings) -> str:
    return backups(settings, datetime.now(UTC))


def backups(settings: Settings, now: datetime) -> str:
    """Compare the newest backup with the schedule; one that is late for a whole time is told."""
    found = schedule.of(settings)
    there = [moment for moment in schedule.moments(settings) if moment <= now]
    newest = f"The newest backup is of {max(there):%Y-%m-%d %H:%M} UTC." if there else ""
    if found is None:
        return f"{newest or 'There is no backup.'} No schedule: 'ddt backup schedule' sets one."
    if (
        start.status(settings)["state"] != "stopped"
        and there
        and now - max(there) > 2 * found.every
    ):
        raise TroubleError(
            f"{newest} One was due each {settings.backup_every}. 'ddt logs backup' tells why; then "
            "try by hand: ddt backup",
        )
    return f"{newest or 'There is no backup yet.'} One is made each {settings.backup_every}."


def _signer_log(settings: Settings) -> str:
    """Compare the signer's own log with the store: no certificate without its record."""
    log = settings.home / "keystore" / "signer.log"
    if not log.exists():
        return "The signer has signed nothing yet."
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pkakey.config.manage", "compare_signer_log", os.fspath(log)],
        check=False, capture_output=True, text=True, timeout=_SECONDS,
        env=environments.of_manage(settings),
    )  # fmt: skip
    if result.returncode != 0:
        said = (result.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise TroubleError(
            f"{said} If the database came from an older backup, revoke what it does not know; "
            "else keep the log and the database as they are and look for who changed them.",
        )
    return result.stdout.strip()


def _inventory(settings: Settings) -> str:
    """Ask the inventory how far it is behind PKaKey."""
    result = subprocess.run(
        [sys.executable, "-m", "pesequel", "state"],
        check=False, capture_output=True, text=True, timeout=_SECONDS,
        env=environments.of_manage(settings),
    )  # fmt: skip
    if result.returncode != 0:
        raise TroubleError(result.stderr.strip().removeprefix("pesequel: "))
    return inventory_state.words(result.stdout, now=datetime.now(UTC), log="ddt logs worker")


_CHECKS: dict[str, Callable[[Settings], str]] = {
    "python": _python,
    "programs": _programs,
    "postgresql-user": _postgresql_user,
    "home": _home,
    "disk": _space,
    "memory": memory,
    "clock": _clock,
    "secrets": _secrets,
    "rotations": _rotations,
    "ports": _ports,
    "services": _services,
    "gateway-certificate": _certificate,
    "backups": _backups,
    "inventory": _inventory,
    "signer-log": _signer_log,
}
