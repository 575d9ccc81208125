"""KoolFlows, called as the person whom a short-lived token names; with limits and a circuit.

A service that does not answer is not asked again for some seconds: requests that need no approval
never wait for it, and those that do are told at once.
"""

import http.client
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

from pkakey.services.errors import ServiceUnavailable

logger = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 5.0
MOST_BYTES: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What KoolFlows answered: the status, and the text of the body."""

    status: int
    text: str

    @property
    def is_success(self) -> bool:
        """Whether it did what was asked."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object; empty for any other body."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class ToFlows:
    """Calls KoolFlows' REST API at an address that the platform's own network reaches."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(
                "KoolFlows' internal address is an http URL, such as http://host:port."
            )
        self._place = (parts.hostname, parts.port or 80)
        self._paused_until = 0.0
        self._lock = Lock()

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str,
        body: Mapping[str, Any] | None = None,
        key: str = "",
        request_id: str = "",
    ) -> Answer:
        """Return the answer of `/api/v1/…`; raises `ServiceUnavailable("koolflows")`."""
        if monotonic() < self._paused_until:
            raise _unavailable()
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        if request_id:
            headers["X-Request-ID"] = request_id
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            answer = self._exchange(method, path, content, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            logger.warning("KoolFlows does not answer: %s", type(error).__name__)
            self._pause()
            raise _unavailable() from error
        if answer.status in _NOT_NOW:
            logger.warning("KoolFlows answered %s to %s %s.", answer.status, method, path)
            raise _unavailable()
        return answer

    def _exchange(
        self, method: str, path: str, content: bytes | None, headers: dict[str, str]
    ) -> Answer:
        connection = http.client.HTTPConnection(*self._place, timeout=CONNECT_SECONDS)
        try:
            connection.connect()
            connection.sock.settimeout(ANSWER_SECONDS)
            connection.request(method, f"/api/v1/{path}", body=content, headers=headers)
            response = connection.getresponse()
            data = response.read(MOST_BYTES + 1)
            if len(data) > MOST_BYTES:
                raise ValueError("The answer is too large.")
            return Answer(response.status, data.decode())
        finally:
            connection.close()

    def _pause(self) -> None:
        with self._lock:
            self._paused_until = monotonic() + PAUSE_SECONDS


_NOT_NOW: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


def _unavailable() -> ServiceUnavailable:
    return ServiceUnavailable(
        "koolflows",
        "KoolFlows, which runs the approvals, does not answer at the moment. What needs an "
        "approval has to wait; send the same request again in some seconds, with the same "
        "Idempotency-Key if you gave one. What needs no approval is issued as always.",
    )
