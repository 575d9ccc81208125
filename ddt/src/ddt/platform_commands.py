"""The commands that prepare, start, watch and stop the platform."""

import os
import shlex
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from ddt import doctor as examination
from ddt import output, settings
from ddt.containers import commands as containers
from ddt.errors import TroubleError
from ddt.native import environments, start
from ddt.rotation.rotate import Rotation
from ddt.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Docker = Annotated[
    bool,
    typer.Option(
        "--docker", envvar="DDT_DOCKER", help="The platform of docker-compose.yml, in containers."
    ),
]
_SHOWN = "admin-password-shown"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(
        epilog="Example: DDT_DOMAIN=pki.example.org ddt init; DOMAIN=pki.example.org ddt init "
        "--docker"
    )(init)
    app.command(epilog="Example: DDT_HTTPS_PORT=9443 DDT_HTTP_PORT=9080 ddt up")(up)
    app.command(epilog="Example: ddt down")(down)
    app.command(epilog="Example: ddt restart web")(restart)
    app.command(epilog="Example: ddt status --json")(status)
    app.command(epilog="Example: ddt logs -f web")(logs)
    app.command(epilog="Example: ddt doctor --json")(doctor)
    app.command(
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        epilog="Example: ddt manage reset_admin_password",
    )(manage)


def init(*, docker: Docker = False, as_json: Json = False) -> None:
    """Make the home, its secrets and its settings; what is there is kept.

    With --docker: .env (from .env.example) and the secrets of docker-compose.yml.
    """
    if docker:
        containers.init(as_json=as_json)
        return
    chosen = settings.load()
    made = start.prepare(chosen)
    if as_json:
        output.as_json({"home": str(chosen.home), "made": made, "portal": f"{chosen.portal}/"})
    elif made:
        output.say(f"Made {len(made)} secrets in {chosen.secrets}. Start with: {_word(chosen)} up")
    else:
        output.say(f"{chosen.home} is prepared already; nothing was changed.")


def up(
    *,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay, and stop the platform on Ctrl-C.")
    ] = False,
    docker: Docker = False,
    as_json: Json = False,
) -> None:
    """Start the platform and wait until every service is ready."""
    if docker:
        containers.up(as_json=as_json)
        return
    chosen = settings.load()
    if (running := start.status(chosen))["state"] != "stopped":
        _tell_that_it_runs(chosen, running, as_json=as_json)
        return
    begin = time.monotonic()
    made = start.prepare(chosen)
    if made:
        output.note(f"Made {len(made)} secrets in {chosen.secrets}")
    start.check(chosen)
    guardian = start.launch(chosen, foreground=foreground)
    if foreground:
        _pass_signals_on(guardian)
    answer = _wait_until_ready(chosen, guardian)
    for name in Rotation(chosen, datetime.now(UTC), tell=output.note).finish():
        output.note(f"Finished the rotation of {name}, which had been cut off.")
    took = time.monotonic() - begin
    if as_json:
        output.as_json(answer)
    else:
        _closing_table(chosen, took)
    if foreground:
        sys.stdout.flush()
        code = guardian.wait()
        output.note("The platform has stopped.")
        raise typer.Exit(0 if code == 0 else 1)


def _wait_until_ready(chosen: Settings, guardian: subprocess.Popen[bytes]) -> dict[str, Any]:
    try:
        return output.follow(start.progress(chosen, guardian))
    except KeyboardInterrupt:
        output.note("\nStopping what was started …")
        _end(chosen, guardian)
        raise typer.Exit(130) from None


def _end(chosen: Settings, guardian: subprocess.Popen[bytes]) -> None:
    if not start.stop(chosen):
        guardian.terminate()
    guardian.wait(start.STOP_SECONDS)


