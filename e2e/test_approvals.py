"""Approvals through the real parts: who asks waits, who may decides, and exactly that is issued."""

import json
import os
import re
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import httpx
import psutil
import psycopg
import pytest
from ddt.native import postgresql
from ddt.settings import Settings
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import expect

from e2e.browsing import chromium, sign_in
from e2e.native_platform import Platform, make_csr, openssl
from e2e.portal import Portal

pytestmark = [pytest.mark.platform, pytest.mark.timeout(600)]

PICTURES = Path(__file__).parents[1] / "artifacts" / "screenshots" / "platform"
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
WAITS, NOT_APPROVED = 3, 4
UNAVAILABLE = 503
PROFILE = "tls-client"
INBOX = "/portal/approvals/"
TASK = re.compile(r"/portal/approvals/tasks/[0-9a-f-]{36}/")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform whose profile for clients needs one officer; for servers nobody is asked."""
    running = Platform(tmp_path_factory.mktemp("approvals") / "home")
    running.ddt("up")
    running.ddt("manage", "require_approval", PROFILE, "certificate-approval-one")
    yield running
    running.ddt("down", check=False)


def person(platform: Platform, name: str, *roles: str) -> Portal:
    portal = Portal(platform)
    portal.sign_in(name, platform.person(name, *roles))
    return portal


@pytest.fixture(scope="module")
def otto(own: Platform) -> Iterator[Portal]:
    portal = person(own, "otto", "pki-officer")
    yield portal
    portal.http.close()


@pytest.fixture(scope="module")
def oona(own: Platform) -> Iterator[Portal]:
    portal = person(own, "oona", "pki-officer")
    yield portal
    portal.http.close()


def ask_for(platform: Platform, name: str, *words: str | Path) -> dict[str, str]:
    """Ask for a certificate by the command; return the request that waits."""
    folder = platform.home.parent
    _, csr = make_csr(folder, name)
    deadline = time.monotonic() + 120
    while True:
        asked = platform.ddt(
            "issue", "--csr", csr, "--profile", PROFILE, "--out", folder / f"{name}.pem", "--json",
            *words, check=False,
        )  # fmt: skip
        # As the answer says: sent again after some seconds, when KoolFlows starts at this moment.
        is_away = asked.returncode == 1 and json.loads(asked.stdout).get("status") == UNAVAILABLE
        if not is_away or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert asked.returncode == WAITS, asked.stdout + asked.stderr
    answer: dict[str, str] = json.loads(asked.stdout)
    assert answer["state"] == "waiting"
    assert not (folder / f"{name}.pem").exists()
    return answer


def portal_token(portal: Portal, *scopes: str) -> str:
    """Return a signed token that the person makes of their own."""
    page = portal.get("/portal/tokens/").text
    csrf = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    answer = portal.http.post(
        "/api/v1/tokens/",
        json={"name": "flows", "scopes": list(scopes), "form": "jwt"},
        headers={"X-CSRFToken": csrf, "Accept": "application/json"},
        extensions={"sni_hostname": f"pkakey.{portal.platform.domain}"},
    )
    answer.raise_for_status()
    token: str = answer.json()["token"]
    return token


def flows_call(
    platform: Platform, token: str, method: str, path: str, body: object = None
) -> dict[str, Any]:
    """Call KoolFlows through the gateway with this token."""
    host = f"flows.{platform.domain}"
    trusted = ssl.create_default_context(cafile=platform.root())
    with httpx.Client(verify=trusted, trust_env=False, timeout=60) as client:
        answer = client.request(
            method, f"https://127.0.0.1:{platform.https_port}/api/v1/{path}", json=body,
            headers={"Host": f"{host}:{platform.https_port}", "Authorization": f"Bearer {token}"},
            extensions={"sni_hostname": host},
        )  # fmt: skip
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def task_of(portal: Portal, name: str, title: str = "Certificate for") -> str:
    """Return the address of the open task about this name in the person's inbox."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        page = portal.get(f"{INBOX}?box=all")
        for address in map(str, TASK.findall(page.text)):
            if f"{title} {name}" in portal.get(address).text:
                return address
        time.sleep(0.3)
    pytest.fail(f"No task about {name}.")


def decide(portal: Portal, task: str, outcome: str, reason: str = "as agreed") -> int:
    answer = portal.post(task, {"field-outcome": outcome, "field-reason": reason})
    return answer.status_code


