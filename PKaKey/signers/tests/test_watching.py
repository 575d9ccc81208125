"""What the running signer tells whoever watches it: counts, lines, and the request's id."""

import json
import re
import socket
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from pkakey_signers.client import SignerClient, SignerRefused
from pkakey_signers.figures import BUCKET_SECONDS, SIGNED, SignatureFigures
from pkakey_signers.frames import Frame, FrameDecoder, encode_frame
from pkakey_signers.log import parse_line, verify_log
from pkakey_signers.testing.authorities import Authority
from pkakey_signers.testing.process import SignerProcess


def ask(signer: SignerProcess, header: dict[str, Any]) -> Frame:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(signer.socket_path))
        connection.sendall(encode_frame(Frame(header)))
        decoder = FrameDecoder()
        while (frame := decoder.next_frame()) is None:
            decoder.feed(connection.recv(65536))
        return frame


def sums(client: SignerClient) -> dict[tuple[str, str, str], int]:
    return {
        (found["kind"], found["algorithm"], found["outcome"]): found["count"]
        for found in client.metrics()["signatures"]
    }


def test_a_new_signer_has_counted_nothing(client: SignerClient) -> None:
    assert client.metrics() == {"bounds": list(BUCKET_SECONDS), "signatures": []}


def test_signatures_are_counted_by_kind_algorithm_and_outcome(
    client: SignerClient, root: Authority
) -> None:
    before = sums(client)
    root.sign(root.tbs())
    with pytest.raises(SignerRefused):
        client.sign(
            kind="certificate", key_id=root.key_id, intent_id=uuid4(), to_be_signed=root.tbs()
        )
    with pytest.raises(SignerRefused):
        client.sign(kind="crl", key_id=uuid4(), intent_id=uuid4(), to_be_signed=b"")
    after = sums(client)
    signed = ("certificate", "ecdsa-p256", SIGNED)
    assert after[signed] == before[signed] + 1
    assert after["certificate", "ecdsa-p256", "intent.unknown"] == 1
    assert after["crl", "", "key.unknown"] == 1


def test_the_figures_name_no_key_no_intent_and_no_subject(
    client: SignerClient, root: Authority
) -> None:
    root.sign(root.tbs())
    text = json.dumps(client.metrics())
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}|CN=", text)


def test_a_client_cannot_make_labels(signer: SignerProcess, client: SignerClient) -> None:
    for kind in ("x" * 3000, 'a",b="c', None, 7, ["certificate"], {"certificate": 1}):
        header = {"op": "sign", "kind": kind, "key_id": str(uuid4())}
        assert ask(signer, header).header["ok"] is False
    assert client.metrics()["signatures"] == []


def test_every_time_falls_into_one_class() -> None:
    figures = SignatureFigures()
    for seconds in (0.0, BUCKET_SECONDS[0], BUCKET_SECONDS[0] + 1e-9, 99.0):
        figures.count("certificate", "ed25519", SIGNED, seconds)
    found = json.loads(figures.to_json())["signatures"][0]
    assert found["classes"] == [2, 1, *[0] * (len(BUCKET_SECONDS) - 2), 1]
    assert (found["count"], round(found["seconds"], 3)) == (4, 99.001)


def test_the_metrics_question_may_bring_nothing(signer: SignerProcess) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(signer.socket_path))
        connection.sendall(encode_frame(Frame({"op": "metrics"}, b"x")))
        decoder = FrameDecoder()
        while (frame := decoder.next_frame()) is None:
            decoder.feed(connection.recv(65536))
    assert frame.header["code"] == "frame.too-large"


@pytest.fixture
def request_client(signer: SignerProcess, root: Authority) -> Callable[[str], SignerClient]:
    return lambda request_id: SignerClient(signer.socket_path, request_id=lambda: request_id)


def test_the_request_id_stands_in_the_log_beside_its_signature(
    signer: SignerProcess, root: Authority, request_client: Callable[[str], SignerClient]
) -> None:
    tbs = root.tbs()
    intent_id = root.database.record(tbs, root.key_id)
    with request_client("order-7.A_b") as client:
        client.sign(kind="certificate", key_id=root.key_id, intent_id=intent_id, to_be_signed=tbs)
    last = signer.log_path.read_bytes().splitlines()[-1]
    assert json.loads(last)["request_id"] == "order-7.A_b"
    assert parse_line(last).record.request_id == "order-7.A_b"
    assert verify_log(signer.log_path).problem is None


def test_a_line_without_a_request_id_keeps_its_old_form(
    signer: SignerProcess, root: Authority
) -> None:
    root.sign(root.tbs())
    last = signer.log_path.read_bytes().splitlines()[-1]
    assert "request_id" not in json.loads(last)
    assert parse_line(last).to_line() == last


def test_a_refusal_is_said_with_the_request_id(
    signer: SignerProcess, root: Authority, request_client: Callable[[str], SignerClient]
) -> None:
    with request_client("refused-1") as client, pytest.raises(SignerRefused):
        client.sign(
            kind="certificate", key_id=root.key_id, intent_id=uuid4(), to_be_signed=root.tbs()
        )
    said = [json.loads(line) for line in signer.said().splitlines()]
    assert any(
        line.get("request_id") == "refused-1" and "intent.unknown" in line["event"] for line in said
    )


@pytest.mark.parametrize(
    "request_id",
    ["x" * 65, "a b", 'a"b', "a\n", "é", 7, None, True, ["a"], {"a": "b"}],
    ids=str,
)
def test_a_malformed_request_id_is_refused_and_never_logged(
    signer: SignerProcess, root: Authority, request_id: object
) -> None:
    lines = len(signer.entries())
    header = {
        "op": "sign",
        "kind": "certificate",
        "key_id": str(root.key_id),
        "intent_id": str(uuid4()),
        "request_id": request_id,
    }
    assert ask(signer, header).header["code"] == "request.malformed"
    assert len(signer.entries()) == lines
    assert "a b" not in signer.said()


def test_every_line_is_one_json_object_with_the_platforms_fields(signer: SignerProcess) -> None:
    signer.stop()
    lines = [json.loads(line) for line in signer.said().splitlines()]
    assert lines
    for line in lines:
        assert {"event", "level", "logger", "timestamp"} <= set(line)
