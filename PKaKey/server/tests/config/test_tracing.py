"""Traces, received by a real OTLP collector of this test: spans of every layer, nothing private."""

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from PKaKey.server.tests.conftest import csr

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CLIENT = """
import io, json, sys
from pkakey.config.wsgi import application
from pkakey.config import celery, tasks

request = json.load(sys.stdin)
body = json.dumps(request["body"]).encode()
environ = {
    "REQUEST_METHOD": "POST", "PATH_INFO": "/api/v1/certificates/", "SCRIPT_NAME": "",
    "QUERY_STRING": "secret=hunter2", "CONTENT_TYPE": "application/json",
    "CONTENT_LENGTH": str(len(body)), "SERVER_NAME": "localhost", "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "localhost", "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr,
    "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
    "HTTP_X_FORWARDED_PROTO": "https", "HTTP_AUTHORIZATION": "Bearer " + request["token"],
    "HTTP_USER_AGENT": "hunter2", "HTTP_X_REQUEST_ID": "traced.7", **request["more"],
}
said = []
answer = application(environ, lambda status, headers, *rest: said.append(status))
body = b"".join(answer)
if hasattr(answer, "close"):
    answer.close()
if request["publish"]:
    from opentelemetry import trace
    with trace.get_tracer("test").start_as_current_span("publishing"):
        tasks.relay_outbox.apply_async()
print(said[0], {"opentelemetry.sdk.trace", "opentelemetry.exporter"} & set(sys.modules) != set())
"""