def _pass_signals_on(guardian: subprocess.Popen[bytes]) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        guardian.terminate()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def _tell_that_it_runs(chosen: Settings, running: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.as_json(running)
    else:
        output.say(f"The platform already runs in {chosen.home} ({running['state']}).")
        output.say(f"Portal: {chosen.portal}/   See '{_word(chosen)} status'.")
    if running["state"] != "ready":
        raise typer.Exit(1)


def down(*, docker: Docker = False) -> None:
    """Stop the platform; no process is left, nothing is lost."""
    if docker:
        containers.down()
        return
    chosen = settings.load()
    if start.stop(chosen):
        output.say("The platform has stopped.")
    else:
        output.say("The platform does not run.")


def restart(
    service: Annotated[str, typer.Argument(metavar="[SERVICE]")] = "",
) -> None:
    """Restart one service, or the whole platform."""
    chosen = settings.load()
    if not service:
        start.stop(chosen)
        up()
        return
    start.restart(chosen, service)
    output.say(f"{service} was restarted and is ready.")


def status(*, docker: Docker = False, as_json: Json = False) -> None:
    """Show every service; the exit code is 0 only when all are ready."""
    if docker:
        containers.status(as_json=as_json)
        return
    answer = start.status(settings.load())
    if as_json:
        output.as_json({name: answer[name] for name in ("state", "services", "urls")})
    elif answer["state"] == "stopped":
        output.say("stopped. Start the platform with 'ddt up'.")
    else:
        output.say(answer["state"])
        output.services(answer)
        for name, url in answer["urls"].items():
            output.say(f"{name:7} {url}")
    raise typer.Exit(0 if answer["state"] == "ready" else 1)


def logs(
    service: Annotated[str, typer.Argument(metavar="[SERVICE]")] = "",
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines come.")] = False,
    lines: Annotated[int, typer.Option("-n", help="So many last lines.")] = 100,
) -> None:
    """Print the log of a service, or of all."""
    chosen = settings.load()
    there = {file.stem: file for file in sorted(chosen.logs.glob("*.log"))}
    if not there:
        raise TroubleError(f"There are no logs in {chosen.logs} yet. 'ddt up' starts the platform.")
    if service and service not in there:
        raise TroubleError(f"There is no log of '{service}'. There are: {', '.join(there)}.")
    files = [str(there[service])] if service else [str(file) for file in there.values()]
    sys.stdout.flush()
    words = ["tail", f"--lines={lines}", *(["-F"] if follow else []), "--", *files]
    os.execvp(words[0], words)  # noqa: S606  # tail knows how to follow rotated files.


def doctor(*, docker: Docker = False, as_json: Json = False) -> None:
    """Check everything that the platform stands on, and say what to do where something is wrong."""
    if docker:
        checks = examination.run_all(containers.checks())
    else:
        checks = examination.examine(settings.load())
    if as_json:
        output.as_json({"ok": all(c["ok"] for c in checks), "checks": checks})
    else:
        for row in checks:
            output.say(f"{'ok' if row['ok'] else 'NOT OK':7} {row['name']:20} {row['detail']}")
    raise typer.Exit(0 if all(c["ok"] for c in checks) else 1)


def manage(context: typer.Context) -> None:
    """Run one of PKaKey's own management commands on the running platform."""
    chosen = settings.load()
    environment = environments.of_manage(chosen)
    os.execve(  # noqa: S606
        sys.executable, [sys.executable, "-m", "pkakey.config.manage", *context.args], environment
    )


def _word(chosen: Settings) -> str:
    """Return how this command is called from here, such as `.venv/bin/ddt`."""
    program = Path(sys.executable).with_name("ddt")
    if program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    named = f"DDT_HOME={shlex.quote(str(chosen.home))} " if os.environ.get("DDT_HOME") else ""
    return f"{named}{shlex.quote(str(program))}"


def _closing_table(chosen: Settings, took: float) -> None:
    word = _word(chosen)
    say = output.say
    say(f"\ntheDDT is ready ({took:.1f} s).\n")
    rows = {
        "Portal": f"{chosen.portal}/",
        "REST API": f"{chosen.portal}/api/v1/docs/",
        "CRL, OCSP, CA": f"{chosen.plain}/crl/…  /ocsp  /ca/…",
        "Data API": f"{chosen.data}/",
        "Approvals": f"{chosen.flows}/",
        "Gateway": f"{chosen.gateway}/dashboard/",
        "State": str(chosen.home),
    }
    for name, value in rows.items():
        say(f"  {name:14} {value}")
    _admin_password(chosen, word)
    say(
        f"\nYour browser will warn until it trusts your root; '{word} trust' says how. To try, "
        "line by line:\n"
    )
    for line in commands_to_try(word, chosen.http_port):
        say(f"{line}\n")


def _admin_password(chosen: Settings, word: str) -> None:
    shown = chosen.home / "stamps" / _SHOWN
    file = chosen.secrets / "admin-password"
    if not shown.exists() and file.is_file():
        password = file.read_text(encoding="utf-8").strip()
        output.say("\n  Sign in as     admin")
        output.say(f"  with password  {password}   (one-time: you choose your own then)")
        shown.touch(mode=0o600)
    else:
        output.say(f"\n  Sign in as     admin   (forgotten? {word} manage reset_admin_password)")


def commands_to_try(word: str, http_port: int) -> list[str]:
    """Return three command lines that work as they stand, one after the other."""
    make = (
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout try.key "
        "-out try.csr -subj /CN=try.example.test -addext subjectAltName=DNS:try.example.test "
        f"&& {word} issue --csr try.csr --profile tls-server --out try.pem "
        "--chain-out try-chain.pem"
    )
    verify = (
        f"{word} trust --print > try-root.pem && openssl verify -CAfile try-root.pem "
        "-untrusted try-chain.pem try.pem"
    )
    revoke = (
        f"{word} revoke try.pem --reason keyCompromise && openssl ocsp -issuer try-chain.pem "
        f"-cert try.pem -CAfile try-root.pem -url http://127.0.0.1:{http_port}/ocsp"
    )
    return [make, verify, revoke]
