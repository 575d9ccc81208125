"""The client of the signer process, for the web, worker and status processes."""

import json
import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from pkakey_signers.errors import SignerRefusal, SignerRefused, SignerUnavailable
from pkakey_signers.frames import Frame, FrameDecoder, FrameError, encode_frame
from pkakey_signers.private_keys import private_key_at_the_signer
from pkakey_signers.protocol import Operation, attachment_limit

__all__ = ["SignerClient", "SignerRefused", "SignerUnavailable"]

GENERATE_TIMEOUT_SECONDS = 120.0
"""An RSA-4096 key can take this long on a slow machine."""

_READ_BYTES = 64 * 1024


class _ConnectionLost(Exception):  # noqa: N818  # Never leaves this module.
    """The signer closed the connection without an answer."""


class SignerClient:
    """Asks the signer, from any number of threads.

    Keeps up to ``pool_size`` connections open between calls. Every question may be asked twice
    without harm, so that a connection the signer closed meanwhile is replaced silently, once.
    After a fork the child opens connections of its own. ``request_id`` names the request at work
    ("" for none); the signer writes it beside what it signs. ``asking`` is entered around each
    question, with the operation's name.
    """

    def __init__(
        self,
        socket_path: Path,
        *,
        timeout_seconds: float = 10.0,
        pool_size: int = 8,
        request_id: Callable[[], str] = str,
        asking: Callable[[str], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._socket_path = Path(socket_path)
        self._timeout_seconds = timeout_seconds
        self._pool_size = pool_size
        self._request_id = request_id
        self._asking = asking
        self._lock = threading.Lock()
        self._idle: list[socket.socket] = []
        self._process_id = os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # A client may live as long as its process; nobody is told to close it.
        for connection in self._idle:
            connection.close()

    def close(self) -> None:
        """Close the idle connections; the client stays usable."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def generate_key(self, *, key_id: UUID, algorithm: str, purpose: str) -> bytes:
        """Make a key and return its SubjectPublicKeyInfo in DER.

        ``algorithm``: ``ecdsa-p256``, ``ecdsa-p384``, ``rsa-2048``, ``rsa-3072``, ``rsa-4096`` or
        ``ed25519``; ``purpose``: ``authority`` or ``ocsp-responder``. The same ``key_id`` again
        gives the same key; with another algorithm or purpose ``key.differs`` is raised.
        """
        header = {
            "op": Operation.GENERATE_KEY,
            "key_id": str(key_id),
            "algorithm": algorithm,
            "purpose": purpose,
        }
        return self._ask(header, timeout_seconds=GENERATE_TIMEOUT_SECONDS).attachment

    def public_key(self, *, key_id: UUID) -> bytes:
        """Return the key's SubjectPublicKeyInfo in DER; raises ``key.unknown``."""
        return self._ask({"op": Operation.PUBLIC_KEY, "key_id": str(key_id)}).attachment

    def activate_authority(self, *, key_id: UUID, certificate_der: bytes) -> None:
        """Tell the signer the certificate of an authority's or responder's key.

        From then on the signer enforces it: issuer name, validity, path length. The signer takes
        only a certificate over that key which one of its own keys has signed. The same
        certificate again changes nothing; a renewed one over the same key, with the same subject
        and issuer and no older, replaces it; anything else is ``authority.certificate``.
        """
        self._ask(
            {"op": Operation.ACTIVATE_AUTHORITY, "key_id": str(key_id)}, attachment=certificate_der
        )

    def sign(
        self, *, kind: str, key_id: UUID, intent_id: UUID | None, to_be_signed: bytes
    ) -> bytes:
        """Return the signature over exactly these DER bytes, with the key's own algorithm.

        ``kind`` is ``certificate`` (TBSCertificate), ``crl`` (TBSCertList), both of which need an
        open intent with these bytes' SHA-256, or ``ocsp-response`` (ResponseData), which needs
        none. The same intent and bytes again give the same signature. Raises ``SignerRefused``
        or ``SignerUnavailable``.
        """
        header = {
            "op": Operation.SIGN,
            "kind": kind,
            "key_id": str(key_id),
            "intent_id": None if intent_id is None else str(intent_id),
        }
        if request_id := self._request_id():
            header["request_id"] = request_id
        return self._ask(header, attachment=to_be_signed).attachment

    def private_key(
        self, *, key_id: UUID, kind: str, intent_id: UUID | None
    ) -> CertificateIssuerPrivateKeyTypes:
        """Return a private key for ``cryptography``'s builders whose ``sign`` asks the signer."""

        def sign(to_be_signed: bytes) -> bytes:
            return self.sign(
                kind=kind, key_id=key_id, intent_id=intent_id, to_be_signed=to_be_signed
            )

        return private_key_at_the_signer(self.public_key(key_id=key_id), sign)

    def health(self) -> dict[str, Any]:
        """Return the signer's own account of itself.

        ``state`` is ``ready`` or ``degraded``; ``database`` and ``log`` are ``ok`` or a sentence;
        ``keys`` counts usable keys, ``damaged_keys`` lists the others; ``signatures`` counts log
        entries; ``pid`` is the process.
        """
        header = dict(self._ask({"op": Operation.HEALTH}).header)
        header.pop("ok")
        return header

    def metrics(self) -> dict[str, Any]:
        """Return what the signer has counted since it began (``figures.SignatureFigures``)."""
        answer = self._ask({"op": Operation.METRICS})
        try:
            figures = json.loads(answer.attachment)
        except ValueError:
            figures = None
        if not isinstance(figures, dict):
            raise SignerUnavailable("The signer gave an answer of another version.")
        return figures

    def _ask(
        self,
        header: Mapping[str, Any],
        *,
        attachment: bytes = b"",
        timeout_seconds: float | None = None,
    ) -> Frame:
        limit = attachment_limit(header)
        if len(attachment) > limit:
            raise SignerRefused(
                SignerRefusal.FRAME_TOO_LARGE,
                f"{len(attachment)} octets were to be sent; at most {limit} are allowed.",
            )
        try:
            request = encode_frame(Frame(header, attachment))
        except FrameError as error:
            raise SignerRefused(SignerRefusal.FRAME_TOO_LARGE, error.detail) from None
        deadline = monotonic() + (timeout_seconds or self._timeout_seconds)
        with self._asking(str(header["op"])):
            return _read_answer(self._answer_to(request, deadline))

    def _answer_to(self, request: bytes, deadline: float) -> Frame:
        connection, is_fresh = self._take()
        try:
            answer = self._exchange(connection, request, deadline)
        except _ConnectionLost:
            if is_fresh:
                raise SignerUnavailable(
                    f"The signer at {self._socket_path} closed the connection without an answer."
                ) from None
            # The signer was restarted, or closed a connection that had been idle for long.
            self.close()
            return self._ask_once_more(request, deadline)
        return answer

    def _ask_once_more(self, request: bytes, deadline: float) -> Frame:
        try:
            return self._exchange(self._connect(), request, deadline)
        except _ConnectionLost:
            raise SignerUnavailable(
                f"The signer at {self._socket_path} closed the connection without an answer."
            ) from None

    def _take(self) -> tuple[socket.socket, bool]:
        with self._lock:
            if self._process_id != os.getpid():
                # The parent still uses these; two processes on one stream mix up answers.
                for connection in self._idle:
                    connection.close()
                self._idle = []
                self._process_id = os.getpid()
            if self._idle:
                return self._idle.pop(), False
        return self._connect(), True

    def _give_back(self, connection: socket.socket) -> None:
        with self._lock:
            if len(self._idle) < self._pool_size and self._process_id == os.getpid():
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._timeout_seconds)
        try:
            connection.connect(str(self._socket_path))
        except OSError as error:
            connection.close()
            raise SignerUnavailable(
                f"The signer at {self._socket_path} does not answer ({error.strerror or error}); "
                "start it, or look at its log."
            ) from None
        return connection

    def _exchange(self, connection: socket.socket, request: bytes, deadline: float) -> Frame:
        # An exception leaves the stream in the middle of an answer, so it is closed, not reused.
        try:
            answer = _send_and_receive(connection, request, deadline)
        except TimeoutError:
            connection.close()
            raise SignerUnavailable(
                f"The signer at {self._socket_path} did not answer in time."
            ) from None
        except FrameError as error:
            connection.close()
            raise SignerUnavailable(
                f"What answers at {self._socket_path} is no signer: {error.detail}"
            ) from None
        except OSError:
            connection.close()
            raise _ConnectionLost from None
        except BaseException:
            connection.close()
            raise
        if answer.header.get("close"):
            connection.close()
        else:
            self._give_back(connection)
        return answer


def _send_and_receive(connection: socket.socket, request: bytes, deadline: float) -> Frame:
    connection.settimeout(max(deadline - monotonic(), 0.001))
    # The signer may have said "busy" and closed before it read everything; its answer then has
    # ``close``, and a connection lost without an answer shows when it is read.
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(request)
    decoder = FrameDecoder()
    while True:
        remaining = deadline - monotonic()
        if remaining <= 0:
            raise TimeoutError
        connection.settimeout(remaining)
        octets = connection.recv(_READ_BYTES)
        if not octets:
            raise _ConnectionLost
        decoder.feed(octets)
        if (answer := decoder.next_frame()) is not None:
            return answer


def _read_answer(answer: Frame) -> Frame:
    if answer.header.get("ok") is True:
        return answer
    detail = str(answer.header.get("detail", "The signer refused without a reason."))
    try:
        code = SignerRefusal(str(answer.header.get("code")))
    except ValueError:
        raise SignerUnavailable(f"The signer gave an answer of another version: {detail}") from None
    if code is SignerRefusal.SIGNER_BUSY:
        raise SignerUnavailable(detail)
    raise SignerRefused(code, detail)
