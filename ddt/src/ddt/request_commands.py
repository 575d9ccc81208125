"""`ddt request`: where a request stands that needs an approval, and waiting for it."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from ddt import output, settings
from ddt.api import Client

WAITS = 3
"""The exit code of a request that waits for its approval."""

NOT_APPROVED = 4
"""The exit code of one that was refused, or that failed after its approval."""

_POLL_SECONDS = 2.0
_OVER = ("issued", "refused", "failed", "not-started")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Out = Annotated[Path | None, typer.Option(help="Where the certificate goes, in PEM.")]
ChainOut = Annotated[Path | None, typer.Option(help="Where the issuers' certificates go, in PEM.")]
app = typer.Typer(
    no_args_is_help=True,
    help="Requests that need an approval: list, show, wait. Exit code 3: waits; 4: not approved.",
    rich_markup_mode=None,
)


def register(root: typer.Typer) -> None:
    """Add the commands to the application."""
    root.add_typer(app, name="request")


def tell_of_approval(answer: dict[str, Any], out: Path, *, as_json: bool) -> None:
    """Say that a request waits, and where to look."""
    if as_json:
        output.as_json(answer)
        return
    output.say(
        f"Nothing is issued yet: profile {answer['profile']} needs an approval "
        f"({answer['diagram']}), which has begun.\n"
        f"Look at {answer['links']['portal']}\n"
        f"or wait for it: ddt request wait {answer['id']} --out {out}"
    )


@app.command("show", epilog="Example: ddt request show 6e4c5a0e-… --out a.pem")
def show(
    request: Annotated[str, typer.Argument(metavar="ID")],
    out: Out = None,
    chain_out: ChainOut = None,
    *,
    as_json: Json = False,
) -> None:
    """Show where a request stands."""
    _finish(_get(Client(settings.load()), request), out, chain_out, as_json=as_json)


@app.command("wait", epilog="Example: ddt request wait 6e4c5a0e-… --out a.pem --seconds 600")
def wait(
    request: Annotated[str, typer.Argument(metavar="ID")],
    out: Out = None,
    chain_out: ChainOut = None,
    seconds: Annotated[
        int, typer.Option(min=0, max=86400, help="How long, at most; 0: as long as it takes.")
    ] = 0,
    *,
    as_json: Json = False,
) -> None:
    """Wait until a request is decided."""
    client = Client(settings.load())
    deadline = time.monotonic() + seconds
    while True:
        answer = _get(client, request)
        is_late = seconds and time.monotonic() + _POLL_SECONDS > deadline
        if answer["state"] in _OVER or is_late:
            break
        time.sleep(_POLL_SECONDS)
    _finish(answer, out, chain_out, as_json=as_json)


@app.command("list")
def list_requests(
    state: Annotated[str, typer.Option(help="waiting, issued, refused, failed, …")] = "",
    *,
    as_json: Json = False,
) -> None:
    """List requests that needed an approval, newest first."""
    answer = Client(settings.load()).get("requests/", **({"state": state} if state else {}))
    if as_json:
        output.as_json(answer)
        return
    output.table(
        ["ID", "STATE", "PROFILE", "NAMES", "REQUESTED BY", "AT"],
        [
            [
                r["id"], r["state"], r["profile"], " ".join(n["value"] for n in r["names"])[:60],
                r["requested_by"], r["created_at"],
            ]
            for r in answer["results"]
        ],
    )  # fmt: skip


def _get(client: Client, request: str) -> dict[str, Any]:
    return client.get(f"requests/{quote(request, safe='')}/")


def _finish(
    answer: dict[str, Any], out: Path | None, chain_out: Path | None, *, as_json: bool
) -> None:
    from ddt.certificate_commands import write_certificates  # noqa: PLC0415  # It imports us.

    state = answer["state"]
    if state == "issued" and out is not None:
        write_certificates(answer, out, chain_out)
    if as_json:
        output.as_json(answer)
    else:
        _say(answer, out)
    if state in {"recorded", "waiting"}:
        raise typer.Exit(WAITS)
    if state != "issued":
        raise typer.Exit(NOT_APPROVED)


def _say(answer: dict[str, Any], out: Path | None) -> None:
    state = answer["state"]
    who = ", ".join(str(one.get("name") or one.get("subject")) for one in answer["deciders"])
    lines = {
        "issued": f"Issued {answer['serial_number']}{f': {out}' if out else ''}",
        "refused": f"Refused: {answer['reason']}",
        "failed": f"Approved, but not issued: {answer['reason']}",
        "not-started": "KoolFlows could not be told of it. Send the request again.",
    }
    begun = datetime.fromisoformat(answer["created_at"]).astimezone(UTC)
    output.say(lines.get(state, f"Waits for {answer['diagram']} since {begun:%Y-%m-%d %H:%M} UTC."))
    if who:
        output.say(f"Decided by {who}.")
    output.say(f"See {answer['links']['portal']}")
