"""Write a stack file for `docker stack deploy` from the shipped docker-compose.yml.

    python3 -m deploy.swarm > stack.json
    docker stack deploy --resolve-image never --compose-file stack.json theddt

Run it in a checkout that `ddt init --docker` has prepared; docs/swarm.md tells the rest.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.swarm.stack import Choices, StackError, translate


def resolved(folder: Path, profiles: Sequence[str]) -> dict[str, Any]:
    """Return what `docker compose config` makes of a project folder; raises StackError."""
    chosen = [word for profile in profiles for word in ("--profile", profile)]
    try:
        done = subprocess.run(  # noqa: S603
            ["docker", "compose", *chosen, "config", "--format", "json"],  # noqa: S607
            cwd=folder, check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    except OSError as error:
        raise StackError(f"The docker command cannot be run: {error}.") from None
    if done.returncode != 0:
        raise StackError(f"'docker compose config' failed: {done.stderr.strip()}")
    config: dict[str, Any] = json.loads(done.stdout)
    return config


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the stack file; return 1, with a sentence, when there can be none."""
    parser = argparse.ArgumentParser(
        description="Write a stack file for 'docker stack deploy' from docker-compose.yml."
    )
    add = parser.add_argument
    add("--project", type=Path, default=Path(), metavar="FOLDER", help="default: the folder here")
    add("--profile", action="append", default=[], metavar="NAME", help="such as monitoring")
    add("--replicas", action="append", default=[], metavar="SERVICE=N", type=_replicas)
    add("--gates", default=Choices.gates, metavar="NETWORK", help=f"default: {Choices.gates}")
    add("--encrypted", action="store_true", help="encrypt the networks between nodes (IPsec)")
    options = parser.parse_args(arguments)
    folder = options.project.absolute()
    choices = Choices(dict(options.replicas), options.gates, options.encrypted)
    try:
        made = translate(resolved(folder, options.profile), folder, choices)
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json.dump(made, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


def _replicas(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if not name or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not like pkakey_django=3")
    return name, int(number)


if __name__ == "__main__":
    sys.exit(main())
