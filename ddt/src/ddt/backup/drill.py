"""`ddt backup drill`: restores a backup into a scratch place and looks whether it would do."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ddt.backup import native, verification
from ddt.backup.database import Server
from ddt.errors import TroubleError
from ddt.native import alone, environments
from ddt.settings import Settings

_SECONDS = 3600


@dataclass(frozen=True)
class Finding:
    """What one check found; `detail` is a sentence."""

    name: str
    ok: bool
    detail: str


def run(settings: Settings, file: Path, identity: Path) -> list[dict[str, Any]]:
    """Restore the file beside the running platform, check it, remove it; return the findings.

    Raises TroubleError when it cannot even be restored.
    """
    with (
        native.scratch(settings.home / native.FOLDER) as place,
        native.unpacked(settings, file, identity, place) as (chosen, server, manifest),
    ):
        findings = [finding("restore", lambda: f"Restored the backup of {manifest['made_at']}.")]
        for name, counts in manifest["databases"].items():
            with server.connect(name) as connection:
                findings.append(
                    finding(
                        f"counts-{name}",
                        lambda c=connection, n=name, t=counts: (  # type: ignore[misc]
                            verification.compare_counts(c, n, t)
                        ),
                    )
                )
        with server.connect("pkakey") as connection:
            findings += [
                finding("audit-log", lambda: verification.check_audit(connection)),
                finding("chain", lambda: verification.check_chain(connection)),
                finding("crl", lambda: verification.check_crls(connection)),
            ]
        with alone.running(chosen, ["database", "signer", "status"]):
            findings.append(finding("signer-log", lambda: _compare_log(chosen)))
            with server.connect("pkakey") as connection:
                url = f"http://127.0.0.1:{_status_port(chosen)}/ocsp"
                findings += [
                    finding("ocsp", lambda: verification.check_ocsp(connection, url, chosen.host)),
                ]
            findings.append(finding("new-crl", lambda: _new_crl(chosen, server)))
        return [asdict(finding) for finding in findings]


def finding(name: str, check: Callable[[], str]) -> Finding:
    """Do one check; what it raises is what it found."""
    try:
        return Finding(name, ok=True, detail=check())
    except TroubleError as error:
        return Finding(name, ok=False, detail=str(error))


def _compare_log(settings: Settings) -> str:
    log = settings.home / "keystore" / "signer.log"
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pkakey.config.manage", "compare_signer_log", os.fspath(log)],
        check=False, capture_output=True, text=True, timeout=_SECONDS,
        env=environments.of_manage(settings),
    )  # fmt: skip
    if result.returncode != 0:
        raise TroubleError((result.stderr.strip().splitlines() or ["No reason was given."])[-1])
    return result.stdout.strip()


def _new_crl(settings: Settings, server: Server) -> str:
    with server.connect("pkakey") as connection:
        before = {n: a.last_crl_number for n, a in verification.authorities(connection).items()}
    native.publish(settings)
    with server.connect("pkakey") as connection:
        said = verification.check_crls(connection)
        after = {n: a.last_crl_number for n, a in verification.authorities(connection).items()}
    if any(after[number] <= last for number, last in before.items()):
        raise TroubleError("A new CRL did not get a higher number.")
    return f"The restored keys signed a new CRL each. {said}"


def _status_port(settings: Settings) -> int:
    ports = json.loads((settings.runtime / "ports.json").read_text(encoding="ascii"))
    return int(ports["status"])
