"""The docker command and its compose plugin: found, measured, called."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from ddt.errors import TroubleError

OLDEST_ENGINE = (20, 10)
OLDEST_COMPOSE = (2, 20)
_ANSWER_SECONDS = 30.0
_INSTALL = (
    "Install Docker Engine and its compose plugin (https://docs.docker.com/engine/install/), or "
    "start the platform without Docker: ddt up"
)


class Compose:
    """`docker compose` in one project's folder."""

    def __init__(self, folder: Path, *, project: str = "", file: Path | None = None) -> None:
        """Find the programs; raises TroubleError, saying what to install, when one is missing.

        Another project's name and another file than the folder's own: for what runs beside it.
        """
        self.folder = folder
        named = ["--project-name", project] if project else []
        self._named = [*named, *(["--file", str(file)] if file else [])]
        self.docker = docker_program()
        if self._quietly("compose", "version").returncode != 0:
            raise TroubleError(f"The docker command here has no compose plugin. {_INSTALL}")

    def words(self, *arguments: str) -> list[str]:
        """Return the command line of `docker compose ARGUMENTS`."""
        return [self.docker, "compose", *self._named, *arguments]

    def run(
        self,
        *arguments: str,
        stdin: IO[bytes] | int | None = subprocess.DEVNULL,
        stdout: IO[bytes] | int | None = subprocess.PIPE,
        timeout: float = 600,
        data: bytes | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run it and return what it printed; raises TroubleError with its own last words."""
        hand_in: dict[str, Any] = {"stdin": stdin} if data is None else {"input": data}
        try:
            result = subprocess.run(  # noqa: S603
                self.words(*arguments), cwd=self.folder, check=False, stdout=stdout,
                stderr=subprocess.PIPE, timeout=timeout,
                env={**os.environ, **(environment or {})}, **hand_in,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise TroubleError(
                f"'docker compose {arguments[0]}' did not end within {timeout:.0f} s. See "
                "'ddt status --docker'.",
            ) from None
        if result.returncode != 0:
            raise TroubleError(
                f"'docker compose {' '.join(arguments[:3])}' failed: {last_words(result.stderr)}"
            )
        return result.stdout or b""

    def engine(self, *arguments: str) -> bytes:
        """Run `docker ARGUMENTS` and return what it printed; raises TroubleError."""
        result = self._quietly(*arguments)
        if result.returncode != 0:
            raise TroubleError(
                f"'docker {' '.join(arguments[:2])}' failed: {last_words(result.stderr)}"
            )
        return result.stdout

    def engine_version(self) -> str:
        """Return the engine's version; raises TroubleError when no engine answers."""
        result = self._quietly("version", "--format", "{{.Server.Version}}")
        if result.returncode != 0:
            said = last_words(result.stderr)
            if "permission denied" in said.lower():
                raise TroubleError(
                    "This user may not speak to the Docker engine. Add it to the group 'docker' "
                    "(sudo usermod -aG docker $USER, then sign in again), or run ddt as root.",
                )
            raise TroubleError(
                f"No Docker engine answers ({said}). Start it: sudo systemctl start docker "
                "(Docker Desktop: open it).",
            )
        return result.stdout.decode().strip()

    def compose_version(self) -> str:
        """Return the compose plugin's version."""
        return self._quietly("compose", "version", "--short").stdout.decode().strip()

    def containers(self) -> list[dict[str, Any]]:
        """Return a row for each container of the project, stopped ones among them."""
        return rows(self.run("ps", "--all", "--format", "json", timeout=_ANSWER_SECONDS))

    def ended_for_memory(self) -> list[str]:
        """Return the services that the kernel ended for want of memory, as the engine saw it."""
        ids = [str(row["ID"]) for row in self.containers() if row.get("ID")]
        if not ids:
            return []
        seen = self._quietly("inspect", *ids)
        try:
            found = json.loads(seen.stdout)
        except ValueError:
            return []
        return sorted(
            str((entry["Config"].get("Labels") or {}).get("com.docker.compose.service", "?"))
            for entry in found
            if entry["State"].get("OOMKilled")
        )

    def _quietly(self, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        try:
            return subprocess.run(  # noqa: S603
                [self.docker, *arguments], cwd=self.folder, check=False, capture_output=True,
                stdin=subprocess.DEVNULL, timeout=_ANSWER_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise TroubleError(
                f"The Docker engine did not answer within {_ANSWER_SECONDS:.0f} s. Restart it: "
                "sudo systemctl restart docker",
            ) from None


def docker_program() -> str:
    """Return the docker command's path; raises TroubleError when there is none."""
    found = shutil.which("docker")
    if found is None:
        raise TroubleError(f"Docker is not installed here: there is no 'docker'. {_INSTALL}")
    return found


def rows(printed: bytes) -> list[dict[str, Any]]:
    """Read what `docker compose ps --format json` prints: an array, or an object a line."""
    text = printed.decode("utf-8", errors="replace").strip()
    try:
        if text.startswith("["):
            return [dict(row) for row in json.loads(text)]
        return [dict(json.loads(line)) for line in text.splitlines() if line.strip()]
    except (ValueError, TypeError):
        raise TroubleError(
            "'docker compose ps' printed something that is no JSON. Compose 2.20 or later is "
            "needed; 'ddt doctor --docker' tells which one is here.",
        ) from None


def version_of(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version such as v2.40.3-desktop.1; () when there are none."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in match.groups() if part) if match else ()


def last_words(octets: bytes, count: int = 3) -> str:
    """Return the last lines that say something, as one line."""
    lines = [line.strip() for line in octets.decode("utf-8", errors="replace").splitlines()]
    return " / ".join(_told(line) for line in [x for x in lines if x][-count:]) or "it said nothing"


def _told(words: Sequence[str] | str) -> str:
    return str(words)[:500]
