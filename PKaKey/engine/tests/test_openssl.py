"""The openssl command agrees with what the engine makes, and makes what the engine reads."""

import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.issuance import parse_csr
from pkakey_engine.names import Name, NameKind
from pkakey_engine.revocation import (
    CertificateStatus,
    OCSPAnswer,
    Responder,
    RevocationReason,
    RevokedEntry,
    complete_crl,
    complete_ocsp_response,
    intend_crl,
    intend_ocsp_response,
    parse_ocsp_request,
)
from pkakey_engine.testing import (
    AuthorityForTests,
    generate_key,
    make_csr,
    make_issuing_authority,
    make_ocsp_responder,
    make_root_authority,
)

OpenSSL = Callable[..., subprocess.CompletedProcess[str]]
Expect = Callable[[Refusal, Callable[[], object]], Refused]
PEM = serialization.Encoding.PEM


def at(now: datetime) -> tuple[str, str]:
    return ("-attime", str(int(now.timestamp())))


def write(folder: Path, ca: AuthorityForTests, leaf: x509.Certificate) -> None:
    (folder / "leaf.pem").write_bytes(leaf.public_bytes(PEM))
    (folder / "ca.pem").write_bytes(ca.certificate.public_bytes(PEM))
    (folder / "root.pem").write_bytes(ca.chain[-1].public_bytes(PEM))


