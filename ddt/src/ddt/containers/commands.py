"""What `--docker` makes of init, up, down and status."""

import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime

import typer

from ddt import output
from ddt.containers import doctor, preparation, project, running
from ddt.containers.engine import Compose
from ddt.containers.project import Project


def init(*, as_json: bool) -> None:
    """Make .env and the secrets of docker-compose.yml; what is there is kept."""
    chosen = project.load()
    made = preparation.prepare(chosen)
    if as_json:
        output.as_json(
            {
                "project": str(chosen.folder),
                "environment": str(chosen.folder / ".env"),
                "environment_made": made.environment,
                "secrets": str(chosen.secrets),
                "made": made.secrets,
                "lacking": made.lacking,
                "portal": f"{chosen.address('pkakey')}/",
            }
        )
        return
    if made.environment:
        output.say(f"Made {chosen.folder / '.env'} for {chosen.domain}.")
    if made.secrets:
        output.say(f"Made {len(made.secrets)} secrets in {chosen.secrets}.")
    if not made.environment and not made.secrets:
        output.say(f"{chosen.folder} is prepared already; nothing was changed.")
    if made.lacking:
        output.note(
            f"This release knows {len(made.lacking)} variables that your .env does not: "
            f"{', '.join(made.lacking)}. Their defaults hold; .env.example explains them.",
        )
    output.say("Next: ddt hosts    (names that your computer has to know)")
    output.say("      ddt up --docker    or: docker compose up -d")


def up(*, as_json: bool) -> None:
    """Start the containers and wait until each is healthy."""
    chosen = project.load()
    compose = Compose(chosen.folder)
    if warning := doctor.before_start(chosen, compose):
        output.note(warning)
    begin = time.monotonic()
    with tempfile.TemporaryFile() as log:
        starting = running.launch(compose, log)
        try:
            answer = output.follow(running.progress(compose, starting))
        except KeyboardInterrupt:
            starting.terminate()
            starting.wait()
            output.note(
                "\nInterrupted. What was started runs on; 'ddt down --docker' stops it, "
                "'ddt up --docker' goes on.",
            )
            raise typer.Exit(130) from None
        if starting.returncode != 0:
            log.seek(0, os.SEEK_SET)
            raise running.failure(answer, log.read())
    if as_json:
        output.as_json({**answer, "urls": addresses(chosen)})
    else:
        _closing_table(chosen, time.monotonic() - begin)


def down() -> None:
    """Stop and remove the containers; the volumes and with them everything stay."""
    chosen = project.load()
    if running.stop(Compose(chosen.folder)):
        output.say("The containers have stopped; the volumes are kept.")
    else:
        output.say("No container of the platform is there.")


def status(*, as_json: bool) -> None:
    """Show every container; the exit code is 0 only when all are well."""
    chosen = project.load()
    compose = Compose(chosen.folder)
    compose.engine_version()
    answer = {**running.status(compose), "urls": addresses(chosen)}
    if as_json:
        output.as_json(answer)
    elif answer["state"] == "stopped":
        output.say("stopped. Start the containers with 'ddt up --docker'.")
    else:
        output.say(answer["state"])
        output.services({"services": answer["services"] + answer["tasks"]})
        for name, url in answer["urls"].items():
            output.say(f"{name:9} {url}")
    raise typer.Exit(0 if answer["state"] == "ready" else 1)


def checks() -> dict[str, Callable[[], str]]:
    """Return the checks of `ddt doctor`."""
    return doctor.checks(project.load(), now=datetime.now(UTC))


def names() -> list[str]:
    """Return every name that the gateway in containers serves."""
    return project.load().hosts


def addresses(chosen: Project) -> dict[str, str]:
    """Return the addresses that people and programs use."""
    port = "" if chosen.http_port == 80 else f":{chosen.http_port}"  # noqa: PLR2004  # HTTP.
    plain = f"http://pkakey.{chosen.domain}{port}"
    portal = chosen.address("pkakey")
    return {
        "portal": f"{portal}/",
        "api": f"{portal}/api/v1/",
        "data": f"{chosen.address('api')}/",
        "flows": f"{chosen.address('flows')}/",
        "keycloak": f"{chosen.address('keycloak')}/admin/",
        "pgadmin": f"{chosen.address('pgadmin')}/",
        "gateway": f"{chosen.address('')}/dashboard/",
        "crl": f"{plain}/crl/",
        "ocsp": f"{plain}/ocsp",
    }


def _closing_table(chosen: Project, took: float) -> None:
    found = addresses(chosen)
    plain = found["ocsp"].removesuffix("/ocsp")
    output.say(f"\ntheDDT is ready ({took:.0f} s).\n")
    rows = {
        "Portal": found["portal"],
        "REST API": f"{found['api']}docs/",
        "Data API": found["data"],
        "Workflows": found["flows"],
        "Sign-in": found["keycloak"],
        "Database": found["pgadmin"],
        "CRL, OCSP, CA": f"{plain}/crl/…  /ocsp  /ca/…",
        "Gateway": found["gateway"],
        "Secrets": str(chosen.secrets),
    }
    for name, value in rows.items():
        output.say(f"  {name:14} {value}")
    output.say(
        f"\n  Sign in as     admin, with the password in {chosen.secrets / 'admin-password'}"
    )
    output.say(
        "\nNames not found? 'ddt hosts' prints what your hosts file needs. Your browser will warn "
        "until it\ntrusts your root: docs/containers.md says how to get it."
    )
