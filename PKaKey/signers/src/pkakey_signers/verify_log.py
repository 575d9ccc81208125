"""``python -m pkakey_signers.verify_log PATH``: check a signer log's chain from end to end."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pkakey_signers.log import read_entries, verify_log


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; return 0 when the chain holds, 1 when not, 2 when it cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m pkakey_signers.verify_log",
        description="Check that no line of a signer's log was changed, taken out or put in.",
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="the log file")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--entries", action="store_true", help="print the entries, one JSON object a line"
    )
    options = parser.parse_args(arguments)
    try:
        report = verify_log(options.path)
        if options.entries and report.problem is None:
            for entry in read_entries(options.path):
                sys.stdout.write(entry.to_line().decode() + "\n")
    except OSError as error:
        sys.stderr.write(f"The log {options.path} cannot be read ({error.strerror}).\n")
        return 2
    if options.json:
        sys.stdout.write(json.dumps(asdict(report)) + "\n")
    elif not options.entries or report.problem is not None:
        verdict = "The chain holds." if report.problem is None else f"DAMAGED. {report.problem}"
        sys.stderr.write(
            f"{options.path}: {report.entries} entries, {report.torn_bytes} octets of a torn last "
            f"line. {verdict}\n"
        )
    return 0 if report.problem is None else 1


if __name__ == "__main__":
    sys.exit(main())
