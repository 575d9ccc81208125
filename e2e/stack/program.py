"""A program that issues, revokes and counts through the gateway, as customers' programs do."""

import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

from bench.requests import csr_pem
from e2e.stack.keycloak import Keycloak
from e2e.stack.stack import Stack

SPARE_SECONDS = 60.0
LIFE_SECONDS = 1800


@dataclass
class Program:
    """An API client of Keycloak's; its token is kept until it is nearly over."""

    stack: Stack
    keycloak: Keycloak
    name: str = "operations"
    secret: str = ""
    _token: str = ""
    _until: float = 0.0

    def __post_init__(self) -> None:
        """Make the client, unless it is there."""
        if not self.secret:
            roles = ("pki-officer", "pki-requester", "pki-auditor")
            self.secret = self.keycloak.client(self.name, *roles, seconds=LIFE_SECONDS)

    @property
    def token(self) -> str:
        """A token that is good for a while."""
        if time.monotonic() > self._until:
            self._token = self.keycloak.token(self.name, self.secret)
            self._until = time.monotonic() + LIFE_SECONDS - SPARE_SECONDS
        return self._token

    def ask(self, path: str, *, method: str = "GET", **what: Any) -> httpx.Response:  # noqa: ANN401
        """Ask PKaKey's REST API."""
        bearer = {"Authorization": f"Bearer {self.token}"}
        return self.stack.ask("pkakey", path, method=method, headers=bearer, **what)

    def issue(self, name: str) -> dict[str, Any]:
        """Have a certificate issued for a name; return the API's answer."""
        asked = {"csr": csr_pem(name), "profile": "tls-server"}
        answer = self.ask("/api/v1/certificates/", method="POST", json=asked)
        assert answer.status_code == 201, answer.text
        issued: dict[str, Any] = answer.json()
        return issued

    def revoke(self, serial: str, reason: str) -> None:
        """Revoke a certificate."""
        path = f"/api/v1/certificates/{serial}/revoke/"
        answer = self.ask(path, method="POST", json={"reason": reason})
        assert answer.is_success, answer.text

    def serials(self) -> list[str]:
        """Return the serial numbers of every certificate that the API lists."""
        found: list[str] = []
        path = "/api/v1/certificates/?page_size=200"
        while path:
            page = self.ask(path).raise_for_status().json()
            found += [row["serial_number"] for row in page["results"]]
            path = page["next"].partition(str(self.stack.https_port))[2] if page["next"] else ""
        return found

    def inventory(self) -> set[str]:
        """Return the serial numbers that the data API tells."""
        bearer = {"Authorization": f"Bearer {self.token}"}
        answer = self.stack.ask("api", "/certificates?select=serial_number", headers=bearer)
        return {row["serial_number"] for row in answer.raise_for_status().json()}

    def ocsp(self, issued: dict[str, Any], folder: Path) -> str:
        """Ask for the status by plain HTTP; return what openssl says, which checks the answer."""
        certificate, chain = folder / "ocsp.pem", folder / "ocsp-chain.pem"
        certificate.write_text(issued["pem"])
        chain.write_text("".join(issued["chain"]))
        return openssl(
            "ocsp", "-issuer", chain, "-cert", certificate, "-CAfile", self.stack.root,
            "-url", f"http://127.0.0.1:{self.stack.http_port}/ocsp",
        )  # fmt: skip


@dataclass
class Load:
    """A client that issues without pause and keeps each serial number that it was told."""

    program: Program
    prefix: str
    told: list[str] = field(default_factory=list)
    unanswered: int = 0
    """Requests whose outcome the client does not know: cut off, or an error of ours."""
    refused: list[int] = field(default_factory=list)
    """The status of each answer that was none of success."""
    _stopped: threading.Event = field(default_factory=threading.Event)

    def _run(self) -> None:
        number = 0
        while not self._stopped.wait(0.1):
            number += 1
            csr = csr_pem(f"{self.prefix}-{number}.example.test")
            asked = {"csr": csr, "profile": "tls-server"}
            try:
                answer = self.program.ask("/api/v1/certificates/", method="POST", json=asked)
            except httpx.HTTPError:
                self.unanswered += 1
                continue
            if answer.status_code == 201:
                self.told.append(answer.json()["serial_number"])
            else:
                self.refused.append(answer.status_code)
                self.unanswered += 1

    def __enter__(self) -> Self:
        """Start the client."""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the client."""
        self._stopped.set()
        self._thread.join()


def openssl(*words: str | Path) -> str:
    """Run openssl and return all that it printed, whatever its end."""
    done = subprocess.run(
        ["openssl", *words], check=False, capture_output=True, text=True, timeout=60
    )
    return done.stdout + done.stderr


def compare_signer_log(stack: Stack) -> str:
    """Compare the signer's own log with the records; return the sentence, or the error's."""
    log = stack.inside("pkakey_signer", "cat", "/var/lib/pkakey/keystore/signer.log")
    return stack.inside(
        # The worker's own settings know fewer commands.
        "pkakey_celery_worker", "env", "DJANGO_SETTINGS_MODULE=pkakey.config.settings", "sh", "-c",
        "cat >/tmp/signer.log && python -m pkakey.config.manage compare_signer_log /tmp/signer.log",
        given=log,
    )  # fmt: skip
