"""Backup and restore of the platform in containers: into the same file, whole or not at all."""

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from ddt import secret_files
from ddt.backup import archive, keys, native, retention
from ddt.backup.archive import Member
from ddt.backup.native import Made
from ddt.containers import preparation, project, running, servers, volumes
from ddt.containers.engine import Compose
from ddt.containers.project import Project
from ddt.containers.servers import SERVERS, Server
from ddt.errors import TroubleError
from ddt.rotation.journal import Journal, exclusively

MODE = "containers"
SIGNER, WORKER = "pkakey_signer", "pkakey_celery_worker"
_LOG = "signer.log"
_LEAVE_A_GAP = f"""
UPDATE authorities_authority SET last_crl_number = last_crl_number + {native.CRL_NUMBER_GAP}
WHERE last_crl_number > 0;
"""  # noqa: S608  # A number of ours.
_START_SECONDS = 600.0


def keys_of(chosen: Project) -> keys.Keys:
    """Return where the project keeps the keys of its backups."""
    return keys.Keys(chosen.secrets / keys.IDENTITY, chosen.backups / keys.RECIPIENTS)


def make(chosen: Project, *, now: datetime, target: Path | None = None) -> Made:
    """Back up the running platform into one encrypted file; raises TroubleError."""
    compose = Compose(chosen.folder)
    compose.engine_version()
    secret_files.private_folder(chosen.backups)
    file = target or chosen.backups / retention.name_at(now)
    if file.exists():
        raise TroubleError(f"{file} exists already. Name another file with --out.")
    with exclusively(chosen.backups, wait_seconds=native.WAIT_SECONDS):
        if cut_off := Journal(chosen.secrets).unfinished():
            raise TroubleError(
                f"The rotation of {cut_off[0]} was cut off. Finish it first: ddt rotate --docker "
                f"{cut_off[0]}",
            )
        return _make(chosen, compose, file, now)


def _make(chosen: Project, compose: Compose, file: Path, now: datetime) -> Made:
    for left in chosen.backups.glob(f"{native.WORK}*"):
        shutil.rmtree(left)
    for left in chosen.backups.glob(f"theddt-*{retention.SUFFIX}.part"):
        left.unlink()
    there = servers.running(compose)
    files = keys_of(chosen)
    new_key = files.ensure()
    recipients = keys.read_recipients(files.recipients)
    # Before the database: each signature in this part of the log has its intent in the dump.
    log_size = volumes.size(compose, SIGNER, f"{volumes.KEYSTORE}/{_LOG}")
    manifest: dict[str, Any] = {
        "mode": MODE, "made_at": now.isoformat(), "domain": chosen.domain, "databases": {},
        "servers": {},
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix=native.WORK, dir=chosen.backups) as name:
        work = Path(name)
        members = [member for server in there for member in _dumped(server, work, manifest)]
        # Keys after the database: each authority in the dump has its key in the backup.
        for part, service, place in (
            ("keystore", SIGNER, volumes.KEYSTORE),
            ("media", WORKER, volumes.MEDIA),
            ("gateway", WORKER, volumes.GATEWAY),
        ):
            packed = work / f"{part}.tar"
            volumes.read(compose, service, place, packed, limited=_LOG, limit=log_size)
            members += _unpack(packed, part, work)
            packed.unlink()
        digest = archive.write(file, [*members, *_own_files(chosen)], manifest, recipients)
    return Made(file, digest, file.stat().st_size, manifest, new_key)


def _dumped(server: Server, work: Path, manifest: dict[str, Any]) -> Iterator[Member]:
    folder = work / server.service
    folder.mkdir()
    server.dump_roles(folder / "roles.sql")
    yield Member(f"databases/{server.service}/roles.sql", folder / "roles.sql")
    for name in server.databases():
        if name in manifest["databases"]:
            raise TroubleError(
                f"Two servers have a database '{name}'. Give one another name in .env.",
            )
        manifest["databases"][name] = server.dump(name, folder / name)
        manifest["servers"][name] = server.service
        yield Member(f"databases/{server.service}/{name}.dump", folder / name)