VERIFY = ("verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "ca.pem")


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"])
def test_openssl_verifies_our_chain_strictly(
    openssl: OpenSSL, tmp_path: Path, now: datetime, algorithm: str
) -> None:
    root = make_root_authority(now=now, algorithm=algorithm)
    ca = make_issuing_authority(root, now=now, algorithm=algorithm)
    key = generate_key(algorithm)
    csr = make_csr(dns=["a.example"], ip=["192.0.2.1"], private_key=key)
    write(tmp_path, ca, ca.issue(csr, now=now))
    ours = (*VERIFY, *at(now), "-verify_hostname", "a.example", "-purpose", "sslserver")
    assert "leaf.pem: OK" in openssl(*ours, "leaf.pem").stdout
    other = (*VERIFY, *at(now), "-verify_hostname", "b.example")
    assert openssl(*other, "leaf.pem", check=False).returncode != 0
    late = openssl(*VERIFY, *at(now + timedelta(days=91)), "leaf.pem", check=False)
    assert "expired" in late.stderr
    client = openssl(*VERIFY, *at(now), "-purpose", "sslclient", "leaf.pem", check=False)
    assert client.returncode != 0


def test_openssl_reads_our_certificate_without_a_complaint(
    openssl: OpenSSL, tmp_path: Path, ca: AuthorityForTests, now: datetime
) -> None:
    write(tmp_path, ca, ca.issue(make_csr(dns=["a.example"]), now=now))
    text = openssl("x509", "-in", "leaf.pem", "-noout", "-text").stdout
    assert "X509v3 Subject Alternative Name: critical" in text
    assert "CA:FALSE" in text
    assert "Version: 3" in text
    parsed = openssl("asn1parse", "-in", "leaf.pem")
    assert "SEQUENCE" in parsed.stdout
    assert not parsed.stderr


def test_openssl_agrees_on_name_constraints(
    openssl: OpenSSL, tmp_path: Path, root: AuthorityForTests, now: datetime
) -> None:
    limited = make_issuing_authority(root, now=now, permitted=[x509.DNSName("a.example")])
    write(tmp_path, limited, limited.issue(make_csr(dns=["x.a.example"]), now=now))
    assert "OK" in openssl(*VERIFY, *at(now), "leaf.pem").stdout
    # The same key without the constraint issues what the constraint forbids.
    from pkakey_engine.issuance import Issuer

    free = Issuer(
        certificate=None,
        subject_name=limited.certificate.subject,
        public_key=limited.issuer.public_key,
    )
    assert free.name_constraints == ()
    blind = AuthorityForTests(
        Issuer.from_certificate(_without_constraints(limited, root, now), chain=root.chain),
        limited.signer,
        limited.certificate,
    )
    write(tmp_path, limited, blind.issue(make_csr(dns=["b.example"]), now=now))
    result = openssl(*VERIFY, *at(now), "leaf.pem", check=False)
    assert "permitted subtree violation" in result.stderr


def _without_constraints(
    limited: AuthorityForTests, root: AuthorityForTests, now: datetime
) -> x509.Certificate:
    from pkakey_engine.issuance import intend_authority, shipped_profile

    return root.sign(
        intend_authority(
            subject=limited.certificate.subject,
            public_key=limited.issuer.public_key,
            profile=shipped_profile("issuing-ca"),
            issuer=root.issuer,
            now=now,
        )
    )


def test_openssl_verifies_our_crl_and_sees_the_revocation(
    openssl: OpenSSL, tmp_path: Path, ca: AuthorityForTests, now: datetime
) -> None:
    leaf = ca.issue(make_csr(dns=["a.example"]), now=now)
    good = ca.issue(make_csr(dns=["b.example"]), now=now)
    write(tmp_path, ca, leaf)
    (tmp_path / "good.pem").write_bytes(good.public_bytes(PEM))
    entries = [RevokedEntry(leaf.serial_number, now, RevocationReason.KEY_COMPROMISE)]
    intended = intend_crl(
        issuer=ca.issuer,
        crl_number=1,
        entries=entries,
        now=now,
        next_update=now + timedelta(days=1),
    )
    crl = complete_crl(intended, ca.signer.sign(intended.to_be_signed))
    (tmp_path / "crl.der").write_bytes(crl)
    checked = openssl(
        "crl", "-in", "crl.der", "-inform", "DER", "-CAfile", "ca.pem", "-out", "crl.pem"
    )
    assert "verify OK" in checked.stderr
    shown = openssl("crl", "-in", "crl.pem", "-noout", "-text").stdout
    assert "Key Compromise" in shown
    check = (*VERIFY, *at(now), "-crl_check", "-CRLfile", "crl.pem")
    assert "certificate revoked" in openssl(*check, "leaf.pem", check=False).stderr
    assert "OK" in openssl(*check, "good.pem").stdout


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_openssl_asks_and_believes_our_ocsp_answer(
    openssl: OpenSSL, tmp_path: Path, algorithm: str
) -> None:
    # `openssl ocsp` compares the answer's times with the real clock, so this test reads it too.
    from datetime import UTC

    now = datetime.now(UTC).replace(microsecond=0)
    root = make_root_authority(now=now)
    ca = make_issuing_authority(root, now=now)
    leaf, good = (ca.issue(make_csr(dns=[name]), now=now) for name in ("a.example", "b.example"))
    write(tmp_path, ca, leaf)
    (tmp_path / "good.pem").write_bytes(good.public_bytes(PEM))
    (tmp_path / "chain.pem").write_bytes(
        ca.certificate.public_bytes(PEM) + root.certificate.public_bytes(PEM)
    )
    asking = (
        "ocsp",
        "-issuer",
        "ca.pem",
        f"-{algorithm}",
        "-cert",
        "leaf.pem",
        "-cert",
        "good.pem",
    )
    openssl(*asking, "-reqout", "request.der", "-nonce")
    request = parse_ocsp_request((tmp_path / "request.der").read_bytes())
    assert [asked.serial_number for asked in request.certificates] == [
        leaf.serial_number,
        good.serial_number,
    ]
    assert all(asked.is_of(ca.issuer) for asked in request.certificates)
    assert request.nonce
    responder, signer = make_ocsp_responder(ca, now=now)
    intended = intend_ocsp_response(
        answers=[
            OCSPAnswer(
                request.certificates[0],
                CertificateStatus.REVOKED,
                now,
                RevocationReason.KEY_COMPROMISE,
            ),
            OCSPAnswer(request.certificates[1], CertificateStatus.GOOD),
        ],
        responder=Responder.for_certificate(responder, ca.issuer),
        now=now,
        next_update=now + timedelta(hours=1),
        nonce=request.nonce,
    )
    response = complete_ocsp_response(intended, signer.sign(intended.to_be_signed))
    (tmp_path / "response.der").write_bytes(response)
    trusting = ("-respin", "response.der", "-CAfile", "chain.pem")
    with_nonce = openssl("ocsp", "-reqin", "request.der", *trusting)
    assert "Response verify OK" in with_nonce.stderr
    assert "WARNING" not in with_nonce.stderr
    told = openssl(*asking, "-no_nonce", *trusting)
    assert "Response verify OK" in told.stderr
    assert "leaf.pem: revoked" in told.stdout
    assert "keyCompromise" in told.stdout
    assert "good.pem: good" in told.stdout


@pytest.mark.parametrize(
    "kind",
    [
        ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        ("ec", "-pkeyopt", "ec_paramgen_curve:P-384"),
        ("rsa", "-pkeyopt", "rsa_keygen_bits:2048"),
        ("ed25519",),
    ],
    ids=["P-256", "P-384", "RSA", "Ed25519"],
)
def test_a_request_made_by_openssl_is_read(
    openssl: OpenSSL, tmp_path: Path, kind: tuple[str, ...]
) -> None:
    making = (
        "req",
        "-new",
        "-nodes",
        "-newkey",
        *kind,
        "-keyout",
        "k.pem",
        "-subj",
        "/CN=a.example",
    )
    openssl(*making, "-addext", "subjectAltName=DNS:a.example,IP:192.0.2.1", "-out", "r.pem")
    openssl("req", "-in", "r.pem", "-text", "-out", "text.pem")
    openssl("req", "-in", "r.pem", "-outform", "DER", "-out", "r.der")
    for name in ("r.pem", "text.pem", "r.der"):
        request = parse_csr((tmp_path / name).read_bytes())
        assert request.names == (Name(NameKind.DNS, "a.example"), Name(NameKind.IP, "192.0.2.1"))


@pytest.mark.parametrize(
    ("kind", "more", "refusal"),
    [
        (("rsa:1024",), (), Refusal.KEY_TOO_SMALL),
        (("rsa:2048",), ("-sha1",), Refusal.CSR_WEAK_SIGNATURE),
        (
            ("ec", "-pkeyopt", "ec_paramgen_curve:P-521"),
            (),
            Refusal.KEY_UNSUPPORTED_ALGORITHM,
        ),
        (
            ("ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"),
            (),
            Refusal.KEY_UNSUPPORTED_ALGORITHM,
        ),
        (("ed448",), (), Refusal.KEY_UNSUPPORTED_ALGORITHM),
        (
            ("rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"),
            (),
            Refusal.KEY_BAD_EXPONENT,
        ),
        (("rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"), (), Refusal.KEY_UNSUPPORTED_ALGORITHM),
    ],
    ids=["1024 bits", "SHA-1", "P-521", "secp256k1", "Ed448", "exponent 3", "RSASSA-PSS"],
)
def test_a_request_that_openssl_makes_and_we_do_not_want_is_refused(
    openssl: OpenSSL,
    tmp_path: Path,
    refused: Expect,
    kind: tuple[str, ...],
    more: tuple[str, ...],
    refusal: Refusal,
) -> None:
    making = (
        "req",
        "-new",
        "-nodes",
        "-newkey",
        *kind,
        "-keyout",
        "k.pem",
        "-subj",
        "/CN=a.example",
    )
    openssl(*making, *more, "-out", "r.pem")
    data = (tmp_path / "r.pem").read_bytes()
    refused(refusal, lambda: parse_csr(data))


def test_explicit_curve_parameters_are_refused(
    openssl: OpenSSL, tmp_path: Path, refused: Expect
) -> None:
    # CVE-2020-0601 was about trusting such parameters.
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-param_enc", "explicit", "-out", "k.pem")
    openssl("req", "-new", "-key", "k.pem", "-subj", "/CN=a.example", "-out", "r.pem")
    data = (tmp_path / "r.pem").read_bytes()
    refused(Refusal.KEY_MALFORMED, lambda: parse_csr(data))


def test_a_compressed_point_is_refused(openssl: OpenSSL, tmp_path: Path, refused: Expect) -> None:
    making = ("ecparam", "-name", "prime256v1", "-genkey", "-conv_form", "compressed")
    openssl(*making, "-out", "named.pem")
    openssl("ec", "-in", "named.pem", "-conv_form", "compressed", "-out", "k.pem")
    openssl("req", "-new", "-key", "k.pem", "-subj", "/CN=a.example", "-out", "r.pem")
    data = (tmp_path / "r.pem").read_bytes()
    refused(Refusal.KEY_MALFORMED, lambda: parse_csr(data))
