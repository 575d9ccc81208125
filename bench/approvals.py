"""Measure approvals: so many requests begun, approved by one officer, and issued.

`python -m bench.approvals` starts a platform of its own, and takes it down. The officer decides
over KoolFlows' API through the gateway, with a signed token of their own.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import psycopg
from ddt.native import postgresql
from ddt.settings import Settings

from bench.load import Target, measure
from bench.requests import csr_pem, issue_request
from e2e.native_platform import Platform
from e2e.portal import Portal

PROFILE = "tls-client"
DIAGRAM = "certificate-approval-one"
AT_ONCE = 4


def officers_token(platform: Platform) -> str:
    """Return a token by which an officer decides at KoolFlows."""
    portal = Portal(platform)
    portal.sign_in("bench", platform.person("bench", "pki-officer"))
    page = portal.get("/portal/tokens/")
    csrf = page.text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    answer = portal.http.post(
        "/api/v1/tokens/",
        json={"name": "bench", "scopes": ["flows:decide", "flows:read"], "form": "jwt"},
        headers={"X-CSRFToken": csrf, "Accept": "application/json"},
        extensions={"sni_hostname": f"pkakey.{platform.domain}"},
    )
    answer.raise_for_status()
    token: str = answer.json()["token"]
    return token


class Officer:
    """Lists the open tasks and decides them, some at once."""

    def __init__(self, platform: Platform, token: str) -> None:
        """Speak to KoolFlows through the gateway."""
        host = f"flows.{platform.domain}"
        self.http = httpx.Client(
            base_url=f"https://127.0.0.1:{platform.https_port}/api/v1/",
            verify=str(platform.root()),
            headers={
                "Host": f"{host}:{platform.https_port}", "Authorization": f"Bearer {token}",
            },
            trust_env=False,
            timeout=60,
        )  # fmt: skip
        self.host = host

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Send one request; a failure ends the measurement."""
        answer = self.http.request(method, path, json=body, extensions={"sni_hostname": self.host})
        answer.raise_for_status()
        return answer

    def tasks(self) -> list[str]:
        """Return every open task's id, page by page."""
        found: list[str] = []
        path = "tasks/?page_size=100"
        while path:
            page = self.ask("GET", path).json()
            found += [one["id"] for one in page["results"]]
            path = (page["next"] or "").partition("/api/v1/")[2]
        return found

    def newest(self) -> list[str]:
        """Return the ids of the newest processes."""
        page = self.ask("GET", "processes/?state=running&page_size=20").json()
        return [one["id"] for one in page["results"]]

    def approve(self, task: str) -> float:
        """Approve a task; return how long that took in seconds."""
        began = time.perf_counter()
        values = {"outcome": "approve", "reason": "measured"}
        self.ask("POST", f"tasks/{task}/decision/", {"values": values})
        return time.perf_counter() - began


def issued(platform: Platform) -> int:
    """Return how many requests are issued."""
    password = (platform.home / "secrets" / "postgres-password").read_text().strip()
    address = postgresql.url(
        Settings(platform.home).runtime, user="postgres", password=password, database="pkakey"
    )
    with psycopg.connect(address) as connection:
        row = connection.execute(
            "SELECT count(*) FROM requests_request WHERE state = 'issued'"
        ).fetchone()
        return int(row[0]) if row else 0


