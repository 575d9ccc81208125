"""What the signer says on standard error: one JSON object a line, as all of the platform's logs."""

import json
import sys
from datetime import UTC, datetime


def say(sentence: str, *, level: str = "info", request_id: str = "", **facts: str) -> None:
    """Write one line; ``request_id`` names the request that was at work, where one was."""
    line = {
        "event": sentence,
        "level": level,
        "logger": "pkakey_signers",
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        **({"request_id": request_id} if request_id else {}),
        **facts,
    }
    # One write a line, so that threads do not mix theirs.
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()
