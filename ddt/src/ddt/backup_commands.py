"""The commands that save the platform, bring it back, and prove that this would work."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ddt import output, settings
from ddt.backup import container_drill, keys, native, retention
from ddt.backup import containers as in_containers
from ddt.backup import drill as drilling
from ddt.backup import schedule as scheduling
from ddt.containers import commands as containers
from ddt.containers import project
from ddt.errors import TroubleError

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Identity = Annotated[
    Path | None,
    typer.Option(help="The file with the private key; else the one in the folder of secrets."),
]
Docker = Annotated[
    bool,
    typer.Option(
        "--docker", envvar="DDT_DOCKER", help="The containers of docker-compose.yml instead."
    ),
]
backup_app = typer.Typer(
    invoke_without_command=True, help="Save the platform in one encrypted file; list; drill.",
    rich_markup_mode=None,
    epilog="Example: ddt backup --out /mnt/safe/theddt.age; ddt backup drill",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(backup_app, name="backup")
    app.command(
        epilog="Example: ddt down && ddt restore --replace .ddt/backups/theddt-….age && ddt up"
    )(restore)
    app.command(epilog="Example: ddt hosts --docker")(hosts)


@backup_app.callback()
def backup(
    context: typer.Context,
    *,
    out: Annotated[Path | None, typer.Option(help="Another file than the usual one.")] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            help="Then remove older ones of the usual folder but the newest of so many days, "
            f"weeks and months: '{retention.DEFAULT}'. For a schedule."
        ),
    ] = None,
    scheduled: Annotated[
        bool, typer.Option("--scheduled", help="Keep what the schedule says; the platform's own.")
    ] = False,
    docker: Docker = False,
    as_json: Json = False,
) -> None:
    """Back up databases, keystore, secrets, media and settings, while the platform runs or not."""
    if context.invoked_subcommand is not None:
        return
    now, target = datetime.now(UTC), out.absolute() if out else None
    if docker:
        rule = retention.parse(keep) if keep is not None else None
        place = project.load()
        made = in_containers.make(place, now=now, target=target)
    else:
        chosen = settings.load()
        if scheduled:
            keep = chosen.backup_keep or keep
        rule = retention.parse(keep) if keep is not None else None
        made = native.make(chosen, now=now, target=target)
    removed = []
    if rule is not None:
        removed = retention.superfluous(retention.backups(_folder(docker=docker)), rule)
        for old in removed:
            old.file.unlink()
    if made.new_key:
        output.note(
            f"Made the key that opens backups: {_identity(docker=docker)}\nKeep a copy away "
            "from this machine: without it nobody can open a backup, with it anybody can.",
        )
    counts = {name: sum(tables.values()) for name, tables in made.manifest["databases"].items()}
    if as_json:
        output.as_json(
            {
                "file": str(made.file), "sha256": made.sha256, "size": made.size, "rows": counts,
                "removed": [str(old.file) for old in removed],
            }
        )  # fmt: skip
        return
    told = ", ".join(f"{name} ({count} rows)" for name, count in counts.items())
    output.say(f"{made.file}  {made.size / 1e6:.1f} MB  {told}")
    output.say(f"sha256 {made.sha256}")
    if removed:
        output.say(f"Removed {len(removed)} older ones.")


def _folder(*, docker: bool) -> Path:
    return project.load().backups if docker else settings.load().home / native.FOLDER


def _identity(*, docker: bool) -> Path:
    if docker:
        return in_containers.keys_of(project.load()).identity
    return native.keys_of(settings.load()).identity


@backup_app.command("list")
def list_backups(*, docker: Docker = False, as_json: Json = False) -> None:
    """List the backups in the usual folder, newest first."""
    found = retention.backups(_folder(docker=docker))
    rows = [
        {"file": str(b.file), "made_at": b.moment.isoformat(), "size": b.file.stat().st_size}
        for b in found
    ]
    if as_json:
        output.as_json({"results": rows})
    else:
        output.table(["MADE AT", "SIZE", "FILE"], [
            [str(r["made_at"]), str(r["size"]), str(r["file"])] for r in rows
        ])  # fmt: skip


@backup_app.command("schedule", epilog='Example: ddt backup schedule --every 1d --keep "7d 5w 12m"')
def schedule(
    *,
    every: Annotated[
        str, typer.Option(help="The time between two backups: 1d, 12h, 30m, 1w.")
    ] = "",
    keep: Annotated[
        str, typer.Option(help="The newest of so many days, weeks and months are kept.")
    ] = "",
    off: Annotated[bool, typer.Option("--off", help="Make no more backups by itself.")] = False,
    as_json: Json = False,
) -> None:
    """Let the running platform make backups by itself, or show when it does."""
    chosen = settings.load()
    if off and (every or keep):
        raise TroubleError("--off ends the schedule: leave out --every and --keep.")
    if keep and not every and not chosen.backup_every:
        raise TroubleError("There is no schedule yet: say how often, such as --every 1d.")
    if off or every or keep:
        native.check(chosen)
        changed = replace(
            chosen,
            backup_every="" if off else every or chosen.backup_every,
            backup_keep="" if off else keep or chosen.backup_keep or retention.DEFAULT,
        )
        scheduling.of(changed)
        changed.save()
        chosen = changed
    _show(chosen, as_json=as_json)


def _show(chosen: settings.Settings, *, as_json: bool) -> None:
    now = datetime.now(UTC)
    found = scheduling.of(chosen)
    there = scheduling.moments(chosen)
    next_at = found.due_at(there, now).isoformat(timespec="seconds") if found else None
    if as_json:
        output.as_json(
            {
                "every": chosen.backup_every or None, "keep": chosen.backup_keep or None,
                "newest_at": there[0].isoformat() if there else None, "next_at": next_at,
            }
        )  # fmt: skip
    elif found is None:
        output.say('There is no schedule. Set one: ddt backup schedule --every 1d --keep "7d 5w"')
    else:
        output.say(
            f"A backup each {chosen.backup_every} while the platform runs; kept: "
            f"{chosen.backup_keep}; the next at {next_at}.",
        )
        output.note("'ddt logs backup' tells how the last ones went; 'ddt doctor' if one is late.")


@backup_app.command("drill", epilog="Example: ddt backup drill --json")
def drill(
    file: Annotated[Path | None, typer.Argument(help="The newest one, unless named.")] = None,
    *,
    identity: Identity = None,
    docker: Docker = False,
    as_json: Json = False,
) -> None:
    """Restore a backup into a scratch place, check it, and report; the platform is not touched."""
    if file is None:
        found = retention.backups(_folder(docker=docker))
        if not found:
            raise TroubleError("There is no backup yet. Make one: ddt backup")
        file = found[0].file
    key = identity or _identity(docker=docker)
    if docker:
        findings = container_drill.run(project.load(), file.absolute(), key)
    else:
        findings = drilling.run(settings.load(), file, key)
    is_good = all(row["ok"] for row in findings)
    if as_json:
        output.as_json({"ok": is_good, "file": str(file), "checks": findings})
    else:
        for row in findings:
            output.say(f"{'ok' if row['ok'] else 'NOT OK':7} {row['name']:16} {row['detail']}")
        output.say(f"{file} {'would do.' if is_good else 'WOULD NOT DO.'}")
    raise typer.Exit(0 if is_good else 1)


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    *,
    identity: Identity = None,
    replace_it: Annotated[
        bool, typer.Option("--replace", help="Move the platform that is there aside.")
    ] = False,
    docker: Docker = False,
) -> None:
    """Bring the platform back from a backup; it has to be stopped."""
    if docker:
        _restore_containers(file.absolute(), identity, replace_it=replace_it)
        return
    chosen = settings.load()
    aside = native.restore(
        chosen,
        file.absolute(),
        identity=identity or chosen.secrets / keys.IDENTITY,
        replace_it=replace_it,
    )
    if aside is not None:
        output.say(f"What was there is kept in {aside}; remove it when all is well.")
    output.say(f"Restored {file} into {chosen.home}. Start with: ddt up")


def _restore_containers(file: Path, identity: Path | None, *, replace_it: bool) -> None:
    if replace_it:
        raise TroubleError(
            "The engine cannot move volumes aside. Back the platform up if it is worth it, then "
            "remove it with 'docker compose down --volumes', and restore without --replace.",
        )
    place = project.load()
    key = identity.absolute() if identity else in_containers.keys_of(place).identity
    aside = in_containers.restore(place, file, identity=key)
    if aside is not None:
        output.say(f"The secrets that were there are kept in {aside}; remove it when all is well.")
    output.say(f"Restored {file} into {place.folder}. Start with: ddt up --docker")


def hosts(
    *,
    docker: Docker = False,
) -> None:
    """Print the line that a hosts file needs, so that this computer finds the platform's names."""
    names = containers.names() if docker else settings.load().hosts
    output.say(f"127.0.0.1  {' '.join(names)}")
    output.note(
        "Linux and macOS: /etc/hosts (as root). Windows (as administrator): "
        "C:\\Windows\\System32\\drivers\\etc\\hosts. With the platform on another machine, write "
        "its address."
    )
