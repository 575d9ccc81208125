"""The real PostgREST as the official JavaScript client sees it."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from PeSequel.tests import world

SOURCES = Path(__file__).parent / "javascript"
NAME = "www.example.test"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the command that asks, with the client installed as the lock file says."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        text = f"{' and '.join(missing)} not found on PATH: apt-get install npm"
        if os.environ.get("CI"):
            pytest.fail(f"CI must try the JavaScript client. {text}")
        pytest.skip(text)
    folder = tmp_path_factory.mktemp("javascript")
    for file in SOURCES.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return ["node", str(folder / "ask.mjs")]


@pytest.fixture(scope="module")
def answers(program: list[str], data_api: Any, stranger: Any) -> dict[str, Any]:
    told = {
        "url": data_api.url,
        "token": data_api.signer.token(),
        "guest": data_api.signer.token(namespace="guest"),
        "forged": stranger.token(),
        "expired": data_api.signer.token(exp=int(time.time()) - 3600),
        "serial": world.serial(NAME),
    }
    done = subprocess.run(
        program, input=json.dumps(told), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def subjects(answer: dict[str, Any]) -> list[str]:
    assert answer["error"] is None, answer
    return [row["subject"].removeprefix("CN=") for row in answer["data"]]


def test_the_columns_that_the_contract_names_are_there(answers: Any) -> None:
    row = answers["contract"]["data"]
    assert row.pop("not_after")
    assert row == {
        "serial_number": world.serial(NAME),
        "subject": f"CN={NAME}",
        "names": [NAME, "192.0.2.7"],
        "status": "valid",
    }


def test_filters_order_pages_and_counts(answers: Any) -> None:
    assert subjects(answers["filtered"]) == ["past.example.test", "soon.example.test"]
    assert answers["filtered"]["count"] == 2
    assert len(subjects(answers["page"])) == 2
    assert (answers["page"]["count"], answers["page"]["status"]) == (7, 206)
    assert (answers["counted"]["count"], answers["counted"]["data"]) == (7, None)


def test_an_authority_is_embedded(answers: Any) -> None:
    assert answers["embedded"]["data"]["authorities"] == {"name": "issuing"}


def test_csv_comes_with_a_heading(answers: Any) -> None:
    assert answers["csv"]["data"].splitlines()[0] == "day,issued,revoked"


def test_a_function_is_called_either_way(answers: Any) -> None:
    assert subjects(answers["searched"]) == [NAME]
    assert subjects(answers["searched_by_get"]) == [NAME]


def test_another_namespace_sees_its_own_alone(answers: Any) -> None:
    assert subjects(answers["guest"]) == ["inner.guest.test", "secret.guest.test"]


@pytest.mark.parametrize(
    ("question", "status", "words"),
    [
        ("nobody", 401, ""),
        ("forged", 401, "JWS"),
        ("expired", 401, "expired"),
        ("written", 405, "read-only"),
        ("unknown_view", 404, "secrets"),
        ("unknown_column", 400, "private_key"),
        ("bad_filter", 400, "yesterday-ish"),
    ],
)
def test_a_refusal_reaches_the_client(answers: Any, question: str, status: int, words: str) -> None:
    answer = answers[question]
    assert answer["status"] == status, answer
    assert answer["data"] is None
    assert words in answer["error"]["message"], answer
