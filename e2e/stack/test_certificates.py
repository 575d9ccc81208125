"""A certificate from request to revocation, through the whole stack; openssl judges each step."""

from pathlib import Path

import pytest
from cryptography import x509

from e2e.stack.program import Program, openssl
from e2e.stack.stack import DOMAIN, Stack, eventually


def files(issued: dict[str, str], folder: Path) -> tuple[Path, Path]:
    """Keep the certificate and its chain as files for openssl."""
    certificate, chain = folder / "certificate.pem", folder / "chain.pem"
    certificate.write_text(issued["pem"])
    chain.write_text("".join(issued["chain"]))
    return certificate, chain


def crl(stack: Stack, certificate: Path, folder: Path) -> Path:
    """Fetch the CRL from the address that the certificate names; return it as PEM."""
    points = (
        x509.load_pem_x509_certificate(certificate.read_bytes())
        .extensions.get_extension_for_class(x509.CRLDistributionPoints)
        .value
    )
    address = str(next(iter(points)).full_name[0].value)
    prefix = f"http://pkakey.{DOMAIN}:{stack.http_port}"
    assert address.startswith(f"{prefix}/crl/")
    answer = stack.plain(address.removeprefix(prefix))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pkix-crl")
    der, pem = folder / "list.crl", folder / "list.pem"
    der.write_bytes(answer.content)
    openssl("crl", "-inform", "DER", "-in", der, "-out", pem)
    return pem


def verify(stack: Stack, certificate: Path, chain: Path, crl: Path) -> str:
    """Have openssl verify the path, the purpose and the CRL."""
    return openssl(
        "verify", "-x509_strict", "-purpose", "sslserver", "-crl_check", "-CRLfile", crl,
        "-CAfile", stack.root, "-untrusted", chain, certificate,
    )  # fmt: skip


def test_openssl_sees_a_certificate_go_from_good_to_revoked(
    stack: Stack, program: Program, tmp_path: Path
) -> None:
    issued = program.issue("shop.example.test")
    certificate, chain = files(issued, tmp_path)
    before = crl(stack, certificate, tmp_path)
    assert verify(stack, certificate, chain, before) == f"{certificate}: OK\n"
    # openssl writes whole octets.
    digits = issued["serial_number"].upper()
    serial_number = digits.zfill(len(digits) + len(digits) % 2)
    listed = openssl("crl", "-in", before, "-noout", "-text")
    assert serial_number not in listed.replace(":", "").upper()
    good = program.ocsp(issued, tmp_path)
    assert "Response verify OK" in good
    assert ": good" in good

    program.revoke(issued["serial_number"], "keyCompromise")

    revoked = program.ocsp(issued, tmp_path)
    assert "Response verify OK" in revoked
    assert ": revoked" in revoked
    assert "Reason: keyCompromise" in revoked
    after = crl(stack, certificate, tmp_path)
    assert "certificate revoked" in verify(stack, certificate, chain, after)
    listed = openssl("crl", "-in", after, "-noout", "-text")
    entry = listed.upper().partition(f"SERIAL NUMBER: {serial_number}")
    assert "KEY COMPROMISE" in entry[2][:300]


def test_status_answers_whatever_host_is_asked(stack: Stack, program: Program) -> None:
    issued = program.issue("host.example.test")
    certificate = x509.load_pem_x509_certificate(issued["pem"].encode())
    # RFC 5280 section 4.2.2.1: what the certificate names is what answers.
    described = certificate.extensions.get_extension_for_class(
        x509.AuthorityInformationAccess
    ).value
    for description in described:
        address = str(description.access_location.value)
        assert address.startswith(f"http://pkakey.{DOMAIN}:{stack.http_port}/")
    ocsp = {"Content-Type": "application/ocsp-request"}
    for host in (f"pkakey.{DOMAIN}", "10.0.0.1", "ocsp.example.org"):
        answer = stack.plain("/ocsp", content=b"no request", host=host, headers=ocsp)
        assert (answer.status_code, answer.content) == (200, b"0\x03\x0a\x01\x01"), host


def test_what_is_issued_and_revoked_reaches_the_data_api(program: Program) -> None:
    issued = program.issue("inventory.example.test")
    eventually(
        lambda: issued["serial_number"] in program.inventory(),
        "the data API tells of the certificate",
        60,
    )


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({}, 400),
        ({"csr": "no request", "profile": "tls-server"}, 400),
        ({"csr": "x" * 3_000_000, "profile": "tls-server"}, 413),
    ],
)
def test_a_request_that_is_none_is_refused_with_its_reason(
    program: Program, asked: dict[str, str], status: int
) -> None:
    answer = program.ask("/api/v1/certificates/", method="POST", json=asked)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
