"""The operator's list of public keys to refuse: the file that `PKAKEY_WEAK_KEYS_FILE` names."""

from pathlib import Path

from pkakey_engine.keys import KnownCompromisedKeys

__all__ = ["MAX_OCTETS", "read_weak_keys"]

# Some 760,000 lines of openssl-blacklist. Every process of PKaKey holds the list in memory.
MAX_OCTETS = 16 * 1024 * 1024


def read_weak_keys(file: Path | None) -> KnownCompromisedKeys:
    """Return the keys that the file lists, none without a file.

    The lines are those of `KnownCompromisedKeys.parse`. A file that cannot be read, is too large,
    lists nothing or has a line of another form raises ValueError: half a list protects nobody.
    """
    if file is None:
        return KnownCompromisedKeys()
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_OCTETS + 1)
    except OSError as error:
        raise _invalid(file, f"It cannot be read ({error.strerror}).") from None
    if len(data) > MAX_OCTETS:
        raise _invalid(file, f"It is larger than {MAX_OCTETS:,} octets.")
    try:
        listed = KnownCompromisedKeys.parse(data.decode("ascii").splitlines())
    except UnicodeDecodeError as error:
        raise _invalid(file, f"Octet {error.start} is not ASCII.") from None
    except ValueError as error:
        raise _invalid(file, str(error)) from None
    if not listed:
        raise _invalid(file, "It lists no key.")
    return listed


def _invalid(file: Path, what: str) -> ValueError:
    return ValueError(
        f"PKAKEY_WEAK_KEYS_FILE names {file}, which is no list of weak keys. {what} Give the lines "
        "of Debian's openssl-blacklist (20 hex digits each) or SHA-256 digests of public keys (32 "
        "or 64 hex digits), or unset the variable."
    )
