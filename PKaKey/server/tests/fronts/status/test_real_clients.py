"""The real `openssl ocsp`, `openssl verify` and `openssl crl` over loopback."""

import subprocess
import urllib.request
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pkakey_engine.revocation import RevocationReason
from pkakey_engine.testing import make_csr

from PKaKey.server.tests.fronts.status.status_pki import PKI


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=30
    )
    return done.stdout + done.stderr


def save(folder: Path, name: str, *certificates: x509.Certificate) -> Path:
    path = folder / name
    path.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in certificates))
    return path


def ask_openssl(
    pki: PKI, served: str, folder: Path, certificate: x509.Certificate, *more: str
) -> str:
    return openssl(
        "ocsp", "-issuer", save(folder, "issuer.pem", pki.authority.certificate),
        "-cert", save(folder, "leaf.pem", certificate),
        "-CAfile", save(folder, "root.pem", pki.root.certificate),
        "-verify_other", folder / "issuer.pem", "-url", f"{served}/ocsp", *more,
    )  # fmt: skip


@pytest.mark.parametrize("more", [(), ("-no_nonce",)], ids=["with a nonce", "without"])
def test_openssl_sees_good_then_revoked_at_once(
    pki: PKI, served: str, tmp_path: Path, more: tuple[str, ...]
) -> None:
    certificate = pki.issue()
    before = ask_openssl(pki, served, tmp_path, certificate, *more)
    assert "Response verify OK" in before
    assert "leaf.pem: good" in before
    pki.revoke(certificate, RevocationReason.KEY_COMPROMISE)
    after = ask_openssl(pki, served, tmp_path, certificate, *more)
    assert "Response verify OK" in after
    assert "leaf.pem: revoked" in after
    assert "Reason: keyCompromise" in after


def test_openssl_may_name_the_issuer_by_sha256(pki: PKI, served: str, tmp_path: Path) -> None:
    said = openssl(
        # The digest must stand before the certificate that it is for.
        "ocsp", "-sha256", "-issuer", save(tmp_path, "issuer.pem", pki.authority.certificate),
        "-cert", save(tmp_path, "leaf.pem", pki.issue()),
        "-CAfile", save(tmp_path, "root.pem", pki.root.certificate), "-url", f"{served}/ocsp",
    )  # fmt: skip
    assert "Response verify OK" in said
    assert "leaf.pem: good" in said


def test_openssl_sees_unknown_for_what_is_in_no_record(
    pki: PKI, served: str, tmp_path: Path
) -> None:
    stranger = pki.authority.issue(make_csr(dns=["stranger.example.test"]), now=pki.now)
    said = ask_openssl(pki, served, tmp_path, stranger)
    assert "Response verify OK" in said
    assert "leaf.pem: unknown" in said


def test_openssl_gets_several_certificates_in_one_response(
    pki: PKI, served: str, tmp_path: Path
) -> None:
    paths = [save(tmp_path, f"{n}.pem", pki.issue(f"n{n}.example.test")) for n in range(3)]
    issuer = save(tmp_path, "issuer.pem", pki.authority.certificate)
    said = openssl(
        "ocsp", "-issuer", issuer, *[part for path in paths for part in ("-cert", path)],
        "-CAfile", save(tmp_path, "root.pem", pki.root.certificate), "-url", f"{served}/ocsp",
    )  # fmt: skip
    assert "Response verify OK" in said
    assert said.count(": good") == 3


def test_openssl_is_told_that_the_issuer_is_not_ours(pki: PKI, served: str, tmp_path: Path) -> None:
    said = openssl(
        "ocsp", "-issuer", save(tmp_path, "root.pem", pki.root.certificate), "-serial", "7",
        "-url", f"{served}/ocsp",
    )  # fmt: skip
    assert "unauthorized (6)" in said


def test_openssl_verifies_against_the_served_crl(pki: PKI, served: str, tmp_path: Path) -> None:
    good, bad = pki.issue("good.example.test"), pki.issue("bad.example.test")
    pki.revoke(bad, RevocationReason.KEY_COMPROMISE)
    pki.publish_crl()
    with urllib.request.urlopen(f"{served}/crl/{pki.authority_id}.crl", timeout=10) as reply:  # noqa: S310  # Loopback.
        (tmp_path / "list.der").write_bytes(reply.read())
    openssl("crl", "-inform", "DER", "-in", tmp_path / "list.der", "-out", tmp_path / "list.pem")

    def verify(certificate: x509.Certificate) -> str:
        return openssl(
            "verify", "-crl_check", "-CRLfile", tmp_path / "list.pem",
            "-CAfile", save(tmp_path, "root.pem", pki.root.certificate),
            "-untrusted", save(tmp_path, "issuer.pem", pki.authority.certificate),
            save(tmp_path, "leaf.pem", certificate),
        )  # fmt: skip

    assert verify(good).endswith(": OK\n")
    assert "certificate revoked" in verify(bad)
