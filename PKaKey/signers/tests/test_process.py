"""The running process: who is heard, how it bears bad clients, and how it dies and comes back."""

import json
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from uuid import uuid4

import psycopg
import pytest
from pkakey_signers.algorithms import is_signed_by
from pkakey_signers.client import SignerClient, SignerRefused, SignerUnavailable
from pkakey_signers.frames import MAGIC, Frame, FrameDecoder, encode_frame
from pkakey_signers.log import verify_log
from pkakey_signers.testing.authorities import Authority, make_root
from pkakey_signers.testing.process import IntentDatabase, SignerProcess


def connect(signer: SignerProcess) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(signer.socket_path))
    return connection


def receive(connection: socket.socket) -> Frame | None:
    decoder = FrameDecoder()
    while (frame := decoder.next_frame()) is None:
        octets = connection.recv(65536)
        if not octets:
            return None
        decoder.feed(octets)
    return frame


HEALTH = encode_frame(Frame({"op": "health"}))


def test_it_says_that_it_is_ready(client: SignerClient, signer: SignerProcess) -> None:
    health = client.health()
    assert health["state"] == "ready"
    assert (health["database"], health["log"], health["damaged_keys"]) == ("ok", "ok", [])
    assert health["pid"] == signer.pid


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", "frame.malformed", id="HTTP"),
        pytest.param(b"\x9f" * 5000, "frame.malformed", id="many foreign octets"),
        pytest.param(
            struct.pack(">4sHI", MAGIC, 100, 2**32 - 1), "frame.too-large", id="4 GiB announced"
        ),
        pytest.param(struct.pack(">4sHI", MAGIC, 5000, 0), "frame.too-large", id="header too long"),
        pytest.param(
            encode_frame(Frame({"op": "sign", "kind": "certificate"}, bytes(70_000))),
            "frame.too-large",
            id="certificate too long",
        ),
        pytest.param(
            encode_frame(Frame({"op": "health"}, b"x")), "frame.too-large", id="unasked attachment"
        ),
        pytest.param(struct.pack(">4sHI", MAGIC, 1, 0) + b"{", "frame.malformed", id="no JSON"),
    ],
)
def test_a_bad_frame_is_answered_with_its_code_and_the_connection_ends(
    signer: SignerProcess, octets: bytes, code: str
) -> None:
    with connect(signer) as connection:
        connection.sendall(octets)
        answer = receive(connection)
        assert answer is not None
        assert (answer.header["ok"], answer.header["code"]) == (False, code)
        with_rest = b"x"
        while with_rest:
            try:
                with_rest = connection.recv(65536)
            except ConnectionResetError:
                break
    assert signer.client().health()["state"] == "ready"


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"op": "format-disk"},
        {"op": None},
        {"op": ["sign"]},
        {"op": "sign"},
        {"op": "sign", "kind": "certificate"},
        {"op": "sign", "kind": "certificate", "key_id": "7"},
        {"op": "sign", "kind": "certificate", "key_id": {"a": 1}},
        {"op": "public-key", "key_id": "../../etc/passwd"},
        {"op": "generate-key", "key_id": "0" * 32, "algorithm": {}, "purpose": 1},
        {"op": "generate-key"},
        {"op": "activate-authority", "key_id": 7},
    ],
    ids=json.dumps,
)
def test_a_sound_frame_that_asks_for_nonsense_is_refused_and_the_connection_lives(
    signer: SignerProcess, header: dict[str, object]
) -> None:
    with connect(signer) as connection:
        connection.sendall(encode_frame(Frame(header)))
        answer = receive(connection)
        assert answer is not None
        assert answer.header["code"] in {
            "request.malformed",
            "key.unsupported-algorithm",
            "authority.certificate",
        }
        connection.sendall(HEALTH)
        answer = receive(connection)
        assert answer is not None
        assert answer.header["ok"] is True
    assert "Traceback" not in signer.said()


def test_two_requests_sent_at_once_get_two_answers_in_order(signer: SignerProcess) -> None:
    with connect(signer) as connection:
        connection.sendall(encode_frame(Frame({"op": "none"})) + HEALTH)
        decoder = FrameDecoder()
        answers: list[Frame] = []
        while len(answers) < 2:
            decoder.feed(connection.recv(65536))
            while (frame := decoder.next_frame()) is not None:
                answers.append(frame)
    assert [answer.header["ok"] for answer in answers] == [False, True]


