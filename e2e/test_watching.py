"""What whoever watches the platform sees: one address of figures, and one id through all logs."""

import json
import re
import time
import urllib.request
from pathlib import Path

import pytest

from e2e.native_platform import Platform, make_csr

pytestmark = pytest.mark.platform


def figures(platform: Platform) -> str:
    with urllib.request.urlopen(platform.status()["urls"]["metrics"], timeout=30) as answer:  # noqa: S310  # Loopback.
        text: str = answer.read().decode()
        return text


def issue(platform: Platform, folder: Path, name: str, request_id: str) -> dict[str, str]:
    """Issue a certificate by curl under this id; return the answer's headers."""
    _, csr = make_csr(folder, name)
    body = folder / "body.json"
    body.write_text(json.dumps({"csr": csr.read_text(), "profile": "tls-server"}))
    answer = platform.curl(
        f"{platform.portal}/api/v1/certificates/",
        *("-D", "-", "-o", "/dev/null", "-H", f"X-Request-ID: {request_id}"),
        *("-H", f"Authorization: Bearer {platform.token('certificates:issue')}"),
        *("-H", "Content-Type: application/json", "--data-binary", f"@{body}"),
    ).stdout
    assert " 201" in answer.splitlines()[0]
    pairs = (line.split(":", 1) for line in answer.splitlines()[1:] if ":" in line)
    return {key.strip().lower(): value.strip() for key, value in pairs}


def wait_for(file: Path, text: str) -> str:
    """Return the line of a log that holds the text."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for line in file.read_text(errors="replace").splitlines():
            if text in line:
                return line
        time.sleep(0.2)
    pytest.fail(f"{text!r} is not in {file}.")


def test_one_request_id_is_in_the_logs_of_gateway_web_signer_and_worker(
    platform: Platform, tmp_path: Path
) -> None:
    headers = issue(platform, tmp_path, "one-id.example.test", "e2e.one-id_7")
    assert headers["x-request-id"] == "e2e.one-id_7"
    logs = platform.home / "logs"
    gateway = json.loads(wait_for(logs / "access.log", "e2e.one-id_7"))
    assert gateway["downstream_X-Request-Id"] == "e2e.one-id_7"
    web = json.loads(wait_for(logs / "web.log", "e2e.one-id_7"))
    assert (web["event"], web["route"], web["status"]) == ("request", "rest:certificates", 201)
    signed = json.loads(wait_for(platform.home / "keystore" / "signer.log", "e2e.one-id_7"))
    assert (signed["request_id"], signed["kind"]) == ("e2e.one-id_7", "certificate")
    relayed = json.loads(wait_for(logs / "worker.log", "e2e.one-id_7"))
    assert "e2e.one-id_7" in relayed["requests"]


def test_a_malformed_id_is_replaced_before_anything_is_done_with_it(
    platform: Platform, tmp_path: Path
) -> None:
    headers = issue(platform, tmp_path, "bad-id.example.test", 'bad"id e2e')
    given = headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f-]{36}", given)
    wait_for(platform.home / "keystore" / "signer.log", given)
    for name in ("web", "worker", "signer"):
        assert 'bad"id' not in (platform.home / "logs" / f"{name}.log").read_text()


def test_the_one_address_shows_every_services_figures(platform: Platform, tmp_path: Path) -> None:
    issue(platform, tmp_path, "figures.example.test", "e2e-figures")
    deadline = time.monotonic() + 60
    wanted = [
        r'pkakey_http_request_duration_seconds_count\{.*route="rest:certificates".*\} [1-9]',
        r'pkakey_certificates_issued_total\{profile="tls-server",source="api"\} [1-9]',
        r'pkakey_task_duration_seconds_count\{outcome="success",task="relay_outbox"\} [1-9]',
        r"pkakey_beat_last_timestamp_seconds [1-9]",
        r'pkakey_signer_request_duration_seconds_count\{.*outcome="signed"\} [1-9]',
        r"pkakey_task_queue_length [0-9]",
        r"pkakey_status_request_duration_seconds_count",
        r"pkakey_crl_next_update_timestamp_seconds\{",
        r"traefik_tls_certs_not_after\{",
        r"traefik_service_requests_total\{",
        r"pkakey_gateway_up 1",
        *(
            rf'pkakey_part_up\{{part="{part}"\}} 1'
            for part in ("database", "signer", "redis", "backups")
        ),
    ]
    missing = wanted
    while missing and time.monotonic() < deadline:
        text = figures(platform)
        missing = [pattern for pattern in wanted if not re.search(pattern, text)]
        time.sleep(0.5)
    assert not missing


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "//metrics", "/x/../metrics"])
def test_no_route_of_the_gateway_leads_to_the_figures(platform: Platform, path: str) -> None:
    for address in (
        platform.portal,
        f"https://{platform.domain}:{platform.https_port}",
        f"http://pkakey.{platform.domain}:{platform.http_port}",
        f"http://127.0.0.1:{platform.http_port}",
    ):
        answer = platform.curl(f"{address}{path}", "--path-as-is")
        assert "pkakey_" not in answer.stdout
        assert "traefik_" not in answer.stdout


def test_what_the_rules_and_dashboards_ask_of_the_gateway_is_shown(platform: Platform) -> None:
    folder = Path(__file__).parents[1] / "monitoring"
    asked: set[str] = set()
    for file in (*folder.rglob("*.json"), *folder.rglob("rules.yml")):
        asked |= set(re.findall(r"traefik_[a-z_]+", file.read_text()))
    shown = set(re.findall(r"^traefik_[a-z_]+", figures(platform), re.MULTILINE))
    assert asked
    assert asked <= shown
