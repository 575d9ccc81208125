"""The log: nothing in it can be changed unseen, and a crash leaves it usable."""

import errno
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pkakey_signers.errors import SignerRefusal, SignerRefused, StartRefused
from pkakey_signers.log import LogDamaged, SignatureRecord, parse_line, read_entries, verify_log
from pkakey_signers.log_index import LogIndex
from pkakey_signers.log_writer import LogWriter
from pkakey_signers.verify_log import main

KEY_ID = UUID("6b2c1a40-0d53-4a53-9c1f-000000000001")
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def record(intent_id: UUID | None = None, serial_number: str = "1f") -> SignatureRecord:
    return SignatureRecord(
        "certificate", KEY_ID, intent_id or uuid4(), serial_number, "a" * 64, b"signature"
    )


class OpenLog:
    """A log with its index, as the process opens them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer = LogWriter(path, is_synced=True, now=lambda: THEN)
        try:
            self.index = LogIndex(path.with_name(path.name + ".index"), path)
            self.writer.recover(self.index)
        except BaseException:
            self.writer.close()
            raise

    def append(self, *records: SignatureRecord) -> None:
        self.writer.append(records)

    def close(self) -> None:
        self.index.close()
        self.writer.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "signatures.log"


def write(path: Path, count: int = 5) -> list[SignatureRecord]:
    records = [record(serial_number=f"{number + 1:x}") for number in range(count)]
    log = OpenLog(path)
    for one in records:
        log.append(one)
    log.close()
    return records


def test_what_was_appended_is_read_back_in_order(path: Path) -> None:
    records = write(path)
    entries = list(read_entries(path))
    assert [entry.record for entry in entries] == records
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4, 5]
    assert {entry.time for entry in entries} == {THEN}
    report = verify_log(path)
    assert (report.entries, report.torn_bytes, report.problem) == (5, 0, None)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_chain_goes_on_after_a_restart(path: Path) -> None:
    write(path, 3)
    write(path, 2)
    assert verify_log(path).entries == 5
    assert verify_log(path).problem is None


def test_every_changed_octet_but_the_last_line_is_found(path: Path) -> None:
    write(path, 3)
    octets = path.read_bytes()
    end = octets[:-1].rindex(b"\n")
    for place in range(end):
        changed = bytearray(octets)
        changed[place] ^= 0x01
        path.write_bytes(changed)
        assert verify_log(path).problem is not None, place
        with pytest.raises(LogDamaged):
            list(read_entries(path))


@pytest.mark.parametrize(
    "order",
    [
        pytest.param([1, 2, 3, 4], id="the first line is cut off"),
        pytest.param([0, 1, 3, 4], id="a line in the middle is cut out"),
        pytest.param([0, 2, 1, 3, 4], id="two lines changed places"),
        pytest.param([0, 1, 1, 2, 3, 4], id="a line is doubled"),
    ],
)
def test_moved_lines_are_found_and_stop_the_start(path: Path, order: list[int]) -> None:
    write(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[number] for number in order))
    assert verify_log(path).problem is not None
    path.with_name(path.name + ".index").unlink()
    with pytest.raises(StartRefused, match="was changed"):
        OpenLog(path)


@pytest.mark.parametrize("line", [b"{}", b"", b"[]", b"null", b"\xff", b"[" * 9000, b"{" * 100])
def test_a_foreign_line_is_found(path: Path, line: bytes) -> None:
    write(path)
    with path.open("ab") as file:
        file.write(line + b"\n")
    assert verify_log(path).problem is not None


@pytest.mark.parametrize("line", [b"{}", b"", b"1", b'{"seq":1}'])
def test_what_is_no_entry_is_no_entry(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_line(line)


@pytest.mark.parametrize("index", ["kept", "lost"])
def test_a_torn_last_line_is_cut_off_and_said(
    path: Path, index: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write(path, 2)
    whole = path.read_bytes()
    torn = whole.splitlines()[1][:57]
    path.write_bytes(whole + torn)
    assert verify_log(path).torn_bytes == 57
    if index == "lost":
        path.with_name(path.name + ".index").unlink()
    write(path, 1)
    assert "57 octets" in capfd.readouterr().err
    assert verify_log(path).entries == 3
    assert path.read_bytes().startswith(whole)


def test_entries_are_found_by_intent_before_and_after_a_restart(path: Path) -> None:
    log = OpenLog(path)
    one = record()
    log.append(record(), one, record())
    for _ in range(2):
        assert one.intent_id is not None
        place = log.index.find(one.intent_id)
        assert place is not None
        assert parse_line(log.writer.read(*place)).record == one
        assert log.index.find(uuid4()) is None
        log.close()
        log = OpenLog(path)
    log.close()


@pytest.mark.parametrize("damage", ["missing", "garbage", "of another log", "ahead of the log"])
def test_an_index_that_does_not_fit_is_built_again(path: Path, damage: str) -> None:
    records = write(path)
    index_path = path.with_name(path.name + ".index")
    if damage == "missing":
        index_path.unlink()
    elif damage == "garbage":
        index_path.write_bytes(b"no database" * 100)
    elif damage == "of another log":
        other = path.with_name("other.log")
        write(other, 9)
        index_path.write_bytes(other.with_name("other.log.index").read_bytes())
    else:
        write(path, 3)
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:5]))
    log = OpenLog(path)
    assert log.writer.position.sequence == 5
    for one in records:
        assert one.intent_id is not None
        place = log.index.find(one.intent_id)
        assert place is not None
        assert parse_line(log.writer.read(*place)).record == one
    log.close()


def test_what_a_kill_kept_out_of_the_index_is_read_from_the_log(path: Path) -> None:
    write(path, 2)
    index_path = path.with_name(path.name + ".index")
    old = index_path.read_bytes()
    records = write(path, 2)
    index_path.write_bytes(old)
    log = OpenLog(path)
    assert log.writer.position.sequence == 4
    assert all(one.intent_id and log.index.find(one.intent_id) for one in records)
    log.close()


def test_a_second_writer_is_refused(path: Path) -> None:
    log = OpenLog(path)
    with pytest.raises(StartRefused, match="Another signer"):
        LogWriter(path, is_synced=True)
    log.close()


def test_a_log_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="cannot be opened"):
        LogWriter(tmp_path / "missing" / "log", is_synced=True)


def test_many_threads_make_one_valid_chain(path: Path) -> None:
    log = OpenLog(path)

    def append_fifty() -> None:
        for _ in range(50):
            log.append(record())

    threads = [threading.Thread(target=append_fifty) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert verify_log(path).entries == 400
    assert verify_log(path).problem is None


def test_a_full_disk_refuses_and_leaves_no_half_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = OpenLog(path)
    log.append(record())
    real_write = os.write

    def write_half_then_fail(descriptor: int, octets: bytes) -> int:
        real_write(descriptor, bytes(octets)[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write_half_then_fail)
    with pytest.raises(SignerRefused) as caught:
        log.append(record())
    assert caught.value.code is SignerRefusal.LOG_UNWRITABLE
    assert caught.value.transient
    monkeypatch.undo()
    log.append(record())
    log.close()
    assert verify_log(path).entries == 2
    assert verify_log(path).problem is None


def test_a_failed_sync_ends_all_signing_until_a_restart(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = OpenLog(path)

    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    for _ in range(2):
        with pytest.raises(SignerRefused) as caught:
            log.append(record())
        assert caught.value.code is SignerRefusal.LOG_FAILED
        monkeypatch.undo()
    assert log.writer.failure is not None
    log.close()


def test_the_response_log_rotates_and_each_file_is_a_chain(path: Path) -> None:
    writer = LogWriter(path, is_synced=False)
    writer.recover_end()
    writer.append([record()])
    writer.rotate(10_000)
    writer.append([record()])
    writer.rotate(100)
    writer.append([record()])
    writer.close()
    assert verify_log(path).entries == 1
    assert verify_log(path.with_name(path.name + ".1")).entries == 2


@pytest.mark.parametrize(("tail", "entries"), [(b"", 3), (b'{"torn', 3), (b"garbage\n", 1)])
def test_the_response_log_goes_on_after_whatever_end(path: Path, tail: bytes, entries: int) -> None:
    for last in (b"", tail):
        writer = LogWriter(path, is_synced=False)
        writer.recover_end()
        writer.append([record()])
        writer.close()
        with path.open("ab") as file:
            file.write(last)
    writer = LogWriter(path, is_synced=False)
    writer.recover_end()
    writer.append([record()])
    writer.close()
    assert verify_log(path).entries == entries
    assert verify_log(path).problem is None


def test_the_command_tells_a_good_log_from_a_bad_one(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(path, 2)
    assert main([str(path)]) == 0
    assert "2 entries" in capsys.readouterr().err
    assert main([str(path), "--entries"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main([str(path), "--json"]) == 0
    assert '"problem": null' in capsys.readouterr().out
    path.write_bytes(path.read_bytes().replace(b'"serial":"1"', b'"serial":"9"'))
    assert main([str(path)]) == 1
    assert "DAMAGED. Line 2" in capsys.readouterr().err
    assert main([str(path) + ".missing"]) == 2
    assert "cannot be read" in capsys.readouterr().err