def test_a_half_frame_is_given_up_in_time_and_the_others_do_not_wait(
    make_signer: Callable[..., SignerProcess],
) -> None:
    signer = make_signer("--frame-seconds", "1").start()
    with connect(signer) as slow:
        slow.sendall(HEALTH[:-3])
        started = monotonic()
        assert signer.client().health()["state"] == "ready"
        assert monotonic() - started < 1
        answer = receive(slow)
        assert answer is not None
        assert answer.header["code"] == "frame.malformed"
        assert monotonic() - started < 10


def test_a_client_that_drips_octets_is_given_up_all_the_same(
    make_signer: Callable[..., SignerProcess],
) -> None:
    signer = make_signer("--frame-seconds", "1").start()
    with connect(signer) as slow:
        started = monotonic()
        try:
            for octet in HEALTH:
                slow.sendall(bytes((octet,)))
                sleep(0.2)
                if monotonic() - started > 15:
                    pytest.fail("It waits for ever.")
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert monotonic() - started < 10


def test_a_silent_client_is_given_up_and_a_client_with_a_stale_connection_recovers(
    make_signer: Callable[..., SignerProcess],
) -> None:
    signer = make_signer("--idle-seconds", "0.5").start()
    client = signer.client()
    client.health()
    with connect(signer) as silent:
        assert silent.recv(1) == b""
    sleep(1)
    assert client.health()["state"] == "ready"


def test_too_many_connections_are_turned_away_and_room_is_made_again(
    make_signer: Callable[..., SignerProcess],
) -> None:
    signer = make_signer("--max-connections", "4").start()
    held = [connect(signer) for _ in range(4)]
    for connection in held:
        connection.sendall(HEALTH)
        assert receive(connection) is not None
    with pytest.raises(SignerUnavailable, match="its limit"):
        signer.client().health()
    held.pop().close()
    deadline = monotonic() + 10
    while True:
        try:
            assert signer.client().health()["state"] == "ready"
            break
        except SignerUnavailable:
            assert monotonic() < deadline
            sleep(0.05)
    for connection in held:
        connection.close()


def test_many_threads_get_each_their_own_signature(
    signer: SignerProcess, client: SignerClient, root: Authority
) -> None:
    bodies = [root.tbs() for _ in range(100)]
    with ThreadPoolExecutor(8) as pool:
        signatures = list(pool.map(root.sign, bodies))
    assert len(set(signatures)) == 100
    for tbs, signature in zip(bodies, signatures, strict=True):
        assert is_signed_by(root.public_key_der, signature, tbs)
    assert verify_log(signer.log_path).entries == 101


def test_one_intent_asked_by_many_threads_is_signed_once(
    signer: SignerProcess, client: SignerClient, root: Authority
) -> None:
    tbs = root.tbs()
    intent_id = root.database.record(tbs, root.key_id)

    def sign(_: int) -> bytes:
        return client.sign(
            kind="certificate", key_id=root.key_id, intent_id=intent_id, to_be_signed=tbs
        )

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(sign, range(40)))) == 1
    assert len(signer.entries()) == 2


def test_one_bad_request_of_a_batch_does_not_spoil_the_others(
    client: SignerClient, root: Authority
) -> None:
    def sign(number: int) -> str:
        tbs = root.tbs()
        intent_id = root.database.record(tbs, root.key_id) if number % 2 else uuid4()
        try:
            client.sign(
                kind="certificate", key_id=root.key_id, intent_id=intent_id, to_be_signed=tbs
            )
        except SignerRefused as error:
            return str(error.code)
        return "signed"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(sign, range(60)))
    assert outcomes == ["intent.unknown", "signed"] * 30


def test_sigterm_ends_it_cleanly_and_soon(signer: SignerProcess, root: Authority) -> None:
    path = signer.socket_path
    with connect(signer) as idle:
        started = monotonic()
        assert signer.stop(signal.SIGTERM) == 0
        assert monotonic() - started < 8
        assert idle.recv(1) == b""
    assert not path.exists()
    assert verify_log(signer.log_path).problem is None
    with pytest.raises(SignerUnavailable, match="does not answer"):
        signer.client().health()


