"""A provider for tests: a real HTTP server that answers as a realm of Keycloak does.

Its token endpoint checks the client, the code, the redirect URI and PKCE, and signs by a real key.
The issuer is the realm's public address; the server is where PKaKey reaches it from inside.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

from theddt_identity.testing import Issuer

ISSUER = "https://keycloak.theddt.localhost:8443/realms/theddt"
CLIENT_ID = "pkakey"
CLIENT_SECRET = "a secret of the tests"
CALLBACK = "/accounts/oidc/keycloak/login/callback/"


@dataclass
class Answer:
    """What the token endpoint says for one code, and what it asks to see first."""

    redirect_uri: str
    challenge: str
    access_token: str
    id_token: str | None


@dataclass
class Keycloak:
    """One realm; tests change it while it runs."""

    signer: Issuer = field(default_factory=lambda: Issuer(ISSUER))
    answers: dict[str, Answer] = field(default_factory=dict)
    fails: set[str] = field(default_factory=set)
    url: str = ""

    def claims(self, subject: str = "s-ada", *, audience: Any = "pkakey", **more: Any) -> Any:
        """Return the claims of an access token as the realm's mappers make them."""
        usual = {
            "sub": subject,
            "preferred_username": subject.removeprefix("s-"),
            "email": f"{subject.removeprefix('s-')}@example.test",
            "azp": CLIENT_ID,
            "sid": f"session-of-{subject}",
        }
        return self.signer.claims(now=datetime.now(tz=UTC), audience=audience, **(usual | more))

    def token(self, subject: str = "s-ada", **more: Any) -> str:
        """Return an access token."""
        return self.signer.sign(self.claims(subject, **more))

    def id_token(self, subject: str = "s-ada", **more: Any) -> str:
        """Return an ID token for PKaKey."""
        usual = {"audience": CLIENT_ID, "typ": "ID", "roles": None, "namespace": None}
        return self.signer.sign(self.claims(subject, **(usual | more)))

    def logout_token(self, subject: str | None = "s-ada", **more: Any) -> str:
        """Return a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.4)."""
        event = {"http://schemas.openid.net/event/backchannel-logout": {}}
        usual = {
            **dict.fromkeys(("roles", "namespace", "role", "scope", "name", "email", "azp")),
            "preferred_username": None,
            "audience": CLIENT_ID,
            "typ": "Logout",
            "events": event,
            "jti": uuid4().hex,
        }
        claims = self.claims("s-ada", **(usual | {"sub": subject} | more))
        return self.signer.sign(claims, header={"typ": "logout+jwt"})

    def sign_in(self, asked: str, *, access_token: str, id_token: str | None) -> str:
        """Return the callback's path that the browser is sent to from the address `asked`."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(asked).query).items()}
        code = uuid4().hex
        self.answers[code] = Answer(
            query["redirect_uri"], query["code_challenge"], access_token, id_token
        )
        return f"{CALLBACK}?{urlencode({'code': code, 'state': query['state']})}"

    def exchange(self, authorization: str, form: dict[str, list[str]]) -> tuple[int, Any]:
        """Answer a request to the token endpoint."""
        wanted = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if authorization != f"Basic {wanted}":
            return 401, {"error": "invalid_client"}
        # A code is good once.
        answer = self.answers.pop(form.get("code", [""])[0], None)
        digest = hashlib.sha256(form.get("code_verifier", [""])[0].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            answer is None
            or form.get("grant_type") != ["authorization_code"]
            or form.get("redirect_uri") != [answer.redirect_uri]
            or challenge != answer.challenge
        ):
            return 400, {"error": "invalid_grant"}
        tokens = {"access_token": answer.access_token, "token_type": "Bearer", "expires_in": 300}
        return 200, tokens | ({"id_token": answer.id_token} if answer.id_token else {})


@contextmanager
def running() -> Iterator[Keycloak]:
    """Serve a realm on loopback."""
    realm = Keycloak()

    class Handler(BaseHTTPRequestHandler):
        paths: ClassVar = "/realms/theddt/protocol/openid-connect/"

        def do_GET(self) -> None:
            if self.path == f"{self.paths}certs" and "certs" not in realm.fails:
                self._send(200, json.loads(realm.signer.jwks))
            else:
                self._send(503, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if self.path != f"{self.paths}token" or "token" in realm.fails:
                self._send(503, {})
            else:
                field = self.headers.get("Authorization", "")
                self._send(*realm.exchange(field, parse_qs(body)))

        def _send(self, status: int, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    realm.url = f"http://127.0.0.1:{server.server_port}/realms/theddt"
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield realm
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
