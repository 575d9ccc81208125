"""The signer's socket: who may connect, how long a request may take, how it ends."""

import contextlib
import os
import select
import socket
import struct
import threading
import traceback
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from pkakey_signers.errors import SignerRefusal, SignerRefused, StartRefused
from pkakey_signers.frames import Frame, FrameDecoder, FrameError, encode_frame
from pkakey_signers.lines import say
from pkakey_signers.protocol import attachment_limit
from pkakey_signers.signer import Signer, refusal_frame

_READ_BYTES = 64 * 1024
_BACKLOG = 128
_PEER_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: struct ucred of unix(7).


@dataclass(frozen=True)
class Limits:
    """How patient the server is."""

    connections: int = 128
    idle_seconds: float = 300.0
    """Between two requests of a connection."""
    frame_seconds: float = 10.0
    """From a request's first octet to its last, and for the client to take its answer."""
    stop_seconds: float = 10.0
    """For requests under way when the signer is told to stop."""


class SignerServer:
    """Listens on a Unix socket; one thread a connection.

    Only processes of ``allowed_users`` (numbers) are heard; the system tells who connects
    (SO_PEERCRED), not the client.
    """

    def __init__(
        self,
        signer: Signer,
        socket_path: Path,
        *,
        allowed_users: Collection[int],
        limits: Limits = Limits(),
    ) -> None:
        self._signer = signer
        self._path = socket_path
        self._allowed_users = frozenset(allowed_users)
        self._limits = limits
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._at_work: set[socket.socket] = set()
        self._is_stopping = False
        self._wake_read, self._wake_write = socket.socketpair()
        self._listener = self._bind()

    def serve(self) -> None:
        """Accept connections until ``stop`` is called, then end them and remove the socket."""
        while True:
            readable, _, _ = select.select([self._listener, self._wake_read], [], [])
            if self._wake_read in readable:
                break
            with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
                connection, _ = self._listener.accept()
                self._admit(connection)
        self._end()

    def stop(self) -> None:
        """Make ``serve`` end; may be called from a signal handler, and more than once."""
        with contextlib.suppress(OSError):
            self._wake_write.send(b"x")

    def _bind(self) -> socket.socket:
        self._remove_stale_socket()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Others than the owner get in by the user check below, so the file's mode may be open
        # for them; without others it stays closed.
        is_shared = bool(self._allowed_users - {os.geteuid()})
        previous_mask = os.umask(0o111 if is_shared else 0o177)
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            listener.bind(str(self._path))
            listener.listen(_BACKLOG)
            listener.setblocking(False)  # noqa: FBT003  # The standard library's signature.
        except OSError as error:
            listener.close()
            raise StartRefused(
                f"The signer cannot listen at {self._path} ({error.strerror or error})."
            ) from None
        finally:
            os.umask(previous_mask)
        return listener

    def _remove_stale_socket(self) -> None:
        if not self._path.exists():
            return
        if not self._path.is_socket():
            raise StartRefused(f"{self._path} is there and no socket; choose another --socket.")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(self._path))
            except OSError:
                self._path.unlink(missing_ok=True)
                return
        raise StartRefused(f"A signer listens at {self._path} already; stop it first.")

    def _admit(self, connection: socket.socket) -> None:
        connection.setblocking(True)  # noqa: FBT003  # As above.
        credentials = connection.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size
        )
        _, user, _ = _PEER_CREDENTIALS.unpack(credentials)
        if user not in self._allowed_users:
            # Its own user's: a health check, which only sees whether somebody takes the call.
            if user != os.geteuid():
                say(
                    f"A process of the user with the number {user} tried to connect; not allowed.",
                    level="warning",
                )
            connection.close()
            return
        thread = threading.Thread(target=self._attend, args=(connection,), daemon=True)
        with self._lock:
            is_full = len(self._connections) >= self._limits.connections
            if not is_full:
                self._connections[connection] = thread
        if is_full:
            refusal = SignerRefused(
                SignerRefusal.SIGNER_BUSY,
                f"The signer has {self._limits.connections} connections, its limit.",
            )
            connection.settimeout(0.1)
            _send(connection, refusal_frame(refusal, close=True))
            connection.close()
            return
        thread.start()

    def _attend(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._converse(connection)
        except Exception:  # noqa: BLE001  # The edge of the process.
            say("A connection failed.", level="error", traceback=traceback.format_exc())
        finally:
            with self._lock:
                self._connections.pop(connection, None)
                self._at_work.discard(connection)

    def _converse(self, connection: socket.socket) -> None:
        decoder = FrameDecoder(attachment_limit)
        while True:
            try:
                request = self._receive(connection, decoder)
            except FrameError as error:
                code = (
                    SignerRefusal.FRAME_TOO_LARGE
                    if error.too_large
                    else SignerRefusal.FRAME_MALFORMED
                )
                refusal = SignerRefused(code, error.detail)
                _send(connection, refusal_frame(refusal, close=True))
                return
            if request is None:
                return
            if not self._begin_work(connection):
                return
            connection.settimeout(self._limits.frame_seconds)
            was_taken = _send(connection, self._answer(request))
            with self._lock:
                self._at_work.discard(connection)
                # ``_end`` took this connection for one at work and left it to us.
                if self._is_stopping or not was_taken:
                    return

    def _begin_work(self, connection: socket.socket) -> bool:
        with self._lock:
            if not self._is_stopping:
                self._at_work.add(connection)
            return not self._is_stopping

    def _receive(self, connection: socket.socket, decoder: FrameDecoder) -> Frame | None:
        """Return the next request, or None when the client is gone or was silent for long."""
        deadline = None if decoder.is_between_frames else monotonic() + self._limits.frame_seconds
        while (frame := decoder.next_frame()) is None:
            if deadline is None:
                connection.settimeout(self._limits.idle_seconds)
            else:
                remaining = deadline - monotonic()
                if remaining <= 0:
                    raise FrameError("The request did not come in time.")
                connection.settimeout(remaining)
            try:
                octets = connection.recv(_READ_BYTES)
            except TimeoutError:
                if deadline is None:
                    return None
                raise FrameError("The request did not come in time.") from None
            except OSError:
                return None
            if not octets:
                return None
            decoder.feed(octets)
            if deadline is None:
                deadline = monotonic() + self._limits.frame_seconds
        return frame

    def _answer(self, request: Frame) -> Frame:
        try:
            return self._signer.answer(request)
        except Exception:  # noqa: BLE001  # The edge of the process: the client gets an answer.
            say("A request failed.", level="error", traceback=traceback.format_exc())
            return refusal_frame(
                SignerRefused(
                    SignerRefusal.SIGNER_FAILED,
                    "Something failed inside the signer; its output says what.",
                )
            )

    def _end(self) -> None:
        self._listener.close()
        self._path.unlink(missing_ok=True)
        with self._lock:
            self._is_stopping = True
            threads = dict(self._connections)
            idle = set(threads) - self._at_work
            for connection in idle:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        deadline = monotonic() + self._limits.stop_seconds
        for thread in threads.values():
            thread.join(max(0.0, deadline - monotonic()))
        self._wake_read.close()
        self._wake_write.close()


def _send(connection: socket.socket, frame: Frame) -> bool:
    """Send the frame; return whether the client took it."""
    try:
        connection.sendall(encode_frame(frame))
    except OSError:
        return False
    return True
