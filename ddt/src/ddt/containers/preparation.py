"""`ddt init --docker`: makes .env and the secret files, whole or not at all, and overwrites none.

The folder is for its owner only; the files in it may be read by all, since compose mounts each by
itself and the containers read it as users of their own (compose cannot change a file's owner).
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ddt import secret_files
from ddt.containers import project, secret_kinds
from ddt.containers.project import Project
from ddt.errors import TroubleError

FILE_MODE = 0o444
HTTPS_PORT = 443
KNOWN = frozenset(secret_kinds.KINDS)
_CHOSEN = ("DOMAIN", "HTTPS_PORT", "HTTP_PORT", project.SECRETS_VARIABLE)


@dataclass(frozen=True)
class Prepared:
    """What was made, and the variables that a newer .env.example explains and .env lacks."""

    environment: bool
    secrets: list[str]
    lacking: list[str]


def prepare(chosen: Project) -> Prepared:
    """Make what is missing; raises TroubleError for a secret that is there and cannot be used."""
    files = project.secret_files(chosen.folder)
    secret_kinds.check_names(files)
    for folder in {file.parent for file in files.values()}:
        secret_files.private_folder(folder)
    for name, file in files.items():
        check_secret(name, file, missing=True)
    made_environment = _make_environment(chosen)
    # One that holds another comes after it.
    ordered = sorted(files.items(), key=lambda item: item[0] in secret_kinds.DERIVED)
    made = [name for name, file in ordered if _make(name, file)]
    return Prepared(made_environment, made, lacking(chosen.folder))


def check_secret(name: str, file: Path, *, missing: bool = False) -> None:
    """Raise TroubleError, in words, when the secret is unusable; or missing, unless allowed."""
    try:
        octets = file.read_bytes()
        mode = file.stat().st_mode
    except FileNotFoundError:
        if missing:
            return
        raise TroubleError(
            f"The secret {file} is missing. If this platform has never started, 'ddt init --docker'"
            " makes it; else restore it from your backup, since a new one opens nothing.",
        ) from None
    except OSError as error:
        raise TroubleError(
            f"The secret {file} cannot be read ({error.strerror}). It has to be a file; remove "
            "what is there and run 'ddt init --docker'.",
        ) from error
    wrong = secret_kinds.problem(name, octets)
    if wrong is not None:
        raise TroubleError(
            f"The secret {file} {wrong}. Restore it from your backup. Only if this platform has "
            "never started: remove the file and run 'ddt init --docker'.",
        )
    if mode & FILE_MODE != FILE_MODE:
        raise TroubleError(
            f"The secret {file} cannot be read by the containers' own users. Its folder keeps "
            f"others out, so run: chmod 444 {file}",
        )


def lacking(folder: Path) -> list[str]:
    """Return the variables that .env.example sets and .env does not know, not even as a comment."""
    try:
        here = _names((folder / ".env").read_text(encoding="utf-8"))
        explained = _assigned((folder / ".env.example").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return []
    return [name for name in explained if name not in here]


def _names(text: str) -> set[str]:
    return set(re.findall(r"^#?\s*([A-Z][A-Z0-9_]*)=", text, re.MULTILINE))


def _assigned(text: str) -> list[str]:
    return re.findall(r"^([A-Z][A-Z0-9_]*)=", text, re.MULTILINE)


def _make_environment(chosen: Project) -> bool:
    target = chosen.folder / ".env"
    if target.exists():
        return False
    example = chosen.folder / ".env.example"
    try:
        text = example.read_text(encoding="utf-8")
    except OSError as error:
        raise TroubleError(
            f"{example} cannot be read ({error.strerror}). Take it back from the release.",
        ) from error
    values = (chosen.domain, str(chosen.https_port), str(chosen.http_port))
    named = os.environ.get(project.SECRETS_VARIABLE) or project.DEFAULT_SECRETS
    for name, value in zip(_CHOSEN, (*values, named), strict=True):
        # Compose refuses to start until .env names the folder: the sign that this ran.
        if os.environ.get(name) or name == project.SECRETS_VARIABLE:
            text = with_variable(text, name, value)
    if chosen.https_port != HTTPS_PORT:
        text = with_variable(text, "HTTPS_SUFFIX", f":{chosen.https_port}")
    _write(target, text.encode(), 0o600)
    return True


def with_variable(text: str, name: str, value: str) -> str:
    """Return the text with the variable set, in the place of its explanation if there is one."""
    line = f"{name}={value}"
    text, count = re.subn(
        rf"^#?[ \t]*{name}=.*$", lambda _: line, text, count=1, flags=re.MULTILINE
    )
    return text if count else f"{text.rstrip()}\n{line}\n"


def _make(name: str, file: Path) -> bool:
    if file.exists():
        return False
    text = secret_kinds.new(name, lambda other: file.with_name(other).read_text("ascii"))
    _write(file, text.encode(), FILE_MODE)
    return True


def _write(file: Path, octets: bytes, mode: int) -> None:
    """Write a file so that after a crash it is there in whole or not at all; never over another."""
    draft = file.with_name(f".{file.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(octets)
        stream.flush()
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    try:
        os.link(draft, file)
    except FileExistsError:
        return
    finally:
        draft.unlink(missing_ok=True)
