"""A closed-loop load client: prepared requests over keep-alive connections, one in flight on each.

The client shares the machine with the server, so it does as little as it can: the bytes are made
before the clock starts and the answers are read by their Content-Length, not parsed as HTTP.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

RECEIVE_BYTES = 65536


@dataclass(frozen=True)
class Target:
    """Where to send: a loopback address, and the TLS name or None for plain HTTP."""

    port: int
    server_name: str | None = None
    trust_file: str | None = None

    def connect(self) -> socket.socket:
        """Return a connected socket, with TLS checked against the trust file."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.server_name is None:
            return plain
        context = ssl.create_default_context(cafile=self.trust_file)
        return context.wrap_socket(plain, server_hostname=self.server_name)


@dataclass
class Measurement:
    """What one run saw: latencies in seconds of the good answers, and the texts of the bad ones."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile_ms(self, share: float) -> float:
        """Return the latency in milliseconds that the given share of answers stayed under."""
        if not self.latencies:
            return float("nan")
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


def exchange(connection: socket.socket, request: bytes) -> tuple[int, bytes]:
    """Send one request and return the status and body; the server must name a Content-Length."""
    connection.sendall(request)
    received = b""
    while (end := received.find(b"\r\n\r\n")) < 0:
        piece = connection.recv(RECEIVE_BYTES)
        if not piece:
            raise ConnectionError("The server closed the connection.")
        received += piece
    head = received[:end].lower()
    status = int(head[9:12])
    marker = head.find(b"content-length:")
    if marker < 0:
        raise ConnectionError(f"No Content-Length in: {head[:200]!r}")
    length = int(head[marker + 15 :].split(b"\r\n", 1)[0])
    body = received[end + 4 :]
    while len(body) < length:
        body += connection.recv(RECEIVE_BYTES)
    return status, body


def measure(
    target: Target,
    requests: Sequence[bytes],
    *,
    expected_status: int,
    connections: int = 8,
    seconds: float = 10.0,
    warm_up_seconds: float = 2.0,
    reuse: bool = False,
) -> Measurement:
    """Send prepared requests for a time and return what came back.

    A request is sent once unless `reuse` is true; a run that exhausts its requests ends early and
    its clock with it. An answer counts when it ends inside the measured time.
    """
    result = Measurement()
    source = _source(requests, reuse=reuse)
    lock = threading.Lock()
    begin = time.monotonic() + warm_up_seconds
    end = begin + seconds
    last_answer = begin

    def worker() -> None:
        nonlocal last_answer
        connection = target.connect()
        with connection:
            while time.monotonic() < end:
                with lock:
                    request = next(source, None)
                if request is None:
                    return
                started = time.monotonic()
                status, body = exchange(connection, request)
                now = time.monotonic()
                with lock:
                    if status != expected_status:
                        result.errors.append(f"{status} {body[:200]!r}")
                    elif begin <= now <= end:
                        result.latencies.append(now - started)
                        last_answer = max(last_answer, now)

    threads = [threading.Thread(target=worker) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result.seconds = max(last_answer - begin, 0.001)
    return result


def _source(requests: Sequence[bytes], *, reuse: bool) -> Iterator[bytes]:
    if not reuse:
        yield from islice(requests, len(requests))
        return
    while True:
        yield from requests