def test_sigterm_under_load_loses_no_answered_signature(
    signer: SignerProcess, client: SignerClient, root: Authority
) -> None:
    bodies = [root.tbs() for _ in range(200)]
    intents = [root.database.record(tbs, root.key_id) for tbs in bodies]
    answered: list[bytes] = []

    def sign(number: int) -> None:
        with suppress(SignerUnavailable):
            answered.append(
                client.sign(
                    kind="certificate",
                    key_id=root.key_id,
                    intent_id=intents[number],
                    to_be_signed=bodies[number],
                )
            )

    stopper = threading.Timer(0.05, lambda: os.kill(signer.pid, signal.SIGTERM))
    stopper.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(sign, range(200)))
    stopper.join()
    assert signer.stop() == 0
    logged = {entry.record.signature for entry in signer.entries()}
    assert set(answered) <= logged
    assert verify_log(signer.log_path).torn_bytes == 0


def test_a_kill_between_log_and_answer_gives_the_same_signature_afterwards(
    signer: SignerProcess, client: SignerClient, root: Authority
) -> None:
    tbs = root.tbs()
    intent_id = root.database.record(tbs, root.key_id)
    header = {
        "op": "sign",
        "kind": "certificate",
        "key_id": str(root.key_id),
        "intent_id": str(intent_id),
    }
    before = signer.log_path.stat().st_size
    with connect(signer) as connection:
        connection.sendall(encode_frame(Frame(header, tbs)))
        while signer.log_path.stat().st_size == before:
            pass
        signer.stop(signal.SIGKILL)
    logged = signer.entries()[-1].record
    assert logged.intent_id == intent_id
    signer.start()
    again = client.sign(
        kind="certificate", key_id=root.key_id, intent_id=intent_id, to_be_signed=tbs
    )
    assert again == logged.signature
    assert len(signer.entries()) == 2


def test_kills_under_load_leave_each_answered_signature_in_a_valid_log(
    signer: SignerProcess, client: SignerClient, root: Authority
) -> None:
    bodies = [root.tbs() for _ in range(150)]
    intents = [root.database.record(tbs, root.key_id) for tbs in bodies]
    answered: dict[int, bytes] = {}

    def sign(number: int) -> None:
        with suppress(SignerUnavailable):
            answered[number] = client.sign(
                kind="certificate",
                key_id=root.key_id,
                intent_id=intents[number],
                to_be_signed=bodies[number],
            )

    for delay in (0.02, 0.04):
        killer = threading.Timer(delay, lambda: os.kill(signer.pid, signal.SIGKILL))
        killer.start()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(sign, range(150)))
        killer.join()
        signer.stop(signal.SIGKILL)
        signer.start()
    seen = dict(answered)
    for number in range(150):
        sign(number)
    assert len(answered) == 150
    assert all(answered[number] == signature for number, signature in seen.items())
    report = verify_log(signer.log_path)
    assert (report.entries, report.problem) == (151, None)


def test_an_entry_changed_in_the_running_log_is_not_given_out(
    signer: SignerProcess, client: SignerClient, root: Authority
) -> None:
    tbs = root.tbs()
    intent_id = root.database.record(tbs, root.key_id)

    def sign() -> bytes:
        return client.sign(
            kind="certificate", key_id=root.key_id, intent_id=intent_id, to_be_signed=tbs
        )

    sign()
    octets = signer.log_path.read_bytes()
    place = octets.rindex(b'"signature":"') + 40
    with signer.log_path.open("r+b") as file:
        file.seek(place)
        file.write(b"B" if octets[place : place + 1] == b"A" else b"A")
    with pytest.raises(SignerRefused) as caught:
        sign()
    assert caught.value.code == "log.tampered"


def test_a_log_changed_while_it_was_down_stops_the_start(
    signer: SignerProcess, root: Authority
) -> None:
    root.sign(root.tbs())
    signer.stop()
    signer.log_path.write_bytes(signer.log_path.read_bytes().replace(b'"seq":2', b'"seq":3'))
    assert "was changed" in signer.refuse_to_start()


def test_a_second_signer_on_the_same_files_is_refused(signer: SignerProcess) -> None:
    assert "Another signer" in signer.refuse_to_start()
    assert signer.client().health()["state"] == "ready"


def test_a_socket_left_by_a_killed_signer_is_no_hindrance(signer: SignerProcess) -> None:
    signer.stop(signal.SIGKILL)
    assert signer.socket_path.exists()
    signer.start()
    assert signer.client().health()["state"] == "ready"


