"""Backup and restore of the native platform: whole or not at all."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ddt import secret_files
from ddt.backup import archive, keys, retention
from ddt.backup.archive import Member
from ddt.backup.database import Server
from ddt.errors import TroubleError
from ddt.native import alone, environments, start
from ddt.rotation.journal import Journal, exclusively
from ddt.settings import Settings
from ddt.settings import remembered as settings_remembered

PLACE = "native"
FOLDER = retention.FOLDER
PARTS = ("postgresql", "keystore", "secrets", "media", "gateway", "config")
"""What a restore puts into the home, in the order in which it is put there."""

CRL_NUMBER_GAP = 1 << 20
"""More CRLs than were published since any backup: no number is used twice (RFC 5280, 5.2.3)."""

WAIT_SECONDS = 600.0
_SECONDS = 600
PUBLISH = """
from datetime import UTC, datetime
import django
django.setup()
from pkakey.fronts.command.services_of import services_of_process
from pkakey.services.namespace_walk import each_namespace
from pkakey.store.authorities.models import Authority
from pkakey.store.context import acting_as
for principal in each_namespace("publisher"):
    with acting_as(principal):
        now = datetime.now(UTC)
        found = list(Authority.objects.filter(namespace_id=principal.namespace_id, state="active",
                                              not_after__gt=now))
    for authority in found:
        services_of_process().publish_crl(authority_id=authority.id, now=now)
"""
WORK = ".work-"
DERIVED = (".index", "-wal", "-shm", "-journal")


@dataclass(frozen=True)
class Made:
    """A backup that was made."""

    file: Path
    sha256: str
    size: int
    manifest: dict[str, Any]
    new_key: bool


def keys_of(settings: Settings) -> keys.Keys:
    """Return where the home keeps the keys of its backups."""
    return keys.Keys(settings.secrets / keys.IDENTITY, settings.home / FOLDER / keys.RECIPIENTS)


def check(settings: Settings) -> None:
    """Raise TroubleError when this platform is none that can be backed up so."""
    if settings.database_url:
        raise TroubleError(
            "The database is one of your own (DATABASE_URL), perhaps with others' data in it: back "
            f"it up with its own tools, and with it the folders of {settings.home}: secrets, "
            "keystore, media.",
        )
    if not (settings.home / "postgresql").is_dir():
        raise TroubleError(
            f"There is no platform in {settings.home} to back up. 'ddt up' makes one, DDT_HOME "
            "names another.",
        )


def make(settings: Settings, *, now: datetime, target: Path | None = None) -> Made:
    """Back up the platform, running or not, into one encrypted file.

    Raises TroubleError when there is nothing to back up, or it cannot be done.
    """
    check(settings)
    folder = settings.home / FOLDER
    secret_files.private_folder(folder)
    file = target or folder / retention.name_at(now)
    if file.exists():
        raise TroubleError(f"{file} exists already. Name another file with --out.")
    # A database and secrets from the midst of a rotation would not fit.
    with exclusively(settings.home, wait_seconds=WAIT_SECONDS):
        if cut_off := Journal(settings.secrets).unfinished():
            raise TroubleError(
                f"The rotation of {cut_off[0]} was cut off. Finish it first: ddt rotate "
                f"{cut_off[0]}",
            )
        return _make(settings, file, now)


def _make(settings: Settings, file: Path, now: datetime) -> Made:
    folder = settings.home / FOLDER
    # What a backup that was killed left: dumps in the clear among it.
    for left in folder.glob(f"{WORK}*"):
        shutil.rmtree(left)
    for left in folder.glob(f"theddt-*{retention.SUFFIX}.part"):
        left.unlink()
    files = keys_of(settings)
    new_key = files.ensure()
    recipients = keys.read_recipients(files.recipients)
    # Before the database: each signature in this part of the log has its intent in the dump.
    log = settings.home / "keystore" / "signer.log"
    log_size = log.stat().st_size if log.is_file() else 0
    with tempfile.TemporaryDirectory(prefix=WORK, dir=folder) as work, serving(settings) as db:
        manifest = {"mode": PLACE, "made_at": now.isoformat(), "domain": settings.domain}
        dumps = list(_dumped(db, Path(work), manifest))
        # Keys after the database: each authority in the dump has its key in the backup.
        members = [*dumps, *_files(settings, log_size)]
        digest = archive.write(file, members, manifest, recipients)
    return Made(file, digest, file.stat().st_size, manifest, new_key)


def _dumped(server: Server, work: Path, manifest: dict[str, Any]) -> Iterator[Member]:
    roles = work / "roles.sql"
    server.dump_roles(roles)
    yield Member(f"databases/{PLACE}/roles.sql", roles)
    manifest["databases"] = {}
    for name in server.databases():
        manifest["databases"][name] = server.dump(name, work / name)
        yield Member(f"databases/{PLACE}/{name}.dump", work / name)


def _files(settings: Settings, log_size: int) -> list[Member]:
    members = [
        Member("config", settings.home / "config"),
        Member("recipients", keys_of(settings).recipients),
    ]
    for part in ("secrets", "keystore", "media", "gateway"):
        for path in sorted((settings.home / part).rglob("*")):
            name = path.relative_to(settings.home).as_posix()
            is_ours = path.is_file() and not path.is_symlink() and not name.endswith(DERIVED)
            # A backup's own key inside it would open nothing for who cannot open it already.
            if is_ours and name != f"secrets/{keys.IDENTITY}" and not path.name.endswith(".new"):
                limit = log_size if name == "keystore/signer.log" else None
                members.append(Member(name, path, limit))
    return members


@contextmanager
def serving(settings: Settings) -> Iterator[Server]:
    """Yield the home's database server: the running one, or one started for this while."""
    answer = start.status(settings)
    if answer["state"] == "stopped":
        with alone.locked(settings), alone.running(settings, ["postgresql"]):
            yield Server(settings)
        return
    states = {unit["name"]: unit["state"] for unit in answer["services"]}
    if states.get("postgresql") != "ready":
        raise TroubleError("The database server is not ready. See 'ddt status'; then try again.")
    yield Server(settings)