def _unpack(packed: Path, part: str, work: Path) -> list[Member]:
    members = []
    with tarfile.open(packed, mode="r") as tar:
        for number, info in enumerate(tar):
            content = tar.extractfile(info) if info.isreg() else None
            # What is mounted over the gateway's volume is of the release, and empty below.
            is_left_out = part == "gateway" and not info.name.endswith(".pem")
            if content is None or is_left_out or info.name.endswith(native.DERIVED):
                continue
            path = work / f"{part}-{number}"
            with path.open("wb") as out:
                shutil.copyfileobj(content, out)
            members.append(Member(archive.checked(f"{part}/{info.name}"), path))
    return members


def _own_files(chosen: Project) -> list[Member]:
    found = [
        Member(f"secrets/{name}", path)
        for name, path in project.secret_files(chosen.folder).items()
        if path.is_file()
    ]
    return [
        *found,
        Member("config", chosen.folder / ".env"),
        Member("recipients", keys_of(chosen).recipients),
    ]


def extract(file: Path, place: Path, identity: Path) -> dict[str, Any]:
    """Decrypt the backup into the place; raises TroubleError for one of another mode."""
    manifest = archive.extract(file, place, keys.read_identities(identity))
    if manifest.get("mode") != MODE:
        raise TroubleError(
            f"{file} is a backup of the platform in mode '{manifest.get('mode')}'; with --docker "
            f"only one of mode '{MODE}' can be restored.",
        )
    for name in ("keystore", "media", "gateway", "secrets"):
        (place / name).mkdir(mode=0o700, exist_ok=True)
    return manifest


def fill(compose: Compose, place: Path, manifest: dict[str, Any]) -> None:
    """Fill the project's empty volumes: databases, keystore, media, the gateway's certificate."""
    compose.run("up", "--detach", "--wait", "--no-build", *SERVERS, timeout=_START_SECONDS)
    for name in SERVERS:
        server = Server(compose, name)
        server.load_roles(place / "databases" / name / "roles.sql")
        for database, where in manifest["servers"].items():
            if where == name:
                server.load(place / "databases" / name / f"{database}.dump")
    volumes.write(compose, SIGNER, place / "keystore", volumes.KEYSTORE)
    # The job that mounts all volumes of PKaKey's own user.
    volumes.write(compose, "pkakey_migrate", place / "media", volumes.MEDIA)
    volumes.write(compose, "pkakey_migrate", place / "gateway", volumes.GATEWAY)


def publish(compose: Compose) -> None:
    """Let the running signer sign a new CRL of each authority: its key works, its number rises."""
    words = ("run", "--rm", "--no-deps", "-T", "pkakey_bootstrap", "python", "-c", native.PUBLISH)
    try:
        compose.run(*words)
    except TroubleError as error:
        raise TroubleError(
            f"The restored signer did not sign a new CRL: {error} The keystore and the database "
            "of this backup do not fit; take another one.",
        ) from error


def restore(chosen: Project, file: Path, *, identity: Path) -> Path | None:
    """Bring the platform back into a project without volumes; return where old secrets went.

    Raises TroubleError; nothing is changed then.
    """
    compose = Compose(chosen.folder)
    compose.engine_version()
    secret_files.private_folder(chosen.backups)
    with (
        exclusively(chosen.backups, wait_seconds=native.WAIT_SECONDS),
        native.scratch(chosen.backups) as place,
    ):
        mark = chosen.backups / running.RESTORING
        if not mark.exists():
            _check_empty(compose)
        manifest = extract(file, place, identity)
        with _own_files_in_place(chosen, place, manifest) as aside:
            if mark.exists():
                # What a restore that was killed had filled.
                compose.run("down", "--volumes", "--timeout", "5")
            mark.touch(mode=0o600)
            try:
                fill(compose, place, manifest)
                Server(compose, SERVERS[0]).query("pkakey", _LEAVE_A_GAP)
                compose.run(
                    "up", "--detach", "--wait", "--no-build", SIGNER, timeout=_START_SECONDS
                )
                publish(compose)
                compose.run("down")
            except BaseException:
                compose.run("down", "--volumes", "--timeout", "5")
                mark.unlink()
                raise
            mark.unlink()
            return aside


