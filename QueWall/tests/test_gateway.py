"""The real Traefik with QueWall's configuration, before back ends that echo what they were sent."""

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ddt.native import gateway
from ddt.settings import Settings

DOMAIN = "pki.localhost"
HOST = f"pkakey.{DOMAIN}"
FLOWS = f"flows.{DOMAIN}"
ADMIN_COOKIE = "session=admin"


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent; lets the admin's cookie pass and nobody else."""

    protocol_version = "HTTP/1.1"
    name = "web"

    def do_GET(self) -> None:
        status = 200
        if self.path.startswith("/internal/forward-auth"):
            status = 200 if self.headers.get("Cookie") == ADMIN_COOKIE else 403
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        body = json.dumps(
            {"by": self.name, "path": self.path, "headers": [list(h) for h in self.headers.items()]}
        ).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815  # http.server fixes the name.

    def log_message(self, *_: object) -> None:
        """Stay silent."""


class StatusEcho(Echo):
    name = "status"


class FlowsEcho(Echo):
    name = "flows"


def serve(handler: type[Echo]) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_certificate(folder: Path) -> int:
    """Write a self-signed certificate for the gateway and return its serial number."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    draft = folder / ".tls.pem.new"
    draft.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    draft.rename(folder / "tls.pem")
    return certificate.serial_number


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def echo(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.body)
        return answer

    @property
    def seen(self) -> dict[str, str]:
        """The headers as a WSGI server would name them."""
        return {
            "HTTP_" + "".join(c if c.isalnum() else "_" for c in name).upper(): value
            for name, value in self.echo["headers"]
        }


@dataclass
class Gateway:
    settings: Settings

    def ask(
        self,
        path: str,
        *,
        host: str = HOST,
        tls: bool = True,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        connection: http.client.HTTPConnection
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection = http.client.HTTPSConnection(
                "127.0.0.1", self.settings.https_port, context=context, timeout=10
            )
        else:
            connection = http.client.HTTPConnection(
                "127.0.0.1", self.settings.http_port, timeout=10
            )
        try:
            connection.request(method, path, body=body, headers={"Host": host, **(headers or {})})
            response = connection.getresponse()
            return Answer(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        finally:
            connection.close()

    def serial(self) -> int:
        pem = ssl.get_server_certificate(("127.0.0.1", self.settings.https_port))
        return x509.load_pem_x509_certificate(pem.encode()).serial_number


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = tmp_path_factory.mktemp("gateway")
    settings = Settings(home, DOMAIN, free_port(), free_port())
    settings.logs.mkdir()
    write_certificate(settings.tls)
    web, status, data = serve(Echo), serve(StatusEcho), serve(StatusEcho)
    flows = serve(FlowsEcho)
    ports = gateway.BackEnds(
        web.server_port, status.server_port, data.server_port, flows.server_port, free_port()
    )
    static = gateway.write_configuration(settings, ports)
    with (home / "log").open("wb") as log:
        traefik = subprocess.Popen(
            [gateway.program(), f"--configFile={static}"], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                if Gateway(settings).ask("/").status == 200:
                    break
            except OSError:
                pass
            assert time.monotonic() < deadline, (home / "log").read_text()
            time.sleep(0.1)
        yield Gateway(settings)
        assert "level=error" not in (home / "log").read_text().replace(
            '"level":"error"', "level=error"
        ).replace("no such file", ""), (home / "log").read_text()
    finally:
        traefik.terminate()
        traefik.wait(20)
        for server in (web, status, data, flows):
            server.shutdown()
            server.server_close()
        shutil.rmtree(home)


NAMES = [
    "X-Forwarded-User", "X-Forwarded-Groups", "X-Forwarded-Email", "Remote-User", "X-Remote-User",
    "X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Preferred-Username",
    "X-SSL-Client-Cert", "X-SSL-Client-Verify", "SSL-Client-Cert", "X-User", "X-Username",
    "X-Forwarded-Tls-Client-Cert", "X-Webauth-User", "X-Authenticated-User", "X-Namespace",
    "X-Roles", "Forwarded", "Proxy",
]  # fmt: skip
MARKS = ["_", ".", "~", "!", "+", "'", "`"]


@pytest.mark.parametrize("path", ["/portal/", "/api/v1/certificates/", "/accounts/login/", "/ocsp"])
@pytest.mark.parametrize("name", NAMES)
def test_no_identity_header_from_outside_arrives(running: Gateway, name: str, path: str) -> None:
    answer = running.ask(path, headers={name: "forged", name.lower(): "forged"})
    assert "forged" not in answer.body.decode()


@pytest.mark.parametrize("mark", ["-", *MARKS])
@pytest.mark.parametrize("name", ["X-Forwarded-User", "Remote-User"])
def test_no_identity_header_arrives_however_it_is_spelt(
    running: Gateway, name: str, mark: str
) -> None:
    assert_none_arrives(running, name.replace("-", mark))


# Their plain forms are the gateway's own to write, which other tests look at.
@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Host"])
def test_no_alias_of_a_header_of_the_gateways_own_arrives(
    running: Gateway, name: str, mark: str
) -> None:
    assert_none_arrives(running, name.replace("-", mark))


def assert_none_arrives(running: Gateway, alias: str) -> None:
    for spelling in (alias, alias.upper(), alias.lower()):
        for tls in (True, False):
            answer = running.ask("/ocsp", headers={spelling: "forged"}, tls=tls)
            assert "forged" not in answer.body.decode(), spelling


def test_a_mixed_alias_does_not_arrive(running: Gateway) -> None:
    answer = running.ask("/", headers={"X-Auth_Request-User": "forged", "X_SSL-Client_S-DN": "x"})
    assert "HTTP_X_AUTH_REQUEST_USER" not in answer.seen
    assert "HTTP_X_SSL_CLIENT_S_DN" not in answer.seen


def test_where_a_request_came_from_cannot_be_forged(running: Gateway) -> None:
    forged = {
        "X-Forwarded-For": "203.0.113.9", "X-Real-Ip": "203.0.113.9", "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example", "X-Forwarded-Port": "1", "X-Forwarded-Server": "evil",
        "X-Forwarded-Prefix": "/evil",
    }  # fmt: skip
    seen = running.ask("/", headers=forged).seen
    assert "203.0.113.9" not in json.dumps(seen)
    assert "evil" not in json.dumps(seen)
    assert seen["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert seen["HTTP_X_FORWARDED_PROTO"] == "https"


def test_a_connection_header_cannot_take_the_gateways_own_headers_away(running: Gateway) -> None:
    seen = running.ask("/", headers={"Connection": "X-Forwarded-For, X-Forwarded-Proto"}).seen
    assert seen["HTTP_X_FORWARDED_PROTO"] == "https"
    assert seen["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"


def test_authorization_and_cookies_do_arrive(running: Gateway) -> None:
    seen = running.ask("/api/v1/", headers={"Authorization": "Bearer x", "Cookie": "a=b"}).seen
    assert seen["HTTP_AUTHORIZATION"] == "Bearer x"
    assert seen["HTTP_COOKIE"] == "a=b"


@pytest.mark.parametrize("path", ["/", "/dashboard/", "/api/rawdata", "/api/http/routers"])
@pytest.mark.parametrize("cookie", ["", "session=officer", "session=admin; x=y"])
def test_the_dashboard_is_closed_to_all_but_an_admin(
    running: Gateway, path: str, cookie: str
) -> None:
    forged = {"X-Forwarded-User": "admin", "X-Forwarded-Uri": "/", "Cookie": cookie}
    assert running.ask(path, host=DOMAIN, headers=forged).status == 403


def test_the_dashboard_opens_for_an_admin(running: Gateway) -> None:
    allowed = {"Cookie": ADMIN_COOKIE}
    first = running.ask("/", host=DOMAIN, headers=allowed)
    assert first.status == 302
    assert first.headers["location"] == f"{running.settings.gateway}/dashboard/"
    assert running.ask("/dashboard/", host=DOMAIN, headers=allowed).status == 200
    routers = json.loads(running.ask("/api/http/routers", host=DOMAIN, headers=allowed).body)
    assert [r for r in routers if r["status"] != "enabled"] == []


@pytest.mark.parametrize("path", ["/internal/forward-auth/admin", "/internal/", "/internal/x"])
def test_what_only_the_gateway_may_ask_is_closed(running: Gateway, path: str) -> None:
    assert running.ask(path, headers={"Cookie": ADMIN_COOKIE}).status == 403


def test_the_workflow_service_gets_its_tokens_and_nobodys_cookies(running: Gateway) -> None:
    answer = running.ask(
        "/api/v1/tasks/", host=FLOWS, headers={"Authorization": "Bearer x", "Cookie": "a=b"}
    )
    assert answer.echo["by"] == "flows"
    assert answer.seen["HTTP_AUTHORIZATION"] == "Bearer x"
    assert "HTTP_COOKIE" not in answer.seen


@pytest.mark.parametrize("path", ["/internal/", "/internal/x", "//internal/x", "/metrics"])
def test_what_is_internal_to_the_workflow_service_is_closed(running: Gateway, path: str) -> None:
    assert running.ask(path, host=FLOWS).status == 403


@pytest.mark.parametrize(
    "path",
    ["/internal/flows/issue/", "/x/../internal/flows/issue/", "//internal/flows/issue/",
     "/%69nternal/flows/issue/"],
)  # fmt: skip
def test_what_the_workflow_service_asks_of_pkakey_is_on_no_route(
    running: Gateway, path: str
) -> None:
    sent = {"Authorization": "Bearer guessed", "Idempotency-Key": "x"}
    for host in (HOST, FLOWS, DOMAIN):
        answer = running.ask(path, host=host, method="POST", headers=sent, body=b"{}")
        assert answer.status in {403, 404, 405} or "by" not in json.loads(answer.body)


@pytest.mark.parametrize("host", ["evil.example", "pkakey.evil.example", "127.0.0.1", "pkakey"])
def test_a_host_that_is_not_ours_gets_nothing_over_https(running: Gateway, host: str) -> None:
    assert running.ask("/", host=host).status == 404


AUTHORITY = "0198f1e2-7d3c-7abc-8def-0123456789ab"
PLAIN = [f"/crl/{AUTHORITY}.crl", "/ocsp", f"/ca/{AUTHORITY}.cer", f"/ca/{AUTHORITY}.pem"]


@pytest.mark.parametrize("host", [HOST, "127.0.0.1", "other.example"])
@pytest.mark.parametrize("path", PLAIN)
def test_status_is_served_in_plain_on_any_host(running: Gateway, path: str, host: str) -> None:
    answer = running.ask(path, host=host, tls=False)
    assert answer.status == 200
    assert answer.echo["by"] == "status"


@pytest.mark.parametrize("path", PLAIN)
def test_status_is_served_over_https_too(running: Gateway, path: str) -> None:
    assert running.ask(path).echo["by"] == "status"


def test_an_ocsp_request_in_a_get_arrives_as_it_was_sent(running: Gateway) -> None:
    path = "/ocsp/MFQwUjBQ//aa%2Fbb%2B+cc=="
    assert running.ask(path, tls=False).echo["path"] == path


def test_an_ocsp_request_in_a_post_arrives(running: Gateway) -> None:
    headers = {"Content-Type": "application/ocsp-request"}
    answer = running.ask("/ocsp", tls=False, method="POST", body=b"0" * 100, headers=headers)
    assert answer.echo["by"] == "status"


@pytest.mark.parametrize("host", [HOST, "evil.example", "127.0.0.1"])
@pytest.mark.parametrize(
    "path", ["/", "/portal/?a=b&c=d", "/api/v1/certificates/", "/ocspx", "/crl", "/CRL/x", "//x/y"]
)
def test_plain_http_sends_everything_else_to_https(running: Gateway, path: str, host: str) -> None:
    answer = running.ask(path, host=host, tls=False)
    assert answer.status in {301, 308}
    assert answer.headers["location"] == f"{running.settings.portal}{path}"


def test_plain_http_of_the_domain_goes_to_the_dashboards_address(running: Gateway) -> None:
    answer = running.ask("/dashboard/", host=DOMAIN, tls=False)
    assert answer.headers["location"] == f"{running.settings.gateway}/dashboard/"


def test_a_body_sent_in_plain_does_not_reach_the_portal(running: Gateway) -> None:
    answer = running.ask("/api/v1/certificates/", tls=False, method="POST", body=b"{}")
    assert answer.status == 308
    assert b"echo" not in answer.body


def test_every_answer_over_https_has_the_security_headers(running: Gateway) -> None:
    for path in ("/", "/api/v1/", "/accounts/login/"):
        seen = running.ask(path).headers
        assert seen["strict-transport-security"] == "max-age=31536000"
        assert seen["x-content-type-options"] == "nosniff"
        assert seen["referrer-policy"] == "same-origin"
        assert seen["x-frame-options"] == "SAMEORIGIN"
        assert "server" not in seen


def test_plain_http_sets_no_hsts(running: Gateway) -> None:
    # RFC 6797 section 7.2 forbids it there.
    assert "strict-transport-security" not in running.ask("/ocsp", tls=False).headers


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls_is_refused(running: Gateway, version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", running.settings.https_port)) as plain,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
    ):
        context.wrap_socket(plain, server_hostname=HOST)


def test_sign_in_is_slowed_down_and_the_api_is_not(running: Gateway) -> None:
    # Two a second and twenty at once are let through, however slow the machine is.
    answers = (running.ask("/accounts/login/", method="POST").status for _ in range(200))
    assert 429 in answers
    api = [running.ask("/api/v1/").status for _ in range(100)]
    assert set(api) == {200}


def test_headers_beyond_measure_are_refused(running: Gateway) -> None:
    assert running.ask("/", headers={"X-Long": "a" * 100_000}).status == 431


def test_a_renewed_certificate_is_taken_without_a_restart(running: Gateway) -> None:
    for _ in range(3):
        before = running.serial()
        renewed = write_certificate(running.settings.tls)
        deadline = time.monotonic() + 15
        # Each of these asks for an answer: there is no moment without a certificate.
        while running.serial() == before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert running.serial() == renewed
