"""Sessions in Redis, sealed with a key that only the browser's cookie holds; and signed cookies."""

import base64
import hashlib
import hmac
import json
import os
import time
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from redis import Redis
from redis.exceptions import LockError

COOKIE = "_oauth2_proxy"
_NONCE = 12


@dataclass
class Session:
    """Who is signed in, with the tokens."""

    user: str
    email: str
    preferred_username: str
    groups: list[str]
    id_token: str
    access_token: str
    refresh_token: str
    created_at: float
    expires_at: float


@dataclass(frozen=True)
class Ticket:
    """What the cookie holds: where the session is in Redis, and the key that opens it."""

    name: str
    secret: bytes

    @classmethod
    def new(cls) -> "Ticket":
        """Return a ticket that nobody can guess."""
        return cls(f"{COOKIE}-{os.urandom(16).hex()}", os.urandom(16))

    @classmethod
    def read(cls, text: str) -> "Ticket | None":
        """Return the ticket in a cookie's text."""
        name, _, secret = text.partition(".")
        try:
            return cls(name, base64.urlsafe_b64decode(secret)) if name.startswith(COOKIE) else None
        except ValueError:
            return None

    @property
    def text(self) -> str:
        """The ticket as a cookie holds it."""
        return f"{self.name}.{base64.urlsafe_b64encode(self.secret).decode()}"


class Store:
    """Sessions in Redis."""

    def __init__(self, redis: Redis, expire_seconds: int) -> None:
        self._redis = redis
        self._expire = expire_seconds

    def is_ready(self) -> bool:
        """Tell whether Redis answers."""
        return bool(self._redis.ping())

    def save(self, ticket: Ticket, session: Session) -> None:
        """Write the session, sealed."""
        nonce = os.urandom(_NONCE)
        plain = json.dumps(asdict(session)).encode()
        sealed = nonce + AESGCM(ticket.secret).encrypt(nonce, plain, ticket.name.encode())
        self._redis.set(ticket.name, sealed, ex=self._expire)

    def load(self, ticket: Ticket) -> Session | None:
        """Return the session, or None when there is none or the ticket does not open it."""
        sealed = self._redis.get(ticket.name)
        if not isinstance(sealed, bytes):
            return None
        try:
            plain = AESGCM(ticket.secret).decrypt(
                sealed[:_NONCE], sealed[_NONCE:], ticket.name.encode()
            )
        except (InvalidTag, ValueError):
            return None
        return Session(**json.loads(plain))

    def clear(self, ticket: Ticket) -> None:
        """Forget the session."""
        self._redis.delete(ticket.name)

    def lock(self, ticket: Ticket) -> Any:  # noqa: ANN401  # redis-py's lock has no public type.
        """Return a lock, so that one request refreshes and the others wait."""
        return self._redis.lock(f"{ticket.name}.lock", timeout=5, blocking_timeout=5)


LockFailed = LockError


class Signer:
    """Signs what a cookie holds, with the time: it can be neither made nor kept for ever."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, name: str, value: str) -> str:
        """Return the value with its time and signature."""
        text = base64.urlsafe_b64encode(value.encode()).decode()
        stamp = str(int(time.time()))
        return f"{text}|{stamp}|{self._mac(name, text, stamp)}"

    def open(self, name: str, signed: str, seconds: int) -> str | None:
        """Return the value when the signature is ours and not older than the seconds."""
        text, _, rest = signed.partition("|")
        stamp, _, mac = rest.partition("|")
        if not hmac.compare_digest(mac.encode(), self._mac(name, text, stamp).encode()):
            return None
        if not time.time() - seconds < int(stamp) < time.time() + 300:
            return None
        return base64.urlsafe_b64decode(text).decode()

    def _mac(self, name: str, text: str, stamp: str) -> str:
        data = f"{name}|{text}|{stamp}".encode()
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()

    def seal(self, plain: str) -> str:
        """Return the text encrypted."""
        nonce = os.urandom(_NONCE)
        sealed = nonce + AESGCM(self._key).encrypt(nonce, plain.encode(), None)
        return base64.urlsafe_b64encode(sealed).decode()

    def unseal(self, text: str) -> str | None:
        """Return the plain text, or None when it was not sealed here."""
        try:
            sealed = base64.urlsafe_b64decode(text)
            return AESGCM(self._key).decrypt(sealed[:_NONCE], sealed[_NONCE:], None).decode()
        except (InvalidTag, ValueError):
            return None