def wait(platform: Platform, request: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return platform.ddt("request", "wait", request, "--seconds", "120", *words, check=False)


def issued_for(platform: Platform, name: str) -> int:
    listed = json.loads(platform.ddt("list", "--search", name, "--json").stdout)["results"]
    return len(listed)


def test_one_officer_approves_and_the_certificates_page_shows_what_allowed_it(
    own: Platform, otto: Portal
) -> None:
    folder = own.home.parent
    asked = ask_for(own, "one.example.test")
    assert issued_for(own, "one.example.test") == 0
    assert own.ddt("request", "show", asked["id"], check=False).returncode == WAITS
    assert decide(otto, task_of(otto, "one.example.test"), "approve", "the team asked") == 302
    out, chain = folder / "one.pem", folder / "one-chain.pem"
    done = wait(own, asked["id"], "--out", out, "--chain-out", chain, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer["state"] == "issued"
    assert answer["sha256"] == asked["sha256"]
    assert [one["name"] for one in answer["deciders"]] == ["otto"]
    openssl("verify", "-CAfile", own.root(), "-untrusted", chain, out)
    page = otto.get(f"/portal/certificates/{answer['serial_number']}/").text
    for shown in (
        "What allowed it", answer["process"], "certificate-approval-one, version 1",
        answer["diagram_sha256"], "otto", "OneApprove", "OneDecided", answer["sha256"],
    ):  # fmt: skip
        assert shown in page, shown
    process = otto.get(f"/portal/approvals/processes/{answer['process']}/").text
    assert "flow-picture" in process
    assert "the team asked" in process


def test_what_is_refused_is_not_issued_and_says_why(own: Platform, otto: Portal) -> None:
    asked = ask_for(own, "no.example.test")
    assert decide(otto, task_of(otto, "no.example.test"), "refuse", "nobody knows it") == 302
    done = wait(own, asked["id"])
    assert done.returncode == NOT_APPROVED
    assert "nobody knows it" in done.stdout
    assert issued_for(own, "no.example.test") == 0


def test_who_asks_does_not_approve_it_by_session_or_by_a_token_of_their_own(
    own: Platform, otto: Portal, oona: Portal
) -> None:
    _, csr = make_csr(own.home.parent, "self.example.test")
    form = {"profile": PROFILE, "csr": csr.read_text(), "act": "issue"}
    asked = otto.post("/portal/certificates/new/", form)
    assert asked.status_code == 302
    place = asked.headers["location"]
    assert "/portal/approvals/requests/" in place
    assert "waits for approval" in otto.get(place).text
    task = task_of(oona, "self.example.test")
    assert task not in otto.get(f"{INBOX}?box=all").text
    shown = otto.get(task).text
    assert "You cannot decide this one" in shown
    assert "field-outcome" not in shown
    sent = {"field-outcome": "approve", "field-reason": "mine"}
    assert otto.send("/portal/certificates/new/", task, sent).status_code == 403
    assert issued_for(own, "self.example.test") == 0
    assert decide(oona, task, "approve") == 302
    assert wait(own, place.rstrip("/").rpartition("/")[2]).returncode == 0


def test_two_officers_are_two_people(own: Platform, otto: Portal, oona: Portal) -> None:
    own.ddt("manage", "require_approval", PROFILE, "certificate-approval-four-eyes")
    try:
        asked = ask_for(own, "four.example.test")
        assert decide(otto, task_of(otto, "four.example.test"), "approve") == 302
        second = task_of(oona, "four.example.test")
        sent = {"field-outcome": "approve", "field-reason": "again"}
        assert otto.send("/portal/certificates/new/", second, sent).status_code in {403, 404}
        assert own.ddt("request", "show", asked["id"], check=False).returncode == WAITS
        assert decide(oona, second, "approve") == 302
        done = wait(own, asked["id"], "--json")
        assert done.returncode == 0, done.stdout
        deciders = [one["name"] for one in json.loads(done.stdout)["deciders"]]
        assert deciders == ["otto", "oona"]
    finally:
        own.ddt("manage", "require_approval", PROFILE, "certificate-approval-one")


def test_a_changed_request_needs_an_approval_of_its_own(own: Platform, otto: Portal) -> None:
    first = ask_for(own, "changed.example.test")
    second = ask_for(own, "changed.example.test")  # Another key, so another request.
    assert second["id"] != first["id"]
    assert second["sha256"] != first["sha256"]
    assert decide(otto, task_of(otto, "changed.example.test"), "approve") == 302
    assert wait(own, first["id"]).returncode == 0
    assert own.ddt("request", "show", second["id"], check=False).returncode == WAITS
    # The profile is changed while the second one waits: what was looked at is no more.
    own.ddt("manage", "require_approval", PROFILE, "certificate-approval-four-eyes")
    own.ddt("manage", "require_approval", PROFILE, "certificate-approval-one")
    assert decide(otto, task_of(otto, "changed.example.test"), "approve") == 302
    done = wait(own, second["id"])
    assert done.returncode == NOT_APPROVED
    assert "has changed since this was approved" in done.stdout
    assert issued_for(own, "changed.example.test") == 1


def test_an_approver_who_lost_the_role_meanwhile_decides_nothing(own: Platform) -> None:
    lena = person(own, "lena", "pki-officer")
    asked = ask_for(own, "lost.example.test")
    task = task_of(lena, "lost.example.test")
    assert lena.send(task, f"{task}claim/", {}).status_code == 302
    password = (own.home / "secrets" / "postgres-password").read_text().strip()
    address = postgresql.url(
        Settings(own.home).runtime, user="postgres", password=password, database="pkakey"
    )
    with psycopg.connect(address) as connection:
        connection.execute(
            "UPDATE accounts_user_groups SET group_id = (SELECT id FROM auth_group "
            "WHERE name = 'pki-requester') WHERE user_id = (SELECT id FROM accounts_user "
            "WHERE username = 'lena')"
        )
    sent = {"field-outcome": "approve", "field-reason": "still here"}
    assert lena.send("/portal/certificates/new/", task, sent).status_code == 403
    assert own.ddt("request", "show", asked["id"], check=False).returncode == WAITS
    lena.http.close()


def test_the_way_back_is_closed_to_the_outside_even_with_the_key(own: Platform) -> None:
    key = (own.home / "secrets" / "koolflows-service-key").read_text().strip()
    for path in (
        "/internal/flows/issue/",
        "//internal/flows/issue/",
        "/x/../internal/flows/issue/",
    ):
        for host in ("pkakey", "flows"):
            answer = own.curl(
                f"https://{host}.{own.domain}:{own.https_port}{path}", "--path-as-is",
                "--resolve", f"{host}.{own.domain}:{own.https_port}:127.0.0.1",
                "-H", f"Authorization: Bearer {key}", "-H", "Idempotency-Key: x",
                "-d", "{}", "-o", "/dev/null", "-w", "%{http_code}",
            ).stdout  # fmt: skip
            assert answer in {"403", "404"}, (host, path, answer)


def pid_of(platform: Platform, name: str) -> int:
    rows = {row["name"]: row["pid"] for row in platform.status()["services"]}
    return int(rows[name])


def tree(platform: Platform, name: str) -> list[psutil.Process]:
    root = psutil.Process(pid_of(platform, name))
    return [root, *root.children(recursive=True)]


def wait_until_ready(platform: Platform) -> None:
    deadline = time.monotonic() + 120
    while platform.status()["state"] != "ready":
        assert time.monotonic() < deadline, platform.status()
        time.sleep(0.3)


def test_without_koolflows_what_needs_it_is_told_and_all_else_is_issued(own: Platform) -> None:
    folder = own.home.parent
    wait_until_ready(own)
    hanging = tree(own, "flows")
    for process in hanging:
        process.suspend()
    try:
        _, csr = make_csr(folder, "away.example.test")
        out = folder / "away.pem"
        refused = own.ddt(
            "issue", "--csr", csr, "--profile", PROFILE, "--out", out, "--json", check=False
        )
        assert refused.returncode == 1
        problem = json.loads(refused.stdout)
        assert (problem["status"], problem["code"]) == (503, "service.unavailable")
        assert "KoolFlows" in problem["detail"]
        assert not out.exists()
        own.ddt("issue", "--csr", csr, "--profile", "tls-server", "--out", out)
        assert out.exists()
    finally:
        for process in hanging:
            if process.is_running():
                process.resume()
    wait_until_ready(own)


@pytest.mark.parametrize("moment", range(4))
def test_a_kill_of_koolflows_anywhere_leaves_exactly_one_certificate(
    own: Platform, otto: Portal, moment: int
) -> None:
    wait_until_ready(own)
    name = f"killed-{moment}.example.test"
    asked = ask_for(own, name)
    task = task_of(otto, name)
    victims = [pid_of(own, "flows-worker"), *(one.pid for one in tree(own, "flows"))]
    if moment == 0:
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        wait_until_ready(own)
    assert decide(otto, task, "approve") == 302
    if moment:
        # Somewhere between the decision and the certificate, by chance and by machine.
        time.sleep(0.4 * (moment - 1))
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
    done = wait(own, asked["id"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert issued_for(own, name) == 1
    wait_until_ready(own)
    doctor = json.loads(own.ddt("doctor", "--json", check=False).stdout)
    checks = {row["name"]: row for row in doctor["checks"]}
    assert checks["signer-log"]["ok"], checks["signer-log"]


@pytest.mark.parametrize(
    "secret", ["koolflows-service-key", "koolflows-secret-key", "token-signing-key"]
)
def test_a_secret_changes_while_approvals_are_under_way(
    own: Platform, otto: Portal, secret: str
) -> None:
    wait_until_ready(own)
    begun = ask_for(own, f"before-{secret}.example.test")
    own.ddt("rotate", secret)
    wait_until_ready(own)
    # KoolFlows takes a request, and an officer's word, by tokens under the key of now.
    later = ask_for(own, f"after-{secret}.example.test")
    for name in (f"before-{secret}", f"after-{secret}"):
        assert decide(otto, task_of(otto, f"{name}.example.test"), "approve") == 302
    for asked in (begun, later):
        done = wait(own, asked["id"])
        assert done.returncode == 0, done.stdout + done.stderr
    for name in (f"before-{secret}", f"after-{secret}"):
        assert issued_for(own, f"{name}.example.test") == 1


def test_once_granted_a_teams_names_need_no_human_until_it_is_withdrawn(
    own: Platform, otto: Portal, oona: Portal
) -> None:
    wait_until_ready(own)
    token = portal_token(oona, "flows:read")
    asked = {
        "pattern": "*.team.internal", "profile": PROFILE, "purpose": "the team's own hosts",
        "until": (datetime.now(tz=UTC) + timedelta(days=30)).date().isoformat(),
    }  # fmt: skip
    answer = oona.post("/portal/grants/new/", asked)
    assert answer.status_code == 302, answer.text
    process = {"id": answer.headers["location"].rstrip("/").rpartition("/")[2]}
    assert flows_call(own, token, "GET", f"processes/{process['id']}/")["state"] == "running"
    task = task_of(otto, "*.team.internal", title="Grant of")
    assert decide(otto, task, "approve") == 302
    deadline = time.monotonic() + 60
    while flows_call(own, token, "GET", f"processes/{process['id']}/")["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.3)
    done = flows_call(own, token, "GET", f"processes/{process['id']}/")
    assert (done["state"], done["outcome"]) == ("completed", "Granted")
    folder = own.home.parent
    _, csr = make_csr(folder, "web.team.internal")
    out = folder / "granted.pem"
    words: list[str | Path] = ["issue", "--csr", csr, "--profile", PROFILE, "--out", out, "--json"]
    serial = json.loads(own.ddt(*words).stdout)["serial_number"]
    page = otto.get(f"/portal/certificates/{serial}/").text
    assert process["id"] in page
    assert "namespace-grant, version 1" in page
    grant = own.ddt("manage", "grants", "--state", "active").stdout.split()[0]
    page = otto.get(f"/portal/grants/{grant}/").text
    assert process["id"] in page
    assert f"/portal/certificates/{serial}/" in page
    assert otto.post(f"/portal/grants/{grant}/withdraw/", {"reason": "over"}).status_code == 302
    assert own.ddt(*words, check=False).returncode == WAITS


def start_and_end(
    platform: Platform, starter: Portal, diagram: str, data: object, decisions: Callable[[], None]
) -> tuple[str, str]:
    """Start a process, let people decide, and return state and outcome when it is over."""
    token = portal_token(starter, "flows:start", "flows:read")
    process = flows_call(platform, token, "POST", "processes/", {"diagram": diagram, "data": data})
    decisions()
    deadline = time.monotonic() + 60
    while (found := flows_call(platform, token, "GET", f"processes/{process['id']}/"))[
        "state"
    ] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.3)
    return found["state"], found["outcome"]


def test_two_people_change_a_profile_and_the_next_certificate_shows_it(
    own: Platform, otto: Portal, oona: Portal
) -> None:
    wait_until_ready(own)
    anna = person(own, "anna", "pki-admin")
    found = anna.get("/api/v1/profiles/").json()["results"]
    data = next(one["data"] for one in found if one["name"] == "tls-server")
    changed = data | {"version": data["version"] + 1, "title": "TLS server, as decided"}

    def decisions() -> None:
        assert decide(otto, task_of(otto, "tls-server", "Change of the profile"), "approve") == 302
        assert decide(anna, task_of(anna, "tls-server", "Change of the profile"), "approve") == 302

    asked = {"profile": "tls-server", "document": json.dumps(changed), "why": "A better title."}
    ended = start_and_end(own, oona, "profile-change", asked, decisions)
    assert ended == ("completed", "ProfileChanged")
    found = anna.get("/api/v1/profiles/").json()["results"]
    assert next(one["data"]["title"] for one in found if one["name"] == "tls-server") == (
        "TLS server, as decided"
    )
    anna.http.close()


def test_a_suspended_authority_issues_when_its_key_holders_have_agreed(
    own: Platform, otto: Portal, oona: Portal
) -> None:
    wait_until_ready(own)
    ada = person(own, "ada", "pki-admin")
    above = next(
        one["id"] for one in ada.get("/api/v1/authorities/").json()["results"]
        if one["parent"] is None
    )  # fmt: skip
    words = ("create_authority", "Second CA", "--parent", above, "--suspended")
    authority = own.ddt("manage", *words).stdout.split()[-1]
    _, csr = make_csr(own.home.parent, "second.example.test")
    out = own.home.parent / "second.pem"
    issue: list[str | Path] = ["issue", "--csr", csr, "--profile", "tls-server", "--out", out]
    issue += ["--authority", authority]
    refused = own.ddt(*issue, check=False)
    assert refused.returncode == 1
    assert "suspended" in refused.stdout + refused.stderr

    def decisions() -> None:
        for holder in (otto, oona):
            task = task_of(holder, "Second CA", "Activation of")
            assert decide(holder, task, "approve") == 302
        assert decide(otto, confirmation(otto), "approve") == 302

    def confirmation(portal: Portal) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            task = task_of(portal, "Second CA", "Activation of")
            if "Confirm the ceremony" in portal.get(task).text:
                return task
            time.sleep(0.3)
        pytest.fail("Nobody is asked to confirm.")

    asked = {"authority": authority, "name": "Second CA", "holders": 2}
    ended = start_and_end(own, ada, "ca-activation", asked, decisions)
    assert ended == ("completed", "CaActive")
    own.ddt(*issue)
    assert out.exists()
    ada.http.close()


def steadily(visit: Callable[[], object]) -> None:
    """Visit a page again where the machine's networks changed meanwhile, which ends a visit."""
    for _ in range(5):
        try:
            visit()
        except PlaywrightError as error:
            if "ERR_NETWORK_CHANGED" not in str(error):
                raise
            time.sleep(1)
        else:
            return
    visit()


@pytest.mark.browser
def test_inbox_task_process_and_request_are_readable_for_everybody(own: Platform) -> None:
    wait_until_ready(own)
    asked = ask_for(own, "seen.example.test")
    one_time = own.person("vera", "pki-officer")
    PICTURES.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    axe = resources.files("axe_core_python").joinpath("axe.min.js").read_text()
    with chromium(own) as browser:
        # For axe, which is put into the page, and sees colours half way where they move.
        context = browser.new_context(bypass_csp=True, reduced_motion="reduce")
        context.set_default_timeout(60_000)
        page = context.new_page()
        sign_in(page, own, "vera", one_time)

        def keep(name: str) -> None:
            schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
            for scheme in schemes:
                page.emulate_media(color_scheme=scheme)
                for size, (width, height) in SIZES.items():
                    page.set_viewport_size({"width": width, "height": height})
                    page.evaluate(axe)
                    found = page.evaluate("axe.run()")
                    wrong.extend(
                        f"{name}: {violation['id']}: {node['html'][:150]}"
                        for violation in found["violations"]
                        for node in violation["nodes"]
                    )
                    beyond = page.evaluate(
                        "document.documentElement.scrollWidth - window.innerWidth"
                    )
                    if beyond > 0:
                        wrong.append(f"{name}-{size}: {beyond} px too wide")
                    page.screenshot(path=PICTURES / f"{name}-{scheme}-{size}.png", full_page=True)

        steadily(lambda: page.goto(f"{own.portal}{INBOX}"))
        keep("approvals")
        page.get_by_role("link", name="Certificate for seen.example.test").first.click()
        expect(page.locator("svg.flow-picture .flow-here")).to_have_count(1)
        keep("task")
        page.get_by_label("Approve", exact=True).check()
        page.get_by_label("Reason").fill("The team runs this host.")
        page.get_by_role("button", name="Record the decision").click()
        expect(page.get_by_text("Your decision is recorded.")).to_be_visible()
        assert wait(own, asked["id"]).returncode == 0
        steadily(page.reload)
        expect(page.locator("svg.flow-picture .flow-passed").first).to_be_visible()
        keep("process")
        page.get_by_role("link", name="The request").click()
        keep("request")
        page.get_by_role("link", name="The certificate").click()
        keep("certificate-with-approval")
        context.close()
    assert not wrong
