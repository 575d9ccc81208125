"""The key that signs PKaKey's tokens: the one before checks them for as long as one may live."""

from datetime import datetime, timedelta

from ddt import secret_files
from ddt.native import token_keys
from ddt.native.token_keys import Key
from ddt.rotation.journal import NEXT, Journal

SECRET = secret_files.TOKEN_KEY
TOKEN_LIFE = timedelta(hours=24, minutes=1)
"""PKaKey's longest signed token (MAX_LIFE of its `jwt_tokens`), and what clocks may differ."""


def prepare(journal: Journal, *, now: datetime, at_once: bool) -> None:
    """Make the value to come: a new key, and those before it that tokens may still need."""
    begun = journal.begin(SECRET, secret_files.new_token_key)
    coming = token_keys.keys(begun, now)[0]
    kept = [] if at_once else _kept(journal, coming, now)
    _write(journal, coming, *kept)


def forget(journal: Journal, *, now: datetime) -> None:
    """End every key before the present one."""
    signing = token_keys.keys(secret_files.read(journal.folder, SECRET), now)[0]
    _write(journal, signing)
    journal.switch(SECRET)


def _write(journal: Journal, *keys: Key) -> None:
    # Without a last line's end: a secret of the containers has none.
    text = "".join(key.text() for key in keys).strip()
    secret_files.write_privately(journal.folder / f"{SECRET}{NEXT}", text)


def _kept(journal: Journal, coming: Key, now: datetime) -> list[Key]:
    present, *former = token_keys.keys(secret_files.read(journal.folder, SECRET), now)
    until = now + TOKEN_LIFE
    bounded = [Key(key.pem, min(key.until or until, until)) for key in former]
    return [key for key in (Key(present.pem, until), *bounded) if key.pem != coming.pem]
