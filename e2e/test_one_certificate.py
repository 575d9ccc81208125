"""The walking thread: a request made by openssl becomes a certificate that real clients accept."""

import json
import socket
import subprocess
import time
from pathlib import Path

import pytest

from e2e.native_platform import Platform, free_port, make_csr, openssl

pytestmark = pytest.mark.platform


def issue(platform: Platform, folder: Path, name: str, key: str = "ec") -> tuple[Path, Path, Path]:
    key_file, csr_file = make_csr(folder, name, key=key)
    certificate, chain = folder / f"{name}.pem", folder / f"{name}-chain.pem"
    platform.ddt(
        "issue", "--csr", csr_file, "--profile", "tls-server", "--out", certificate,
        "--chain-out", chain,
    )  # fmt: skip
    return key_file, certificate, chain


def serial(certificate: Path) -> str:
    shown = openssl("x509", "-in", certificate, "-noout", "-serial").stdout
    return f"{int(shown.strip().removeprefix('serial='), 16):x}"


@pytest.mark.parametrize("key", ["ec", "rsa", "ed25519"])
def test_openssl_verifies_the_issued_certificate(
    platform: Platform, tmp_path: Path, key: str
) -> None:
    name = f"verify-{key}.example.test"
    _, certificate, chain = issue(platform, tmp_path, name, key)
    result = openssl(
        "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", name,
        "-CAfile", platform.root(), "-untrusted", chain, certificate,
    )  # fmt: skip
    assert result.stdout.strip() == f"{certificate}: OK"


def test_a_server_with_the_certificate_is_trusted_by_curl(
    platform: Platform, tmp_path: Path
) -> None:
    name = "web.example.test"
    key_file, certificate, chain = issue(platform, tmp_path, name)
    port = free_port()
    server = subprocess.Popen(
        [
            "openssl",
            "s_server",
            "-www",
            "-quiet",
            "-accept",
            str(port),
            "-key",
            key_file,
            "-cert",
            certificate,
            "-cert_chain",
            chain,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port)
        resolve = ["--resolve", f"{name}:{port}:127.0.0.1"]
        fetched = platform.curl(
            f"https://{name}:{port}/", *resolve, "-o", "/dev/null", "-w", "%{http_code}"
        )
        assert fetched.stdout == "200", fetched.stderr
        wrong = platform.curl(
            f"https://other.example.test:{port}/",
            "--resolve",
            f"other.example.test:{port}:127.0.0.1",
        )
        assert wrong.returncode == 60, "curl must refuse the certificate for another name"
    finally:
        server.terminate()
        server.wait()


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"Nothing listens on port {port}.")


def crl_check(platform: Platform, certificate: Path, chain: Path, folder: Path) -> str:
    """Fetch the CRL that the certificate names, over plain HTTP, and ask openssl with it."""
    text = openssl("x509", "-in", certificate, "-noout", "-ext", "crlDistributionPoints").stdout
    url = next(word for line in text.splitlines() for word in line.split() if "URI:" in word)
    der, pem = folder / "list.crl", folder / "list.pem"
    assert platform.curl(url.removeprefix("URI:"), "-f", "-o", der).returncode == 0
    openssl("crl", "-inform", "DER", "-in", der, "-out", pem)
    result = openssl(
        "verify", "-crl_check", "-CRLfile", pem, "-CAfile", platform.root(), "-untrusted", chain,
        certificate, check=False,
    )  # fmt: skip
    return result.stdout + result.stderr


def ocsp_check(platform: Platform, certificate: Path, chain: Path) -> str:
    result = openssl(
        "ocsp", "-issuer", chain, "-cert", certificate, "-CAfile", platform.root(),
        "-url", f"http://127.0.0.1:{platform.http_port}/ocsp", check=False,
    )  # fmt: skip
    return result.stdout + result.stderr


def test_a_revocation_is_seen_at_once_by_crl_and_by_ocsp(
    platform: Platform, tmp_path: Path
) -> None:
    _, certificate, chain = issue(platform, tmp_path, "revoked.example.test")
    assert crl_check(platform, certificate, chain, tmp_path).endswith(": OK\n")
    before = ocsp_check(platform, certificate, chain)
    assert "Response verify OK" in before
    assert f"{certificate}: good" in before
    platform.ddt("revoke", certificate, "--reason", "keyCompromise")
    after = ocsp_check(platform, certificate, chain)
    assert "Response verify OK" in after
    assert f"{certificate}: revoked" in after
    assert "Reason: keyCompromise" in after
    assert "certificate revoked" in crl_check(platform, certificate, chain, tmp_path)


def test_a_serial_that_was_never_issued_is_unknown_to_ocsp(
    platform: Platform, tmp_path: Path
) -> None:
    _, _, chain = issue(platform, tmp_path, "known.example.test")
    result = openssl(
        "ocsp", "-issuer", chain, "-serial", "0x1234567890abcdef", "-CAfile", platform.root(),
        "-url", f"http://127.0.0.1:{platform.http_port}/ocsp",
    )  # fmt: skip
    assert "0x1234567890abcdef: unknown" in result.stdout


def test_the_rest_contract_holds_from_issue_to_revoke(platform: Platform, tmp_path: Path) -> None:
    token = platform.token("certificates:issue", "certificates:read", "certificates:revoke")
    _, csr = make_csr(tmp_path, "rest.example.test")
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"csr": csr.read_text(), "profile": "tls-server"}))
    bearer = ["-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json"]
    api = f"{platform.portal}/api/v1"
    issued = json.loads(
        platform.curl(f"{api}/certificates/", "-f", *bearer, "-d", f"@{body}").stdout
    )
    certificate = tmp_path / "rest.pem"
    certificate.write_text(issued["pem"])
    assert issued["serial_number"] == serial(certificate)
    assert len(issued["chain"]) >= 1
    one = f"{api}/certificates/{issued['serial_number']}/"
    assert json.loads(platform.curl(one, "-f", *bearer).stdout)["pem"] == issued["pem"]
    revoked = platform.curl(f"{one}revoke/", "-f", *bearer, "-d", '{"reason": "superseded"}')
    assert revoked.returncode == 0
    listed = json.loads(platform.curl(f"{api}/certificates/?status=revoked", "-f", *bearer).stdout)
    assert issued["serial_number"] in [row["serial_number"] for row in listed["results"]]


def test_the_command_lists_and_shows_what_it_issued(platform: Platform, tmp_path: Path) -> None:
    _, certificate, _ = issue(platform, tmp_path, "listed.example.test")
    number = serial(certificate)
    listed = json.loads(platform.ddt("list", "--json").stdout)
    rows = listed["results"] if isinstance(listed, dict) else listed
    assert number in [row["serial_number"] for row in rows]
    shown = json.loads(platform.ddt("show", number, "--json").stdout)
    assert shown["serial_number"] == number