def _check_empty(compose: Compose) -> None:
    # By the engine, since compose does not speak without an .env.
    ours = ("--quiet", "--filter", f"label=com.docker.compose.project={project.NAME}")
    if compose.engine("ps", "--all", *ours).split():
        raise TroubleError("The containers are there. Stop them first: ddt down --docker")
    there = sorted(compose.engine("volume", "ls", *ours).decode().split())
    if there:
        raise TroubleError(
            f"There are {len(there)} volumes of a platform already ({there[0]}, …), and a restore "
            "needs an empty place. Back that platform up if it is worth it; 'docker compose down "
            "--volumes' then removes it for ever.",
        )


@contextmanager
def _own_files_in_place(
    chosen: Project, place: Path, manifest: dict[str, Any]
) -> Iterator[Path | None]:
    """Put secrets and .env in place; yield where others went; put all back after a failure."""
    environment = chosen.folder / ".env"
    made = not environment.exists()
    if made:
        text = (place / "config").read_text(encoding="utf-8")
        named = os.environ.get(project.SECRETS_VARIABLE) or project.DEFAULT_SECRETS
        text = preparation.with_variable(text, project.SECRETS_VARIABLE, named)
        secret_files.write_privately(environment, text)
    folder = chosen.secrets
    aside = chosen.backups / f"replaced-{place.name.removeprefix('.restore-')}"
    has_others = _differ(folder, place / "secrets")
    made_names = [p.name for p in (place / "secrets").iterdir() if not (folder / p.name).exists()]
    try:
        _check_domain(project.load(chosen.folder), manifest)
        if has_others:
            shutil.copytree(folder, aside, copy_function=shutil.copy2)
        _put_secrets(place / "secrets", folder)
        yield aside if has_others else None
    except BaseException:
        if made:
            environment.unlink(missing_ok=True)
        if has_others and aside.is_dir():
            _put_secrets(aside, folder)
            for path in folder.iterdir():
                if not (aside / path.name).exists():
                    path.unlink()
            shutil.rmtree(aside)
        else:
            for name in made_names:
                (folder / name).unlink(missing_ok=True)
        raise
    recipients = chosen.backups / keys.RECIPIENTS
    if not recipients.exists():
        # On a new machine: the next backups are for the same keys.
        (place / keys.RECIPIENTS).rename(recipients)


def _check_domain(chosen: Project, manifest: dict[str, Any]) -> None:
    if chosen.domain != manifest.get("domain"):
        raise TroubleError(
            f"The backup is of {manifest.get('domain')}, and .env says {chosen.domain}: its "
            "certificates and accounts are for its own domain. Write DOMAIN="
            f"{manifest.get('domain')} into .env, or move .env away.",
        )


def _differ(folder: Path, restored: Path) -> bool:
    """Tell whether the folder holds what the restore would overwrite by something else."""
    return any(
        (folder / path.name).exists() and (folder / path.name).read_bytes() != path.read_bytes()
        for path in restored.iterdir()
    )


def _put_secrets(source: Path, folder: Path) -> None:
    secret_files.private_folder(folder)
    for path in sorted(source.iterdir()):
        mode = preparation.FILE_MODE if path.name in preparation.KNOWN else 0o600
        draft = folder / f".{path.name}.new"
        draft.unlink(missing_ok=True)
        shutil.copyfile(path, draft)
        draft.chmod(mode)
        draft.rename(folder / path.name)
