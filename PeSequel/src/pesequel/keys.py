"""`python -m pesequel.keys`: keep the issuers' public keys where PostgREST reads them.

PostgREST takes a key set from a file or from its own settings in the database, and never from an
address. So this fetches the key sets, joins them, writes them as the setting `pgrst.jwt_secret` of
the role that PostgREST signs in as (a role may change its own), and tells PostgREST to read again.

| variable | |
| --- | --- |
| PESEQUEL_KEYS_DATABASE_URL | the database, as PostgREST's own role |
| PESEQUEL_KEYS_DATABASE_PASSWORD_FILE | the file with that role's password |
| PESEQUEL_KEYS_URLS | addresses of JWK sets (RFC 7517 section 5), separated by blanks |
| PESEQUEL_KEYS_SECONDS | how often to look; 0 looks once and ends |
| PESEQUEL_KEYS_STAMP | a file that is touched whenever the database has the keys |
"""

import json
import os
import signal
import sys
import threading
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pesequel.errors import TroubleError

SETTING: Final = "pgrst.jwt_secret"
MOST_OCTETS: Final = 256 * 1024
SECONDS_TO_WAIT: Final = 10.0
_RETRY_SECONDS: Final = 3.0
# What each kind of public key is made of (RFC 7518 section 6); private parts and shared secrets
# ("oct") have no place here: with one, whoever reads it could make tokens.
_PUBLIC_PARTS: Final = {
    "RSA": ("n", "e"),
    "EC": ("crv", "x", "y"),
    "OKP": ("crv", "x"),
}


def signature_keys(octets: bytes, source: str) -> list[dict[str, str]]:
    """Return the public signature keys of a JWK set, reduced to their public parts.

    Keys for other uses are left out. Raises TroubleError for what is no key set or holds none.
    """
    try:
        keys = json.loads(octets)["keys"]
        found = [key for key in map(_public_key, keys) if key is not None]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise TroubleError(f"{source} did not answer with a JWK set (RFC 7517).") from error
    if not found:
        raise TroubleError(f"{source} has no public key for signatures.")
    return found


def _public_key(key: dict[str, Any]) -> dict[str, str] | None:
    parts = _PUBLIC_PARTS.get(key["kty"])
    if parts is None or key.get("use", "sig") != "sig":
        return None
    names = ("kty", *parts, "kid", "alg", "use")
    public = {name: key[name] for name in names if name in key}
    if not all(isinstance(public.get(name), str) for name in parts):
        raise TypeError("A key lacks one of its parts.")
    if not all(isinstance(value, str) for value in public.values()):
        raise TypeError("A key's member is no text.")
    return public


def fetch(address: str) -> bytes:
    """Return what the address answers, at most MOST_OCTETS; raises TroubleError."""
    if not address.startswith(("http://", "https://")):
        raise TroubleError(f"PESEQUEL_KEYS_URLS holds '{address}', which is no http(s) address.")
    try:
        with urllib.request.urlopen(address, timeout=SECONDS_TO_WAIT) as answer:  # noqa: S310
            octets: bytes = answer.read(MOST_OCTETS + 1)
    except (OSError, ValueError) as error:
        raise TroubleError(f"The keys at {address} cannot be fetched: {error}.") from error
    if len(octets) > MOST_OCTETS:
        raise TroubleError(f"{address} answers with more than {MOST_OCTETS} octets.")
    return octets


def store(database_url: str, keys: Sequence[dict[str, str]]) -> bool:
    """Write the keys as PostgREST's setting and tell it; return whether they were new.

    Raises TroubleError when the database does not take them.
    """
    text = json.dumps({"keys": sorted(keys, key=lambda key: key.get("kid", ""))}, sort_keys=True)
    try:
        with psycopg.connect(database_url, connect_timeout=5) as connection:
            row = connection.execute(
                "SELECT s.setconfig FROM pg_db_role_setting s"
                " JOIN pg_database d ON d.oid = s.setdatabase JOIN pg_roles r ON r.oid = s.setrole"
                " WHERE d.datname = current_database() AND r.rolname = current_user"
            ).fetchone()
            if row is not None and f"{SETTING}={text}" in row[0]:
                return False
            connection.execute(
                sql.SQL("ALTER ROLE {} IN DATABASE {} SET {} = {}").format(
                    sql.Identifier(connection.info.user),
                    sql.Identifier(connection.info.dbname),
                    sql.SQL(SETTING),
                    sql.Literal(text),
                )
            )
            connection.execute("NOTIFY pgrst, 'reload config'")
    except psycopg.Error as error:
        raise TroubleError(f"The database did not take the keys: {error}") from error
    return True


def refresh(database_url: str, addresses: Sequence[str]) -> bool:
    """Fetch from every address and store; raises TroubleError, and then changes nothing."""
    keys = [key for address in addresses for key in signature_keys(fetch(address), address)]
    return store(database_url, keys)


def main() -> int:
    """Refresh until SIGTERM; a round that fails is told and tried again."""
    try:
        database_url, addresses, seconds, stamp = _environment()
    except TroubleError as error:
        sys.stderr.write(f"pesequel-keys: {error}\n")
        return 1
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while True:
        wait = seconds
        try:
            if refresh(database_url, addresses):
                sys.stderr.write("pesequel-keys: PostgREST has new keys.\n")
            stamp.touch()
        except TroubleError as error:
            sys.stderr.write(f"pesequel-keys: {error} The keys stay as they are.\n")
            if seconds == 0:
                return 1
            wait = min(seconds, _RETRY_SECONDS)
        if seconds == 0 or stopped.wait(wait):
            return 0


def _environment() -> tuple[str, list[str], float, Path]:
    url = os.environ.get("PESEQUEL_KEYS_DATABASE_URL", "")
    addresses = os.environ.get("PESEQUEL_KEYS_URLS", "").split()
    if not url or not addresses:
        raise TroubleError("PESEQUEL_KEYS_DATABASE_URL and PESEQUEL_KEYS_URLS have to be set.")
    if file := os.environ.get("PESEQUEL_KEYS_DATABASE_PASSWORD_FILE", ""):
        try:
            password = Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise TroubleError(f"The secret {file} cannot be read: {error.strerror}.") from error
        url = make_conninfo("", **{**conninfo_to_dict(url), "password": password})
    text = os.environ.get("PESEQUEL_KEYS_SECONDS", "60")
    if not text.isdecimal():
        raise TroubleError(f"PESEQUEL_KEYS_SECONDS is '{text}'; it is a whole number of seconds.")
    stamp = os.environ.get("PESEQUEL_KEYS_STAMP", "/tmp/keys-are-kept")  # noqa: S108  # A tmpfs.
    return url, addresses, float(text), Path(stamp)


if __name__ == "__main__":
    sys.exit(main())
