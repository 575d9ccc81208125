"""Bad input, on the command and on REST: a clear error, no 500, nothing stored."""

import json
import random
from pathlib import Path

import pytest

from e2e.native_platform import Platform, make_csr

pytestmark = pytest.mark.platform


def bad_requests(folder: Path) -> dict[str, bytes]:
    _, good = make_csr(folder, "bad.example.test")
    _, weak = make_csr(folder, "weak.example.test", key="weak")
    lines = good.read_text().splitlines()
    middle = len(lines) // 2
    flipped = lines[middle][:10] + ("A" if lines[middle][10] != "A" else "B") + lines[middle][11:]
    broken = [
        *lines[:-2],
        lines[-2][:4] + ("C" if lines[-2][4] != "C" else "D") + lines[-2][5:],
        lines[-1],
    ]
    return {
        "empty": b"",
        "huge": b"-----BEGIN CERTIFICATE REQUEST-----\n" + b"A" * 300_000,
        "truncated": good.read_bytes()[:200],
        "random": random.Random(7).randbytes(500),  # noqa: S311  # A repeatable vector, not a secret.
        "damaged": "\n".join([*lines[:middle], flipped, *lines[middle + 1 :]]).encode(),
        "broken signature": "\n".join(broken).encode(),
        "1024-bit key": weak.read_bytes(),
    }


def count(platform: Platform) -> int:
    listed = json.loads(platform.ddt("list", "--json").stdout)
    return len(listed["results"] if isinstance(listed, dict) else listed)


def test_the_command_refuses_every_bad_request_in_a_sentence(
    platform: Platform, tmp_path: Path
) -> None:
    before = count(platform)
    for kind, content in bad_requests(tmp_path).items():
        csr = tmp_path / "bad.csr"
        csr.write_bytes(content)
        out = tmp_path / "never.pem"
        result = platform.ddt(
            "issue", "--csr", csr, "--profile", "tls-server", "--out", out, check=False
        )
        said = result.stdout + result.stderr
        assert result.returncode != 0, kind
        assert "Traceback" not in said, kind
        assert "." in said, kind
        assert not out.exists(), kind
    assert count(platform) == before


def test_rest_answers_every_bad_request_with_a_problem(platform: Platform, tmp_path: Path) -> None:
    token = platform.token("certificates:issue")
    before = count(platform)
    for kind, content in bad_requests(tmp_path).items():
        body = tmp_path / "body.json"
        text = content.decode("latin-1")
        body.write_text(json.dumps({"csr": text, "profile": "tls-server"}))
        status, problem = post(platform, body, token)
        assert 400 <= status < 500, (kind, status)
        assert problem["code"], kind
        assert problem["detail"].endswith("."), (kind, problem)
    assert count(platform) == before


@pytest.mark.parametrize("token", ["", "x", "ddt_" + "A" * 43, "é", "a" * 10_000])
def test_rest_refuses_an_unknown_token(platform: Platform, tmp_path: Path, token: str) -> None:
    _, csr = make_csr(tmp_path, "token.example.test")
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"csr": csr.read_text(), "profile": "tls-server"}))
    status, problem = post(platform, body, token)
    assert status in {400, 401, 431}
    assert status != 401 or problem["code"].startswith("token.")


def post(platform: Platform, body: Path, token: str) -> tuple[int, dict[str, str]]:
    answer = platform.curl(
        f"{platform.portal}/api/v1/certificates/",
        "-H", f"Authorization: Bearer {token}",
        "-H", "Content-Type: application/json",
        "-d", f"@{body}",
        "-w", "\n%{http_code}",
    )  # fmt: skip
    text, _, status = answer.stdout.rpartition("\n")
    try:
        return int(status), json.loads(text)
    except json.JSONDecodeError:
        return int(status), {}
