"""The command that gives a secret of the platform another value."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ddt import output, settings
from ddt.containers import project, secret_kinds
from ddt.errors import TroubleError
from ddt.rotation import containers, secret_key, token_key
from ddt.rotation.journal import Journal
from ddt.rotation.rotate import KINDS, Rotation


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog="Example: ddt rotate; ddt rotate pkakey-web-password")(rotate)


def rotate(
    name: Annotated[str, typer.Argument(metavar="[SECRET]")] = "",
    *,
    at_once: Annotated[
        bool,
        typer.Option(
            "--at-once",
            help=f"For {secret_key.SECRET} and {token_key.SECRET}: sessions and tokens of the key "
            "before end now, not in 12 and 24 hours. For a key that somebody else has seen.",
        ),
    ] = False,
    docker: Annotated[
        bool,
        typer.Option(
            "--docker", envvar="DDT_DOCKER", help="A secret of docker-compose.yml instead."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Give a secret another value while the platform runs or not; without a name: list them.

    Only the services that use it are restarted. When it is cut off, the same command finishes it.
    """
    if not name:
        rows = _in_containers() if docker else _native()
        _list(rows, as_json=as_json)
        return
    if at_once and (docker or name != secret_key.SECRET) and name != token_key.SECRET:
        raise TroubleError(
            f"--at-once is for {secret_key.SECRET} and {token_key.SECRET} only: of every "
            "other secret the value before ends at once anyway.",
        )
    now = datetime.now(UTC)
    if docker:
        place = project.load()
        is_resumed = containers.Rotation(place, now, at_once=at_once, tell=output.note).run(name)
    else:
        chosen = settings.load()
        is_resumed = Rotation(chosen, now, at_once=at_once, tell=output.note).run(name)
    if as_json:
        output.as_json({"secret": name, "resumed": is_resumed})
    elif is_resumed:
        output.say(f"The rotation of {name}, which had been cut off, is finished.")
    else:
        output.say(f"{name} has another value. Older backups keep the one that was theirs.")


def _native() -> list[dict[str, object]]:
    chosen = settings.load()
    return _rows(chosen.secrets, {name: kind.meaning for name, kind in KINDS.items()})


def _in_containers() -> list[dict[str, object]]:
    meanings = {name: secret_kinds.KINDS[name].what for name in containers.NAMES}
    return _rows(project.load().secrets, meanings)


def _rows(folder: Path, meanings: dict[str, str]) -> list[dict[str, object]]:
    cut_off = Journal(folder).unfinished()
    rows: list[dict[str, object]] = []
    for name, meaning in meanings.items():
        file = folder / name
        moment = file.stat().st_mtime if file.exists() else None
        rows.append(
            {
                "secret": name,
                "opens": meaning,
                "changed_at": moment and datetime.fromtimestamp(moment, UTC).isoformat(),
                "is_cut_off": name in cut_off,
            }
        )
    return rows


def _list(rows: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        output.as_json({"results": rows})
        return
    output.table(
        ["SECRET", "OPENS", "CHANGED", ""],
        [
            [
                str(row["secret"]),
                str(row["opens"]),
                str(row["changed_at"] or "never made")[:16],
                "cut off" if row["is_cut_off"] else "",
            ]
            for row in rows
        ],
    )
