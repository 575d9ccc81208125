"""The command that gives a secret of the platform another value."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from ddt import output, settings
from ddt.errors import TroubleError
from ddt.rotation import secret_key, token_key
from ddt.rotation.journal import Journal
from ddt.rotation.rotate import KINDS, Rotation, changed_at


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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Give a secret another value while the platform runs or not; without a name: list them.

    Only the services that use it are restarted. When it is cut off, the same command finishes it.
    """
    chosen = settings.load()
    if not name:
        _list(chosen, as_json=as_json)
        return
    if at_once and name not in {secret_key.SECRET, token_key.SECRET}:
        raise TroubleError(
            f"--at-once is for {secret_key.SECRET} and {token_key.SECRET} only: of every "
            "other secret the value before ends at once anyway.",
        )
    rotation = Rotation(chosen, datetime.now(UTC), at_once=at_once, tell=output.note)
    is_resumed = rotation.run(name)
    if as_json:
        output.as_json({"secret": name, "resumed": is_resumed})
    elif is_resumed:
        output.say(f"The rotation of {name}, which had been cut off, is finished.")
    else:
        output.say(f"{name} has another value. Older backups keep the one that was theirs.")


def _list(chosen: settings.Settings, *, as_json: bool) -> None:
    cut_off = Journal(chosen.secrets).unfinished()
    rows = []
    for name, kind in KINDS.items():
        moment = changed_at(chosen, name)
        rows.append(
            {
                "secret": name,
                "opens": kind.meaning,
                "changed_at": moment and datetime.fromtimestamp(moment, UTC).isoformat(),
                "is_cut_off": name in cut_off,
            }
        )
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