@contextmanager
def unpacked(
    settings: Settings, file: Path, identity: Path, place: Path
) -> Iterator[tuple[Settings, Server, dict[str, Any]]]:
    """Restore the backup into an empty place and yield it with its database server running.

    `settings` are of the platform that it is for; the backup's own domain and ports come with it.
    """
    manifest = archive.extract(file, place, keys.read_identities(identity))
    if manifest.get("mode") != PLACE:
        raise TroubleError(
            f"{file} is a backup of the platform in mode '{manifest.get('mode')}'; this command "
            f"restores '{PLACE}'.",
        )
    chosen = settings_remembered(place, settings)
    for name in PARTS:
        if name not in {"config", "postgresql"}:
            (place / name).mkdir(mode=0o700, exist_ok=True)
    with alone.running(chosen, ["postgresql"]):
        server = Server(chosen)
        dumps = place / "databases" / PLACE
        server.load_roles(dumps / "roles.sql")
        for name in manifest["databases"]:
            server.load(dumps / f"{name}.dump")
        yield chosen, server, manifest


def restore(settings: Settings, file: Path, *, identity: Path, replace_it: bool) -> Path | None:
    """Put a backup in the place of the platform; return where the one before it went.

    Raises TroubleError when one is there and `replace_it` is false; nothing is changed then.
    """
    secret_files.private_folder(settings.home)
    if start.status(settings)["state"] != "stopped":
        raise TroubleError(f"The platform in {settings.home} runs. Stop it first: ddt down")
    is_there = any((settings.home / name).exists() for name in PARTS if name != "config")
    if is_there and not replace_it:
        raise TroubleError(
            f"There is a platform in {settings.home}. With --replace it is moved aside (and kept); "
            "or restore into another folder: DDT_HOME=…",
        )
    start.check_space(settings.home)
    with alone.locked(settings), scratch(settings.home) as place:
        with unpacked(settings, file, identity, place) as (chosen, server, _):
            _leave_a_gap(server)
            with alone.running(chosen, ["database", "signer"]):
                publish(chosen)
        return _swap(settings.home, place)


def publish(settings: Settings) -> None:
    """Let the running signer sign a new CRL of each authority: its key works, its number rises."""
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", PUBLISH], check=False, capture_output=True, text=True,
        env=environments.of_manage(settings), timeout=_SECONDS,
    )  # fmt: skip
    if result.returncode != 0:
        said = (result.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise TroubleError(
            f"The restored signer did not sign a new CRL: {said}. The keystore and the database "
            "of this backup do not fit; take another one.",
        )


def _leave_a_gap(server: Server) -> None:
    with server.connect("pkakey") as connection:
        connection.execute(
            "UPDATE authorities_authority SET last_crl_number = last_crl_number + %s "
            "WHERE last_crl_number > 0",
            [CRL_NUMBER_GAP],
        )


def _swap(home: Path, place: Path) -> Path | None:
    aside = home / f"replaced-{place.name.removeprefix('.restore-')}"
    moved = False
    for name in PARTS:
        if (home / name).exists():
            aside.mkdir(mode=0o700, exist_ok=True)
            (home / name).rename(aside / name)
            moved = True
        (place / name).rename(home / name)
    recipients = home / FOLDER / keys.RECIPIENTS
    if not recipients.exists():
        # On a new machine: the next backups are for the same keys.
        secret_files.private_folder(recipients.parent)
        (place / keys.RECIPIENTS).rename(recipients)
    kept = aside / "secrets" / keys.IDENTITY
    if kept.is_file() and not (home / "secrets" / keys.IDENTITY).exists():
        shutil.copy2(kept, home / "secrets" / keys.IDENTITY)
    # Sessions, queues and the marks of finished tasks belonged to the other platform.
    for name in ("valkey", "stamps"):
        shutil.rmtree(home / name, ignore_errors=True)
    return aside if moved else None


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """Yield a new private folder, which goes with everything in it."""
    place = Path(tempfile.mkdtemp(prefix=".restore-", dir=parent))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        runtime = replace(_NOWHERE, home=place).runtime
        with contextlib.suppress(OSError):
            if runtime.parent != place:
                shutil.rmtree(runtime)


_NOWHERE = Settings(Path("/"))
