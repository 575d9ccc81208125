"""The operator's list of keys to refuse: what it may hold, and a start with nothing less."""

import random
from pathlib import Path

import pytest
from pkakey.config import weak_keys
from pkakey.config.weak_keys import read_weak_keys

from PKaKey.server.tests.config.test_configuration import READ, environment, start

__all__ = ["environment"]  # A fixture.

HEADER = "# As in openssl-blacklist: comments first.\n#\n"


def test_without_a_file_nothing_is_added() -> None:
    assert len(read_weak_keys(None)) == 0


def test_the_lines_of_openssl_blacklist_are_read(tmp_path: Path) -> None:
    file = tmp_path / "blacklist.RSA-2048"
    file.write_text(f"{HEADER}00006aa0ce2cd60e6660\n70a51edc06f82ad131bc\n")
    assert len(read_weak_keys(file)) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "lists no key", id="empty"),
        pytest.param(HEADER.encode(), "lists no key", id="only comments"),
        pytest.param(b"00006aa0ce2cd60e6660\nno digest\n", "Line 2", id="a line of words"),
        pytest.param(b"00006aa0ce2cd60e66", "Line 1", id="a digest cut short"),
        pytest.param(b"00006aa0ce2cd60e6660\n\xff", "Octet 21 is not ASCII", id="not ASCII"),
        pytest.param(random.Random(4).randbytes(500), "not ASCII|Line", id="random octets"),  # noqa: S311
    ],
)
def test_a_file_that_is_no_list_is_refused_whole(
    tmp_path: Path, content: bytes, words: str
) -> None:
    file = tmp_path / "list"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        read_weak_keys(file)
    assert "PKAKEY_WEAK_KEYS_FILE" in str(caught.value)
    assert "openssl-blacklist" in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for file in (tmp_path / "missing", tmp_path):
        with pytest.raises(ValueError, match="cannot be read"):
            read_weak_keys(file)


def test_a_file_above_the_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "list"
    file.write_text("00006aa0ce2cd60e6660\n")
    monkeypatch.setattr(weak_keys, "MAX_OCTETS", 21)
    assert len(read_weak_keys(file)) == 1
    monkeypatch.setattr(weak_keys, "MAX_OCTETS", 20)
    with pytest.raises(ValueError, match="larger than 20 octets"):
        read_weak_keys(file)


def test_production_does_not_start_without_the_list_that_it_was_given(
    environment: dict[str, str],  # The fixture.
    tmp_path: Path,
) -> None:
    named = environment | {"PKAKEY_WEAK_KEYS_FILE": str(tmp_path / "list")}
    named["PKAKEY_STATIC_ROOT"] = str(tmp_path)
    done = start(named, READ)
    assert done.returncode != 0
    assert "PKAKEY_WEAK_KEYS_FILE" in done.stderr
    (tmp_path / "list").write_text("00006aa0ce2cd60e6660\n")
    code = (
        "import django; django.setup(); from pkakey.config.wiring import services; "
        "print(len(services().outside.weak_keys))"
    )
    done = start(named, code)
    assert done.stdout.split() == ["1"], done.stderr
