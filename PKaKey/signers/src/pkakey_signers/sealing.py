"""Sealed files: AES-256-GCM under the key-encryption key, in a format that describes itself.

A sealed file is one JSON object in its canonical form and a newline. ``format``, ``version`` and
every other field but ``ciphertext`` are the additional authenticated data, so that no field can be
changed, moved to another file or taken from an older version. Each file has a random ``salt``; its
AES key is HKDF-SHA256 of the key-encryption key with it, so that no nonce is ever used twice with
one key.
"""

import base64
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT = "theDDT sealed file"
VERSION = 1
MAX_SEALED_BYTES = 256 * 1024

_SALT_BYTES = 32
_NONCE_BYTES = 12
_INFO = b"theDDT sealed file v1"


class SealBroken(Exception):  # noqa: N818  # Named by what happened.
    """The file was changed, cut, is of another version, or was sealed under another key."""


def seal(fields: Mapping[str, str], secret: bytes, key_encryption_key: bytes) -> bytes:
    """Return the sealed file's octets, with the fields in clear and ``secret`` encrypted."""
    salt = secrets.token_bytes(_SALT_BYTES)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    clear: dict[str, object] = {
        **fields,
        "format": FORMAT,
        "version": VERSION,
        "salt": _encode(salt),
        "nonce": _encode(nonce),
    }
    ciphertext = _cipher(key_encryption_key, salt).encrypt(nonce, secret, _canonical(clear))
    return _canonical({**clear, "ciphertext": _encode(ciphertext)}) + b"\n"


def unseal(
    octets: bytes, expected: Mapping[str, str], key_encryption_key: bytes
) -> tuple[Mapping[str, str], bytes]:
    """Return the file's own fields and its secret.

    Raises ``SealBroken`` unless the seal holds and each field in ``expected`` has that value.
    """
    try:
        document = json.loads(octets)
        if _canonical(document) + b"\n" != octets or document["format"] != FORMAT:
            raise SealBroken("The file is not in the sealed form.")
        if document["version"] != VERSION:
            raise SealBroken("The file was sealed by another version of the signer.")
        ciphertext = base64.b64decode(document.pop("ciphertext"), validate=True)
        salt = base64.b64decode(document["salt"], validate=True)
        nonce = base64.b64decode(document["nonce"], validate=True)
        secret = _cipher(key_encryption_key, salt).decrypt(nonce, ciphertext, _canonical(document))
    except InvalidTag:
        raise SealBroken(
            "The seal does not hold: the file was changed, or it was sealed under another key."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SealBroken("The file is not in the sealed form.") from None
    fields = {
        name: value
        for name, value in document.items()
        if name not in {"format", "version", "salt", "nonce"}
    }
    if any(fields.get(name) != value for name, value in expected.items()):
        raise SealBroken("The file is sealed for another key or purpose.")
    return fields, secret


def write_atomically(path: Path, octets: bytes, *, replace: bool) -> None:
    """Write the file (0600) so that after a crash it is there in whole or not at all.

    Raises ``FileExistsError`` when ``replace`` is false and the file is there.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123  # A descriptor, made with its mode.
            file.write(octets)
            file.flush()
            os.fsync(descriptor)
        if replace:
            temporary.replace(path)
        else:
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Bring the directory's entries to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cipher(key_encryption_key: bytes, salt: bytes) -> AESGCM:
    hkdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=_INFO)
    return AESGCM(hkdf.derive(key_encryption_key))


def _canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _encode(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