def test_a_file_in_the_sockets_place_is_not_removed(
    make_signer: Callable[..., SignerProcess],
) -> None:
    signer = make_signer()
    signer.socket_path.write_text("mine")
    assert "no socket" in signer.refuse_to_start()
    assert signer.socket_path.read_text() == "mine"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        pytest.param(lambda path: path.unlink(), "cannot be read", id="missing"),
        pytest.param(lambda path: path.write_bytes(b""), "is empty", id="empty"),
        pytest.param(lambda path: path.write_text("ab" * 8), "has 8 octets", id="too short"),
        pytest.param(lambda path: path.chmod(0o644), "open to others", id="open to others"),
        pytest.param(
            lambda path: path.write_text(os.urandom(32).hex()), "does not open", id="another key"
        ),
    ],
)
def test_a_spoilt_key_encryption_key_stops_the_start(
    signer: SignerProcess, root: Authority, spoil: Callable[[Path], object], sentence: str
) -> None:
    signer.stop()
    spoil(signer.kek_file)
    assert sentence in signer.refuse_to_start()


def test_a_damaged_key_degrades_it_and_is_named(
    signer: SignerProcess, client: SignerClient, root: Authority
) -> None:
    signer.stop()
    path = signer.keystore / f"{root.key_id}.certificate"
    path.write_bytes(path.read_bytes()[:-9])
    signer.start()
    health = client.health()
    assert (health["state"], health["damaged_keys"]) == ("degraded", [str(root.key_id)])
    with pytest.raises(SignerRefused) as caught:
        root.sign(root.tbs())
    assert caught.value.code == "key.damaged"


# The database.


def terminate_connections(database: IntentDatabase) -> None:
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'pkakey-signer' AND datname = current_database()"
    )


def test_a_cut_database_connection_is_replaced_unnoticed(
    root: Authority, intent_database: IntentDatabase
) -> None:
    root.sign(root.tbs())
    terminate_connections(intent_database)
    root.sign(root.tbs())


def test_without_the_database_nothing_is_signed_until_it_is_back(
    signer: SignerProcess,
    client: SignerClient,
    root: Authority,
    intent_database: IntentDatabase,
    database_admin_url: str,
) -> None:
    tbs = root.tbs()
    intent_id = intent_database.record(tbs, root.key_id)
    entries = len(signer.entries())
    database = psycopg.conninfo.conninfo_to_dict(intent_database.url)["dbname"]

    def allow(value: str) -> None:
        with psycopg.connect(database_admin_url, autocommit=True) as admin:
            admin.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS {value}'.encode())
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                (database,),
            )

    def sign() -> bytes:
        return client.sign(
            kind="certificate", key_id=root.key_id, intent_id=intent_id, to_be_signed=tbs
        )

    allow("false")
    try:
        for _ in range(2):
            with pytest.raises(SignerRefused) as caught:
                sign()
            assert caught.value.code == "intents.unavailable"
            assert caught.value.transient
        health = client.health()
        assert health["state"] == "degraded"
        assert "database" in health["database"]
    finally:
        allow("true")
    assert len(signer.entries()) == entries
    sign()
    assert client.health()["state"] == "ready"


def test_it_starts_without_a_database_and_refuses(
    make_signer: Callable[..., SignerProcess],
) -> None:
    signer = make_signer()
    signer.database_url = "postgresql://nobody@127.0.0.1:1/nothing"
    signer.start()
    health = signer.client().health()
    assert health["state"] == "degraded"


def test_a_database_without_the_function_signs_nothing(
    make_signer: Callable[..., SignerProcess],
    database_admin_url: str,
    intent_database: IntentDatabase,
) -> None:
    signer = make_signer()
    signer.database_url = database_admin_url
    signer.start()
    with pytest.raises(SignerRefused) as caught:
        make_root(signer.client(), intent_database)
    assert caught.value.code == "intents.unavailable"


def test_the_process_keeps_its_memory_from_others_and_dumps_no_core(
    signer: SignerProcess,
) -> None:
    limits = Path(f"/proc/{signer.pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]


def test_a_forked_child_opens_connections_of_its_own(client: SignerClient) -> None:
    client.health()
    child = os.fork()
    if child == 0:
        try:
            state = client.health()["state"]
        except BaseException:  # noqa: BLE001
            os._exit(1)
        os._exit(0 if state == "ready" else 1)
    assert client.health()["state"] == "ready"
    assert os.waitpid(child, 0)[1] == 0
    assert client.health()["state"] == "ready"


def test_a_signer_that_never_answers_is_unavailable_in_time(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(path))
        mute.listen()
        started = monotonic()
        with pytest.raises(SignerUnavailable, match="in time"):
            SignerClient(path, timeout_seconds=0.3).health()
        assert monotonic() - started < 5


def test_what_answers_in_another_language_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(SignerUnavailable, match="no signer"):
            SignerClient(path).health()
        thread.join()
