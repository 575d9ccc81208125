"""The control socket: one JSON object a line, each way, between `ddt` and its supervisor."""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

LONGEST_LINE = 64 * 1024
Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


async def serve(path: Path, answer: Answer) -> asyncio.Server:
    """Listen on the Unix socket, for its owner only, and answer each line."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            request = json.loads(line) if line else None
            reply = await answer(request if isinstance(request, dict) else {})
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        except (ValueError, ConnectionError):
            pass  # Who speaks no JSON, or has left, gets no answer.
        finally:
            writer.close()

    # The home is locked: whoever made this one is gone.
    path.unlink(missing_ok=True)  # noqa: ASYNC240  # A moment, before anything is served.
    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(talk, path, limit=LONGEST_LINE)
    finally:
        os.umask(before)


def ask(
    path: Path, request: dict[str, Any], *, timeout_seconds: float = 10
) -> dict[str, Any] | None:
    """Return the supervisor's answer, or None when no supervisor listens."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout_seconds)
        try:
            client.connect(os.fspath(path))
            client.sendall(json.dumps(request).encode() + b"\n")
            with client.makefile("rb") as stream:
                line = stream.readline()
        except OSError:
            return None
    answer = json.loads(line) if line else None
    return answer if isinstance(answer, dict) else None