def share(values: list[float], part: float) -> float:
    """Return the value in milliseconds that this part of the values stayed under."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] * 1000


def run(platform: Platform, officer: Officer, number: int) -> dict[str, float]:
    """Measure one run."""
    platform.ddt("manage", "require_approval", PROFILE, DIAGRAM)
    host = f"pkakey.{platform.domain}"
    token = platform.token("certificates:issue")
    requests = [
        issue_request(
            host=f"{host}:{platform.https_port}", token=token, profile=PROFILE,
            csr=csr_pem(f"a{index}.bench.test"),
        )
        for index in range(number)
    ]  # fmt: skip
    target = Target(platform.https_port, host, str(platform.root()))
    begun = measure(
        target, requests, expected_status=202, connections=AT_ONCE, seconds=1800, warm_up_seconds=0
    )
    if begun.errors:
        # Else this would wait for certificates that nobody asked for.
        raise SystemExit(f"{len(begun.errors)} requests were not begun: {begun.errors[0]}")
    began = time.perf_counter()
    tasks = officer.tasks()
    listed = time.perf_counter() - began
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        decided = list(pool.map(officer.approve, tasks))
    deciding = time.perf_counter() - began
    while issued(platform) < number:
        time.sleep(0.2)
    whole = time.perf_counter() - began
    return {
        "requests": number,
        "errors": len(begun.errors),
        "begun_per_second": round(begun.rate, 1),
        "begun_p50_ms": round(begun.percentile_ms(0.5), 1),
        "begun_p95_ms": round(begun.percentile_ms(0.95), 1),
        "inbox_of_all_seconds": round(listed, 2),
        "decided_per_second": round(len(decided) / deciding, 1),
        "decided_p50_ms": round(share(decided, 0.5), 1),
        "decided_p95_ms": round(share(decided, 0.95), 1),
        "from_first_decision_to_last_certificate_seconds": round(whole, 1),
        "issued_per_second": round(number / whole, 1),
    }


_COPY_PROCESSES = """
    INSERT INTO instances_instance (id, namespace, version_id, key, business_key, title, state,
        outcome, revision, content, data, next_due_at, incident_code, incident_detail, started_by,
        started_by_name, started_at)
    SELECT gen_random_uuid(), namespace, version_id, key, business_key, title, state, outcome,
        revision, content, data, next_due_at + make_interval(secs => n), incident_code,
        incident_detail, started_by, started_by_name, started_at - make_interval(secs => n * 0.001)
    FROM instances_instance, generate_series(1, %s) AS n WHERE id = %s"""
_COPY_TASKS = """
    INSERT INTO tasks_humantask (id, namespace, instance_id, element, name, title, state, roles,
        assignee_name, excluded, data, created_at, due_at, completed_by_name)
    SELECT gen_random_uuid(), t.namespace, i.id, t.element, t.name, t.title, t.state, t.roles,
        '', t.excluded, t.data, i.started_at, t.due_at, ''
    FROM tasks_humantask t, instances_instance i
    WHERE t.instance_id = %s AND i.state = 'running' AND i.id <> t.instance_id"""
_DUE = "SELECT count(*) FROM flows.due_instances(now(), 100)"


def _median_ms(act: Callable[[], object], times: int = 20) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
    return round(share(taken, 0.5), 1)


def wait_for_many(platform: Platform, officer: Officer, number: int) -> dict[str, float]:
    """Measure the inbox, the timers' question and one approval, then again beside so many."""
    password = (platform.home / "secrets" / "postgres-password").read_text().strip()
    address = postgresql.url(
        Settings(platform.home).runtime, user="postgres", password=password, database="koolflows"
    )
    host = f"pkakey.{platform.domain}"
    target = Target(platform.https_port, host, str(platform.root()))
    token = platform.token("certificates:issue")

    def begin(name: str) -> str:
        before = set(officer.newest())
        body = issue_request(
            host=f"{host}:{platform.https_port}", token=token, profile=PROFILE, csr=csr_pem(name)
        )
        measure(target, [body], expected_status=202, connections=1, seconds=60, warm_up_seconds=0)
        return next(one for one in officer.newest() if one not in before)

    def approve(index: int) -> None:
        process = begin(f"w{index}.bench.test")
        (task,) = officer.ask("GET", f"processes/{process}/tasks/").json()["results"]
        before = issued(platform)
        officer.approve(task["id"])
        while issued(platform) == before:
            time.sleep(0.02)

    figures: dict[str, float] = {"waiting": number}
    with psycopg.connect(address, autocommit=True) as connection:
        kept = begin("kept.bench.test")
        for moment in ("before", "beside"):
            if moment == "beside":
                began = time.perf_counter()
                connection.execute(_COPY_PROCESSES, [number, kept])
                connection.execute(_COPY_TASKS, [kept])
                figures["filled_seconds"] = round(time.perf_counter() - began, 1)
                connection.execute("VACUUM ANALYZE")  # As the server does by itself, in a while.
            for box in ("all", "group", "mine", "overdue"):
                path = f"tasks/?box={box}&page_size=50"
                figures[f"inbox_{box}_ms_{moment}"] = _median_ms(partial(officer.ask, "GET", path))
            figures[f"due_timers_ms_{moment}"] = _median_ms(partial(connection.execute, _DUE))
            figures[f"one_approval_ms_{moment}"] = _median_ms(partial(approve, len(moment)), 10)
    return figures


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--waiting", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ddt-bench-") as folder:
        platform = Platform(Path(folder) / "home")
        platform.ddt("up")
        try:
            officer = Officer(platform, officers_token(platform))
            figures = run(platform, officer, options.number)
            figures |= wait_for_many(platform, officer, options.waiting)
            print(json.dumps(figures, indent=2))
        finally:
            platform.ddt("down")


if __name__ == "__main__":
    main()
