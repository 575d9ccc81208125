"""Keys in sealed files: ``<key id>.key``, and ``<key id>.certificate`` once activated.

``keystore.check`` is a sealed constant that tells a wrong key-encryption key, which stops the
start, from one damaged file, which makes only that key unusable.

While the key-encryption key is changed, opening the keystore takes both, and seals again under the
next one every file that the present one opens. That can be cut off anywhere and done again, as long
as both are kept.
"""

import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import cast
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from pkakey_signers import algorithms
from pkakey_signers.algorithms import Algorithm, SigningKey
from pkakey_signers.errors import SignerRefusal, SignerRefused, StartRefused
from pkakey_signers.keystore import HeldKey
from pkakey_signers.protocol import Purpose
from pkakey_signers.sealing import (
    MAX_SEALED_BYTES,
    SealBroken,
    seal,
    sync_directory,
    unseal,
    write_atomically,
)
from pkakey_signers.secret_files import refuse_open_modes

MAX_KEYS = 1000
"""More than any platform of ours has; a client gone wild must not fill the disk."""

_CHECK_NAME = "keystore.check"
_CHECK_FIELDS = {"content": "check"}
_CHECK_SECRET = b"theDDT keystore"


class SoftwareKeystore:
    """The ``Keystore`` of sealed files. Opening it unseals every key into memory.

    With ``next_key_encryption_key`` the files are sealed again under that one first.
    """

    def __init__(
        self,
        folder: Path,
        key_encryption_key: bytes,
        next_key_encryption_key: bytes | None = None,
    ) -> None:
        self._folder = folder
        self._key_encryption_key = key_encryption_key
        self._lock = threading.Lock()
        self._keys: dict[UUID, HeldKey] = {}
        self._damaged: dict[UUID, str] = {}
        self._open_folder()
        if next_key_encryption_key is not None:
            self._seal_again(next_key_encryption_key)
            self._key_encryption_key = next_key_encryption_key
        self._check_key_encryption_key()
        self._load()

    def get(self, key_id: UUID) -> HeldKey:
        """Return the key; raise ``key.unknown`` or ``key.damaged``."""
        key = self._keys.get(key_id)
        if key is not None:
            return key
        if key_id in self._damaged:
            raise SignerRefused(
                SignerRefusal.KEY_DAMAGED,
                f"The key {key_id} cannot be used: {self._damaged[key_id]} "
                "Restore its files from a backup and restart the signer.",
            )
        raise SignerRefused(SignerRefusal.KEY_UNKNOWN, f"The signer holds no key {key_id}.")

    def held_keys(self) -> Collection[HeldKey]:
        """Return every usable key."""
        return list(self._keys.values())

    def damaged(self) -> Collection[UUID]:
        """Return the ids of keys that are there but cannot be used."""
        return list(self._damaged)

    def generate(self, key_id: UUID, algorithm: Algorithm, purpose: Purpose) -> HeldKey:
        """Return the key of this id, made and sealed now when there is none."""
        with self._lock:
            if key_id in self._keys or key_id in self._damaged:
                key = self.get(key_id)
                if (key.algorithm, key.purpose) != (algorithm, purpose):
                    raise SignerRefused(
                        SignerRefusal.KEY_DIFFERS,
                        f"The key {key_id} exists as {key.algorithm} for {key.purpose}; "
                        f"{algorithm} for {purpose} was asked. Choose another key_id.",
                    )
                return key
            if len(self._keys) + len(self._damaged) >= MAX_KEYS:
                raise SignerRefused(
                    SignerRefusal.KEYSTORE_FULL, f"The signer holds {MAX_KEYS} keys, its limit."
                )
            private_key = algorithms.generate(algorithm)
            key = _held(key_id, algorithm, purpose, private_key)
            secret = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            self._write(f"{key_id}.key", _key_fields(key), secret, replace=False)
            self._keys[key_id] = key
            return key

    def record_certificate(self, key_id: UUID, certificate: x509.Certificate) -> HeldKey:
        """Seal the certificate beside the key and return the key with it."""
        with self._lock:
            key = self.get(key_id)
            octets = certificate.public_bytes(Encoding.DER)
            fields = {"content": "certificate", "key_id": str(key_id)}
            self._write(f"{key_id}.certificate", fields, octets, replace=True)
            self._keys[key_id] = replace(key, certificate=certificate)
            return self._keys[key_id]

    def _write(self, name: str, fields: dict[str, str], secret: bytes, *, replace: bool) -> None:
        try:
            octets = seal(fields, secret, self._key_encryption_key)
            write_atomically(self._folder / name, octets, replace=replace)
        except OSError as error:
            raise SignerRefused(
                SignerRefusal.KEYSTORE_UNWRITABLE,
                f"The keystore cannot be written ({error.strerror}); make room and ask again.",
            ) from None

    def _open_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            refuse_open_modes(self._folder, self._folder.stat(), "keystore folder")
            for leftover in self._folder.glob(".*"):
                # A crash during ``write_atomically`` left it; it was never part of the keystore.
                leftover.unlink()
            sync_directory(self._folder)
        except OSError as error:
            raise StartRefused(
                f"The keystore folder {self._folder} cannot be used ({error.strerror})."
            ) from None

    def _seal_again(self, next_key: bytes) -> None:
        check = self._folder / _CHECK_NAME
        if not check.exists():
            # New, or not whole: what comes next tells.
            return
        # First: with a wrong pair nothing may be written.
        if self._sealed_again(check, "keystore check file", next_key) is None:
            raise StartRefused(
                f"Neither the key-encryption key nor the next one opens the keystore "
                f"{self._folder}. Restore the key-encryption key that belongs to it."
            )
        files = [*self._folder.glob("*.key"), *self._folder.glob("*.certificate"), check]
        for path in files:
            # A file that opens under neither stays as it is, and is reported as damaged.
            octets = self._sealed_again(path, "sealed file", next_key)
            if octets:
                try:
                    write_atomically(path, octets, replace=True)
                except OSError as error:
                    raise StartRefused(
                        f"The keystore {self._folder} cannot be written ({error.strerror}); make "
                        "room. Until then keep both key-encryption keys."
                    ) from None

    def _sealed_again(self, path: Path, what: str, next_key: bytes) -> bytes | None:
        """Return the octets under the next key, none when they are so already, None if damaged."""
        try:
            octets = self._read(path, what)
        except SealBroken:
            return None
        with suppress(SealBroken):
            unseal(octets, {}, next_key)
            return b""
        try:
            fields, secret = unseal(octets, {}, self._key_encryption_key)
        except SealBroken:
            return None
        return seal(fields, secret, next_key)

    def _check_key_encryption_key(self) -> None:
        path = self._folder / _CHECK_NAME
        if not path.exists():
            if any(self._folder.glob("*.key")):
                raise StartRefused(
                    f"The keystore {self._folder} has keys but no {_CHECK_NAME}; restore the whole "
                    "folder from one backup."
                )
            octets = seal(_CHECK_FIELDS, _CHECK_SECRET, self._key_encryption_key)
            try:
                write_atomically(path, octets, replace=False)
            except OSError as error:
                raise StartRefused(
                    f"The keystore folder {self._folder} cannot be written ({error.strerror})."
                ) from None
        try:
            _, secret = unseal(
                self._read(path, "keystore check file"), _CHECK_FIELDS, self._key_encryption_key
            )
        except SealBroken as error:
            raise StartRefused(
                f"The key-encryption key does not open the keystore {self._folder} "
                f"({_CHECK_NAME}: {error}) Restore the key-encryption key that belongs to it."
            ) from None
        if secret != _CHECK_SECRET:
            raise StartRefused(f"{path} is not this program's; restore it from a backup.")

    def _read(self, path: Path, what: str) -> bytes:
        try:
            status = path.stat()
            refuse_open_modes(path, status, what)
            if status.st_size > MAX_SEALED_BYTES:
                raise SealBroken("The file is too long.")
            return path.read_bytes()
        except OSError as error:
            raise StartRefused(f"The {what} {path} cannot be read ({error.strerror}).") from None

    def _load(self) -> None:
        for path in sorted(self._folder.glob("*.key")):
            with suppress(ValueError):
                self._load_key(UUID(path.stem), path)
        for path in sorted(self._folder.glob("*.certificate")):
            with suppress(ValueError):
                self._load_certificate(UUID(path.stem), path)

    def _load_key(self, key_id: UUID, path: Path) -> None:
        try:
            fields, secret = unseal(
                self._read(path, "key file"),
                {"content": "key", "key_id": str(key_id)},
                self._key_encryption_key,
            )
            key = _parse_key(key_id, fields, secret)
        except SealBroken as error:
            self._damaged[key_id] = str(error)
        except (ValueError, TypeError):
            self._damaged[key_id] = "The sealed file does not hold a key."
        else:
            self._keys[key_id] = key

    def _load_certificate(self, key_id: UUID, path: Path) -> None:
        key = self._keys.get(key_id)
        if key is None:
            return
        try:
            _, octets = unseal(
                self._read(path, "certificate file"),
                {"content": "certificate", "key_id": str(key_id)},
                self._key_encryption_key,
            )
        except SealBroken as error:
            # Without its certificate an authority has no rules, so its key must rest.
            del self._keys[key_id]
            self._damaged[key_id] = f"Its certificate file is damaged. {error}"
        else:
            certificate = x509.load_der_x509_certificate(octets)
            self._keys[key_id] = replace(key, certificate=certificate)


def _parse_key(key_id: UUID, fields: Mapping[str, str], secret: bytes) -> HeldKey:
    private_key = load_der_private_key(secret, password=None)
    algorithm = algorithms.algorithm_of(private_key)
    if algorithm is None or fields.get("algorithm") != algorithm:
        raise SealBroken("The key is not of the algorithm that its file names.")
    purpose = Purpose(fields.get("purpose", ""))
    return _held(key_id, algorithm, purpose, cast("SigningKey", private_key))


def _held(key_id: UUID, algorithm: Algorithm, purpose: Purpose, private_key: SigningKey) -> HeldKey:
    def sign(octets: bytes, /) -> bytes:
        return algorithms.sign(private_key, octets)

    return HeldKey(key_id, algorithm, purpose, algorithms.public_key_der(private_key), sign)


def _key_fields(key: HeldKey) -> dict[str, str]:
    return {
        "content": "key",
        "key_id": str(key.key_id),
        "algorithm": str(key.algorithm),
        "purpose": str(key.purpose),
    }
