"""A REST client of the tests: Django's own test client with a token and JSON bodies."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.test import Client, override_settings
from django.test.client import ClientHandler
from pkakey.config.site import is_from_a_machine
from pkakey_engine.testing import make_csr

PROBLEM = "application/problem+json"
HOST = "pkakey.theddt.localhost"


class _MachineClientHandler(ClientHandler):
    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001, FBT002  # Django's.
        with override_settings(MIDDLEWARE=settings.MACHINE_MIDDLEWARE):
            super().load_middleware(is_async)


class SiteClient(Client):
    """Goes through the chain of middleware that the site chooses for each request."""

    def __init__(self, *, enforce_csrf_checks: bool = False) -> None:
        super().__init__(enforce_csrf_checks, raise_request_exception=False)
        self._people = self.handler
        self._machines = _MachineClientHandler(enforce_csrf_checks)

    def request(self, **request: Any) -> Any:  # Django's signature.
        """Send one request."""
        is_machine = is_from_a_machine(self._base_environ(**request))
        self.handler = self._machines if is_machine else self._people
        return super().request(**request)


@dataclass
class RESTClient:
    """Sends requests with one token (or none); `http` may be a signed-in browser."""

    token: str | None = None
    http: Client = field(default_factory=SiteClient)

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        own = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return {"Host": HOST, "X-Forwarded-Proto": "https", **own, **more}

    def get(self, path: str, **headers: str) -> Any:  # The client's own class.
        return self.http.get(f"/api/v1/{path}", headers=self._headers(headers))

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        content_type: str = "application/json",
        **headers: str,
    ) -> Any:  # As above.
        return self.http.generic(
            method,
            f"/api/v1/{path}",
            body,
            content_type=content_type,
            headers=self._headers(headers),
        )

    def post(self, path: str, body: object, **headers: str) -> Any:  # As above.
        return self.send("POST", path, json.dumps(body).encode(), **headers)

    def issue(self, name: str, **headers: str) -> dict[str, Any]:
        csr = make_csr(dns=[name]).decode()
        answer = self.post("certificates/", {"csr": csr, "profile": "tls-server"}, **headers)
        assert answer.status_code == 201, answer.content
        issued: dict[str, Any] = answer.json()
        return issued


def problem(answer: HttpResponse, status: int, code: str) -> dict[str, Any]:
    """Return the problem document, after checking that it is this one and whole."""
    assert answer.headers["Content-Type"] == PROBLEM, answer.content
    body: dict[str, Any] = json.loads(answer.content)
    assert (answer.status_code, body["code"]) == (status, code), body
    assert body["status"] == status
    assert body["type"] == f"urn:theddt:problem:{code}"
    assert body["title"]
    assert body["detail"].endswith(".")
    assert body["reference"]
    return body
