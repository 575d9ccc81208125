"""An issuer in memory for tests: signs any claims, also wrong ones. Not for production."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from theddt_identity.keys import KeySet
from theddt_identity.verifying import TrustedIssuer

ISSUER: Final = "https://keycloak.theddt.localhost:8443/realms/theddt"


class Issuer:
    """Signs tokens with one key; `keys` and `jwks` are its public half."""

    def __init__(
        self, issuer: str = ISSUER, *, key_id: str = "test-key", algorithm: str = "RS256"
    ) -> None:
        self.issuer = issuer
        self.key_id = key_id
        self.algorithm = algorithm
        self.private_key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm == "ES256"
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )

    @property
    def jwks(self) -> bytes:
        """The JWK set of the public key."""
        kind = jwt.get_algorithm_by_name(self.algorithm)
        entry = json.loads(kind.to_jwk(self.private_key.public_key()))
        entry |= {"kid": self.key_id, "use": "sig", "alg": self.algorithm}
        entry.pop("key_ops", None)
        return json.dumps({"keys": [entry]}).encode()

    @property
    def trusted(self) -> TrustedIssuer:
        """This issuer with its keys, for a `Verifier`."""
        return TrustedIssuer(self.issuer, KeySet.of(self.jwks))

    def claims(self, *, now: datetime, audience: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the claims of a good access token; a value of None leaves a claim out."""
        claims = {
            "iss": self.issuer,
            "aud": audience,
            "sub": "4b1c7d0e",
            "preferred_username": "ada",
            "name": "Ada Lovelace",
            "email": "ada@example.org",
            "roles": ["pki-requester"],
            "namespace": "default",
            "role": "web_user",
            "typ": "Bearer",
            "azp": "pkakey",
            "scope": "openid",
            "jti": "1f0e",
            "sid": "5e55",
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(minutes=5)).timestamp()),
        } | more
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, claims: Mapping[str, Any], *, header: Mapping[str, Any] | None = None) -> str:
        """Return a token of exactly these claims; `header` adds to `typ` and `kid`."""
        headers = {"kid": self.key_id, "typ": "JWT"} | dict(header or {})
        return jwt.encode(dict(claims), self.private_key, algorithm=self.algorithm, headers=headers)

    def token(self, *, now: datetime, audience: str, **more: Any) -> str:  # noqa: ANN401
        """Return a good access token, with `more` claims in place of the usual ones."""
        return self.sign(self.claims(now=now, audience=audience, **more))


def segment(value: object) -> str:
    """Return a value as a part of a token: base64url of its JSON (RFC 7515 section 2)."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


class JWKSServer:
    """What a loopback server answers with; tests change it while it runs."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked = 0
        self.url = ""


@contextmanager
def serving(body: bytes) -> Iterator[JWKSServer]:
    """Serve a JWK set on loopback."""
    state = JWKSServer(body)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked += 1
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/certs"
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
