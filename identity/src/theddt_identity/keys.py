"""An issuer's public keys (JWK Set, RFC 7517): fetched bounded, remembered, renewed.

A source that is away costs nothing for `STALE_SECONDS`; after that nothing is checked any more,
which refuses every caller (`KeysUnavailable`): a key that was withdrawn meanwhile must not count.
"""

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from threading import Lock
from typing import Any, Final, Protocol, cast
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from theddt_identity.errors import KeysUnavailable

PublicKey = RSAPublicKey | EllipticCurvePublicKey

MAX_SET_BYTES: Final = 256 * 1024
MAX_KEYS: Final = 32
FETCH_SECONDS: Final = 3.0
FRESH_SECONDS: Final = 300.0
"""How long a set is used without asking again."""
STALE_SECONDS: Final = 3600.0
"""How long a set is used while its source cannot be reached."""
RETRY_SECONDS: Final = 10.0
"""The least time between two fetches, whatever callers send: unknown keys are cheap to name."""

_RSA_BITS: Final = range(2048, 8193)
_KEY_TYPES: Final = {"RSA": ("RS256", "PS256"), "EC": ("ES256",)}


class PublicKeys(Protocol):
    """Where a verifier looks a key up."""

    def find(self, key_id: str, algorithm: str) -> PublicKey | None:
        """Return the key for this `kid` and algorithm, or None when the issuer has no such key.

        Raises `KeysUnavailable`.
        """


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one JWK set; also what a service that signs itself checks its own tokens by."""

    keys: Mapping[tuple[str, str], PublicKey]

    def find(self, key_id: str, algorithm: str) -> PublicKey | None:
        """Return the key for this `kid` and algorithm."""
        return self.keys.get((key_id, algorithm))

    @classmethod
    def of(cls, document: bytes) -> "KeySet":
        """Read a JWK set; raises ValueError for what is none.

        Keys that cannot check signatures here are passed over: encryption keys, symmetric ones,
        other curves, RSA outside of 2,048 to 8,192 bits, keys without a `kid`.
        """
        if len(document) > MAX_SET_BYTES:
            raise ValueError(f"The key set has more than {MAX_SET_BYTES} bytes.")
        try:
            entries = json.loads(document)["keys"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError("The key set is no JSON object with `keys`.") from None
        if not isinstance(entries, list) or len(entries) > MAX_KEYS:
            raise ValueError(f"The key set's `keys` is no list of at most {MAX_KEYS} keys.")
        found: dict[tuple[str, str], PublicKey] = {}
        for entry in entries:
            for algorithm in _algorithms_of(entry):
                key = _public_key(entry, algorithm)
                if key is not None:
                    found[(entry["kid"], algorithm)] = key
        return cls(found)


def _algorithms_of(entry: object) -> tuple[str, ...]:
    """Return the algorithms that this JWK may be used with."""
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str):
        return ()
    if entry.get("use", "sig") != "sig" or not _may_verify(entry.get("key_ops")):
        return ()
    possible = _KEY_TYPES.get(str(entry.get("kty")), ())
    named = entry.get("alg")
    return possible if named is None else tuple(one for one in possible if one == named)


def _may_verify(operations: object) -> bool:
    return operations is None or (isinstance(operations, list) and "verify" in operations)


def _public_key(entry: dict[str, Any], algorithm: str) -> PublicKey | None:
    try:
        key = jwt.PyJWK(entry, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
        return None
    if isinstance(key, RSAPublicKey):
        return key if key.key_size in _RSA_BITS else None
    if isinstance(key, EllipticCurvePublicKey):
        return key if isinstance(key.curve, SECP256R1) else None
    return None  # A private key in a public set is nothing that we would use.


Fetch = Callable[[], bytes]


class RemoteKeys:
    """Keys from a source that may change and may be away; safe for threads.

    One thread renews at a time; the others go on with the keys that are known.
    """

    def __init__(
        self, issuer: str, fetch: Fetch, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._lock = Lock()
        self._known: KeySet | None = None
        self._fetched = 0.0
        self._asked: float | None = None

    def find(self, key_id: str, algorithm: str) -> PublicKey | None:
        """Return the key, asking the source anew when the set is old or lacks it."""
        known = self._known
        if known is not None and self._age() < FRESH_SECONDS:
            key = known.find(key_id, algorithm)
            if key is not None:
                return key
        key = self._renew().find(key_id, algorithm)
        if key is None and self._asked is not None and self._asked > self._fetched:
            # The last question went unanswered, so nobody knows whether there is such a key.
            raise KeysUnavailable(self._issuer)
        return key

    def _age(self) -> float:
        return self._clock() - self._fetched

    def _usable(self) -> KeySet | None:
        return self._known if self._known is not None and self._age() < STALE_SECONDS else None

    def _renew(self) -> KeySet:
        usable = self._usable()
        # Without any keys everybody waits for the one fetch; with old ones nobody does.
        if not self._lock.acquire(blocking=usable is None):
            return cast("KeySet", usable)
        try:
            now = self._clock()
            if self._asked is None or now - self._asked >= RETRY_SECONDS:
                self._asked = now
                try:
                    self._known = KeySet.of(self._fetch())
                    self._fetched = now
                except (OSError, ValueError, HTTPException):
                    pass  # What is known is used until it is too old.
            usable = self._usable()
        finally:
            self._lock.release()
        if usable is None:
            raise KeysUnavailable(self._issuer)
        return usable


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key set stands where it was said to stand."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow nothing: urllib then raises for the status."""


def keys_at(issuer: str, url: str) -> RemoteKeys:
    """Return the keys behind a JWKS address (http or https, no redirects, no proxy).

    Raises ValueError for another kind of address.
    """
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise ValueError(f"The address of the keys is no http or https URL: {url[:200]!r}.")
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))

    def fetch() -> bytes:
        request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310  # Checked above.
        with opener.open(request, timeout=FETCH_SECONDS) as answer:
            return _read(answer)

    return RemoteKeys(issuer, fetch)


def _read(answer: HTTPResponse) -> bytes:
    """Read the body up to the limit; a source that drips is given up, as one that is silent."""
    until = time.monotonic() + FETCH_SECONDS
    body = b""
    while len(body) <= MAX_SET_BYTES and (part := answer.read1(64 * 1024)):
        body += part
        if time.monotonic() > until:
            raise TimeoutError
    return body


def keys_in_file(issuer: str, path: Path) -> RemoteKeys:
    """Return the keys in a JWKS file, read again like an address when it is due."""

    def fetch() -> bytes:
        with path.open("rb") as file:
            return file.read(MAX_SET_BYTES + 1)

    return RemoteKeys(issuer, fetch)
