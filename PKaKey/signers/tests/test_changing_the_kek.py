"""The key-encryption key is changed without losing a key, wherever it is cut off."""

import secrets
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pkakey_signers import check_keystore, software_keystore
from pkakey_signers.algorithms import Algorithm
from pkakey_signers.errors import StartRefused
from pkakey_signers.protocol import Purpose
from pkakey_signers.software_keystore import SoftwareKeystore

OLD, NEW, OTHER = (secrets.token_bytes(32) for _ in range(3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keystore"


@pytest.fixture
def public_keys(folder: Path) -> dict[UUID, bytes]:
    keystore = SoftwareKeystore(folder, OLD)
    made = [
        keystore.generate(uuid4(), algorithm, Purpose.AUTHORITY)
        for algorithm in (Algorithm.ECDSA_P256, Algorithm.ED25519, Algorithm.ECDSA_P384)
    ]
    return {key.key_id: key.public_key_der for key in made}


def held(keystore: SoftwareKeystore) -> dict[UUID, bytes]:
    return {key.key_id: key.public_key_der for key in keystore.held_keys()}


def test_every_key_opens_under_the_next_one_and_none_under_the_old(
    folder: Path, public_keys: dict[UUID, bytes]
) -> None:
    assert held(SoftwareKeystore(folder, OLD, NEW)) == public_keys
    assert held(SoftwareKeystore(folder, NEW)) == public_keys
    assert not any(check_keystore.opens(p, OLD) for p in check_keystore.sealed_files(folder))
    with pytest.raises(StartRefused, match="does not open"):
        SoftwareKeystore(folder, OLD)


def test_a_change_that_is_cut_off_after_any_file_loses_nothing(
    folder: Path, public_keys: dict[UUID, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = software_keystore.write_atomically
    for allowed in range(len(public_keys) + 1):
        left = [allowed]

        def write(path: Path, octets: bytes, *, replace: bool, left: list[int] = left) -> None:
            if not left[0]:
                raise OSError(28, "No space left on device")
            left[0] -= 1
            real(path, octets, replace=replace)

        monkeypatch.setattr(software_keystore, "write_atomically", write)
        with pytest.raises(StartRefused, match="keep both"):
            SoftwareKeystore(folder, OLD, NEW)
        monkeypatch.setattr(software_keystore, "write_atomically", real)
        assert held(SoftwareKeystore(folder, OLD, NEW)) == public_keys
        # And back, for the next round: the keys' roles are what the caller says they are.
        assert held(SoftwareKeystore(folder, NEW, OLD)) == public_keys


def test_a_key_that_is_made_under_the_old_one_meanwhile_is_sealed_again_too(
    folder: Path, public_keys: dict[UUID, bytes]
) -> None:
    running = SoftwareKeystore(folder, OLD)
    key_id = uuid4()
    made = running.generate(key_id, Algorithm.ECDSA_P256, Purpose.OCSP_RESPONDER)
    SoftwareKeystore(folder, OLD, NEW)
    assert SoftwareKeystore(folder, NEW).get(key_id).public_key_der == made.public_key_der


def test_a_wrong_pair_of_keys_changes_nothing(folder: Path, public_keys: dict[UUID, bytes]) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(StartRefused, match="Neither"):
        SoftwareKeystore(folder, OTHER, NEW)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_damaged_file_stays_as_it_is_and_the_others_are_sealed_again(
    folder: Path, public_keys: dict[UUID, bytes]
) -> None:
    damaged, *others = public_keys
    path = folder / f"{damaged}.key"
    octets = path.read_bytes()[:-9]
    path.write_bytes(octets)
    keystore = SoftwareKeystore(folder, OLD, NEW)
    assert list(keystore.damaged()) == [damaged]
    assert set(held(keystore)) == set(others)
    assert path.read_bytes() == octets


def test_a_file_under_the_name_of_another_key_does_not_count_as_open(
    folder: Path, public_keys: dict[UUID, bytes]
) -> None:
    first, second, _ = public_keys
    (folder / f"{first}.key").write_bytes((folder / f"{second}.key").read_bytes())
    found = {p.name: check_keystore.opens(p, OLD) for p in check_keystore.sealed_files(folder)}
    assert not found.pop(f"{first}.key")
    assert all(found.values())


def key_file(folder: Path, key: bytes) -> Path:
    path = folder.parent / "kek"
    path.touch(mode=0o600)
    path.write_text(key.hex())
    return path


def test_the_check_tells_by_its_exit_code(
    folder: Path, public_keys: dict[UUID, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    right = ["--keystore", str(folder), "--kek-file", str(key_file(folder, OLD))]
    assert check_keystore.main(right) == 0
    assert "All 4 sealed files open" in capsys.readouterr().out
    key_file(folder, OTHER)
    assert check_keystore.main(right) == 1
    assert "Restore them" in capsys.readouterr().err
    assert check_keystore.main([*right[:3], str(folder.parent / "none")]) == 2
    assert check_keystore.main(["--keystore", str(folder / "none"), *right[2:]]) == 2
    assert "cannot be read" in capsys.readouterr().err
