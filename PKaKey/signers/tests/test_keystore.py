"""Sealed keys open only unchanged, under their own key, in their own place."""

import base64
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pkakey_signers.algorithms import Algorithm, is_signed_by
from pkakey_signers.errors import SignerRefusal, SignerRefused, StartRefused
from pkakey_signers.protocol import Purpose
from pkakey_signers.sealing import SealBroken, seal, unseal, write_atomically
from pkakey_signers.secret_files import read_key_encryption_key, read_secret
from pkakey_signers.software_keystore import SoftwareKeystore

KEK = secrets.token_bytes(32)
KEY_ID = UUID("6b2c1a40-0d53-4a53-9c1f-000000000001")
FIELDS = {"content": "key", "key_id": str(KEY_ID), "algorithm": "ecdsa-p256"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keystore"


@pytest.fixture
def key_file(folder: Path) -> Path:
    SoftwareKeystore(folder, KEK).generate(KEY_ID, Algorithm.ECDSA_P256, Purpose.AUTHORITY)
    return folder / f"{KEY_ID}.key"


def test_every_changed_bit_of_a_sealed_file_breaks_the_seal() -> None:
    sealed = seal(FIELDS, b"secret", KEK)
    assert unseal(sealed, FIELDS, KEK) == (FIELDS, b"secret")
    for place in range(len(sealed)):
        for bit in (0x01, 0x20, 0x80):
            changed = bytearray(sealed)
            changed[place] ^= bit
            with pytest.raises(SealBroken):
                unseal(bytes(changed), {}, KEK)


def test_every_cut_of_a_sealed_file_breaks_the_seal() -> None:
    sealed = seal(FIELDS, b"secret", KEK)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            unseal(sealed[:length], {}, KEK)
    with pytest.raises(SealBroken):
        unseal(sealed + b"\n", {}, KEK)


@pytest.mark.parametrize("field", ["key_id", "algorithm", "content", "version", "format"])
def test_each_clear_field_is_bound_to_the_secret(field: str) -> None:
    document = json.loads(seal(FIELDS, b"secret", KEK))
    document[field] = 2 if field == "version" else "other"
    changed = json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    with pytest.raises(SealBroken):
        unseal(changed, {}, KEK)


def test_another_key_encryption_key_does_not_unseal() -> None:
    with pytest.raises(SealBroken):
        unseal(seal(FIELDS, b"secret", KEK), {}, secrets.token_bytes(32))


def test_a_file_sealed_for_another_key_is_refused() -> None:
    with pytest.raises(SealBroken):
        unseal(seal(FIELDS, b"secret", KEK), {"key_id": str(uuid4())}, KEK)


def test_two_seals_of_one_secret_share_nothing() -> None:
    first, second = (json.loads(seal(FIELDS, b"secret", KEK)) for _ in range(2))
    assert all(first[name] != second[name] for name in ("salt", "nonce", "ciphertext"))


@pytest.mark.parametrize("algorithm", [a for a in Algorithm if a != Algorithm.RSA_4096])
def test_a_key_survives_a_restart_and_signs(folder: Path, algorithm: Algorithm) -> None:
    made = SoftwareKeystore(folder, KEK).generate(KEY_ID, algorithm, Purpose.AUTHORITY)
    found = SoftwareKeystore(folder, KEK).get(KEY_ID)
    assert (found.algorithm, found.purpose) == (algorithm, Purpose.AUTHORITY)
    assert found.public_key_der == made.public_key_der
    assert is_signed_by(made.public_key_der, found.sign(b"octets"), b"octets")
    assert not is_signed_by(made.public_key_der, found.sign(b"octets"), b"others")


def test_no_file_holds_the_key_in_clear_and_none_is_open_to_others(
    folder: Path, key_file: Path
) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert b"PRIVATE" not in path.read_bytes()
    document = json.loads(key_file.read_bytes())
    assert base64.b64decode(document["ciphertext"])[:1] != b"\x30"


def test_generating_the_same_key_again_gives_the_same_key(folder: Path) -> None:
    keystore = SoftwareKeystore(folder, KEK)
    first = keystore.generate(KEY_ID, Algorithm.ED25519, Purpose.AUTHORITY)
    assert keystore.generate(KEY_ID, Algorithm.ED25519, Purpose.AUTHORITY) is first


@pytest.mark.parametrize(
    ("algorithm", "purpose"),
    [
        (Algorithm.ECDSA_P384, Purpose.AUTHORITY),
        (Algorithm.ECDSA_P256, Purpose.OCSP_RESPONDER),
    ],
)
def test_a_key_is_never_made_again_as_another(
    folder: Path, key_file: Path, algorithm: Algorithm, purpose: Purpose
) -> None:
    before = key_file.read_bytes()
    with pytest.raises(SignerRefused) as caught:
        SoftwareKeystore(folder, KEK).generate(KEY_ID, algorithm, purpose)
    assert caught.value.code is SignerRefusal.KEY_DIFFERS
    assert key_file.read_bytes() == before


def test_an_unknown_key_is_refused(folder: Path) -> None:
    with pytest.raises(SignerRefused) as caught:
        SoftwareKeystore(folder, KEK).get(uuid4())
    assert caught.value.code is SignerRefusal.KEY_UNKNOWN


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other"])
def test_a_damaged_key_is_unusable_and_the_others_are_not(
    folder: Path, key_file: Path, damage: str
) -> None:
    other = uuid4()
    SoftwareKeystore(folder, KEK).generate(other, Algorithm.ED25519, Purpose.AUTHORITY)
    octets = key_file.read_bytes()
    key_file.write_bytes(
        {
            "flip": octets[:200] + bytes((octets[200] ^ 1,)) + octets[201:],
            "cut": octets[:-5],
            "empty": b"",
            "other": (folder / f"{other}.key").read_bytes(),
        }[damage]
    )
    keystore = SoftwareKeystore(folder, KEK)
    assert list(keystore.damaged()) == [KEY_ID]
    keystore.get(other)
    with pytest.raises(SignerRefused) as caught:
        keystore.get(KEY_ID)
    assert caught.value.code is SignerRefusal.KEY_DAMAGED
    with pytest.raises(SignerRefused) as caught:
        keystore.generate(KEY_ID, Algorithm.ECDSA_P256, Purpose.AUTHORITY)
    assert caught.value.code is SignerRefusal.KEY_DAMAGED


def test_a_wrong_key_encryption_key_stops_the_start_and_says_so(
    folder: Path, key_file: Path
) -> None:
    with pytest.raises(StartRefused, match="does not open the keystore"):
        SoftwareKeystore(folder, secrets.token_bytes(32))


def test_keys_without_the_check_file_stop_the_start(folder: Path, key_file: Path) -> None:
    (folder / "keystore.check").unlink()
    with pytest.raises(StartRefused, match="one backup"):
        SoftwareKeystore(folder, KEK)


@pytest.mark.parametrize("what", ["folder", "key"])
def test_a_keystore_open_to_others_stops_the_start(folder: Path, key_file: Path, what: str) -> None:
    (folder if what == "folder" else key_file).chmod(0o755 if what == "folder" else 0o640)
    with pytest.raises(StartRefused, match="chmod"):
        SoftwareKeystore(folder, KEK)


def test_what_a_crash_left_half_written_is_removed(folder: Path, key_file: Path) -> None:
    (folder / f".{uuid4()}.key.1234").write_bytes(b"half")
    SoftwareKeystore(folder, KEK)
    assert not list(folder.glob(".*"))


def test_an_atomic_write_never_replaces_unasked(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"first", replace=False)
    with pytest.raises(FileExistsError):
        write_atomically(path, b"second", replace=False)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def secret_file(tmp_path: Path) -> Callable[[bytes], Path]:
    def make(octets: bytes) -> Path:
        path = tmp_path / "secret"
        path.touch(mode=0o600)
        path.write_bytes(octets)
        return path

    return make


def test_a_key_encryption_key_is_read_from_hex(secret_file: Callable[[bytes], Path]) -> None:
    assert read_key_encryption_key(secret_file(KEK.hex().encode() + b"\n")) == KEK


@pytest.mark.parametrize(
    ("octets", "sentence"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b" \n", "is empty", id="white space"),
        pytest.param(b"ab" * 31, "has 31 octets", id="one octet short"),
        pytest.param(KEK, "not hex", id="raw octets"),
        pytest.param(b"x" * 64, "not hex", id="no hex digits"),
        pytest.param(b"00" * 32, "not random", id="all zero"),
        pytest.param(b"ab" * 4096, "longer than", id="too long"),
    ],
)
def test_a_key_encryption_key_that_is_none_is_refused(
    secret_file: Callable[[bytes], Path], octets: bytes, sentence: str
) -> None:
    with pytest.raises(StartRefused, match=sentence):
        read_key_encryption_key(secret_file(octets))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_a_secret_open_to_others_is_refused(
    secret_file: Callable[[bytes], Path], mode: int
) -> None:
    path = secret_file(KEK.hex().encode())
    path.chmod(mode)
    with pytest.raises(StartRefused, match="chmod 600"):
        read_secret(path, "secret")


def test_a_secret_that_is_missing_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="cannot be read"):
        read_secret(tmp_path / "nothing", "secret")
    with pytest.raises(StartRefused):
        read_secret(tmp_path, "secret")