class Collector(ThreadingHTTPServer):
    """Takes what OTLP over HTTP sends (`POST /v1/traces`, protobuf)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receive)
        self.spans: list[tuple[str, Any]] = []
        self.raw = b""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def named(self, name: str) -> Any:
        return next(span for _, span in self.spans if span.name == name)

    def wait_for(self, name: str) -> Any:
        deadline = time.monotonic() + 60
        while not any(span.name == name for _, span in list(self.spans)):
            if time.monotonic() > deadline:
                pytest.fail(f"No span {name!r} in {sorted({s.name for _, s in self.spans})}.")
            time.sleep(0.05)
        return self.named(name)


class Receive(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        assert self.path == "/v1/traces"
        assert self.headers["Content-Type"] == "application/x-protobuf"
        self.server.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = attributes(resource.resource)["service.name"]
            for scope in resource.scope_spans:
                self.server.spans += [(service, span) for span in scope.spans]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def attributes(holder: Any) -> dict[str, str]:
    return {each.key: each.value.string_value for each in holder.attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        yield server
        server.shutdown()


@pytest.fixture
def environment(
    platform: Any,
    signer_process: Path,
    role_dsn: Callable[[str], str],
    redis_url: str,
    tmp_path: Path,
) -> dict[str, str]:
    """A running platform's environment, of the web process's role."""
    (tmp_path / "key").write_text("k3yMaterial-" * 6)
    (tmp_path / "static").mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PKAKEY_", "OTEL_"))}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "pkakey.config.settings",
        "PKAKEY_DATABASE_URL": role_dsn("pkakey_web"),
        "PKAKEY_REDIS_URL": redis_url,
        "PKAKEY_SIGNER_SOCKET": str(signer_process / "signer.sock"),
        "PKAKEY_SECRET_KEY_FILE": str(tmp_path / "key"),
        "PKAKEY_STATIC_ROOT": str(tmp_path / "static"),
    }


def issue(
    platform: Any,
    environment: dict[str, str],
    *,
    publish: bool = False,
    more: dict[str, str] | None = None,
) -> str:
    """Issue a certificate in a web process of its own; return the status it gave and printed."""
    request = {
        "body": {"csr": csr("traced.example.test").decode(), "profile": "tls-server"},
        "token": platform.token("certificates:issue").token,
        "publish": publish,
        "more": more or {},
    }
    done = subprocess.run(
        [sys.executable, "-c", CLIENT],
        input=json.dumps(request),
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_request_is_one_trace_with_its_use_case_the_signer_and_the_database(
    platform: Any, environment: dict[str, str], collector: Collector
) -> None:
    traced = environment | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}
    assert issue(platform, traced).startswith("201 Created")
    request = collector.wait_for("POST rest:certificates")
    assert {service for service, _ in collector.spans} == {"pkakey-web"}
    assert attributes(request)["pkakey.request_id"] == "traced.7"
    assert request.parent_span_id == b""
    use_case = collector.named("issue_certificate")
    assert use_case.parent_span_id == request.span_id
    inside = {request.span_id, use_case.span_id}
    signer = collector.named("signer sign")
    assert signer.trace_id == use_case.trace_id == request.trace_id
    assert signer.start_time_unix_nano < signer.end_time_unix_nano
    of_ours = [span for _, span in collector.spans if span.trace_id == request.trace_id]
    database = [
        s for s in of_ours if attributes(s).get("db.system.name", attributes(s).get("db.system"))
    ]
    assert len(database) >= 3
    known = inside | {span.span_id for span in of_ours}
    assert {span.parent_span_id for span in of_ours} - {b""} <= known


def test_no_span_holds_what_a_client_sent_or_a_statements_values(
    platform: Any, environment: dict[str, str], collector: Collector
) -> None:
    traced = environment | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}
    issue(platform, traced)
    collector.wait_for("POST rest:certificates")
    for private in (b"hunter2", b"traced.example.test", b"CERTIFICATE REQUEST", b"Bearer"):
        assert private not in collector.raw


def test_a_callers_trace_goes_on_and_a_malformed_one_is_dropped(
    platform: Any, environment: dict[str, str], collector: Collector
) -> None:
    traced = environment | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}
    issue(platform, traced, more={"HTTP_TRACEPARENT": PARENT, "HTTP_BAGGAGE": "who=hunter2"})
    request = collector.wait_for("POST rest:certificates")
    assert request.trace_id.hex() == PARENT.split("-")[1]
    assert request.parent_span_id.hex() == PARENT.split("-")[2]
    collector.spans.clear()
    issue(platform, traced, more={"HTTP_TRACEPARENT": "00-" + "z" * 4000})
    assert collector.wait_for("POST rest:certificates").parent_span_id == b""


def test_the_worker_goes_on_with_the_trace_that_came_with_the_message(
    platform: Any,
    environment: dict[str, str],
    collector: Collector,
    role_dsn: Callable[[str], str],
) -> None:
    traced = environment | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}
    issue(platform, traced, publish=True)
    worker = subprocess.Popen(
        [
            *(sys.executable, "-m", "celery", "--app", "pkakey.config.celery", "worker"),
            *("--pool", "threads", "--concurrency", "1", "--without-gossip", "--without-mingle"),
        ],
        env=traced
        | {
            "DJANGO_SETTINGS_MODULE": "pkakey.config.settings_worker",
            "PKAKEY_DATABASE_URL": role_dsn("pkakey_worker"),
        },
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        task = collector.wait_for("run/pkakey.config.tasks.relay_outbox")
    finally:
        worker.terminate()
        worker.wait(60)
    use_case = collector.wait_for("relay_outbox")
    assert task.trace_id == collector.named("publishing").trace_id == use_case.trace_id
    assert use_case.parent_span_id == task.span_id
    assert {"pkakey-web", "pkakey-worker"} == {service for service, _ in collector.spans}


def test_without_an_endpoint_neither_tracer_nor_exporter_is_loaded(
    platform: Any, environment: dict[str, str]
) -> None:
    assert issue(platform, environment) == "201 Created False"
    for off in ({"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}):
        more = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
        assert issue(platform, environment | more | off) == "201 Created False"


def test_a_collector_that_does_not_answer_fails_no_request(
    platform: Any, environment: dict[str, str]
) -> None:
    nobody = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }
    assert issue(platform, environment | nobody) == "201 Created True"


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, "no address of a collector"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://collector"}, "no address of a collector"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            },
            "sent as http/protobuf",
        ),
    ],
)
def test_a_variable_that_cannot_work_is_refused_at_the_start(
    variables: dict[str, str], sentence: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from pkakey.config.tracing import begin_tracing as b; b('web')"],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert sentence in done.stderr


def test_a_missing_package_is_named_with_what_to_do() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from pkakey.config.tracing import begin_tracing; begin_tracing('web')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "pkakey[tracing]" in done.stderr
