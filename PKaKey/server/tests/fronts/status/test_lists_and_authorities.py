"""CRLs, authority certificates and health over plain HTTP."""

from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pkakey_engine.revocation import RevocationReason

from PKaKey.server.tests.fronts.status.status_pki import PKI


def test_a_crl_is_der_with_the_fields_that_caches_read(pki: PKI) -> None:
    der = pki.publish_crl()
    reply = pki.ask("GET", f"/crl/{pki.authority_id}.crl")
    assert (reply.status, reply.body) == (200, der)
    assert reply.headers["Content-Type"] == "application/pkix-crl"
    assert reply.headers["Cache-Control"] == "public, max-age=60, must-revalidate"
    assert reply.headers["Last-Modified"].endswith("GMT")
    held = pki.ask("GET", f"/crl/{pki.authority_id}.crl", HTTP_IF_NONE_MATCH=reply.headers["ETag"])
    assert (held.status, held.body) == (304, b"")
    assert held.headers["ETag"] == reply.headers["ETag"]


def test_a_new_crl_is_served_at_once(pki: PKI) -> None:
    certificate = pki.issue()
    pki.publish_crl(1)
    path = f"/crl/{pki.authority_id}.crl"
    tag = pki.ask("GET", path).headers["ETag"]
    pki.revoke(certificate, RevocationReason.KEY_COMPROMISE)
    pki.publish_crl(2)
    reply = pki.ask("GET", path, HTTP_IF_NONE_MATCH=tag)
    crl = x509.load_der_x509_crl(reply.body)
    assert crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None


def test_a_crl_is_not_kept_past_its_next_update(pki: PKI) -> None:
    pki.publish_crl()
    pki.now += timedelta(days=1) - timedelta(seconds=5)
    path = f"/crl/{pki.authority_id}.crl"
    assert "max-age=5," in pki.ask("GET", path).headers["Cache-Control"]
    pki.now += timedelta(seconds=10)
    assert "max-age=0," in pki.ask("GET", path).headers["Cache-Control"]


def test_an_authoritys_certificate_comes_as_der_and_as_pem(pki: PKI) -> None:
    der = pki.ask("GET", f"/ca/{pki.authority_id}.cer")
    assert der.headers["Content-Type"] == "application/pkix-cert"
    assert x509.load_der_x509_certificate(der.body) == pki.authority.certificate
    pem = pki.ask("GET", f"/ca/{pki.authority_id}.pem")
    assert pem.body == pki.authority.certificate.public_bytes(Encoding.PEM)


@pytest.mark.parametrize("suffix", [".cer", ".pem"])
def test_head_has_the_fields_and_no_body(pki: PKI, suffix: str) -> None:
    full = pki.ask("GET", f"/ca/{pki.authority_id}{suffix}")
    head = pki.ask("HEAD", f"/ca/{pki.authority_id}{suffix}")
    assert head.headers == full.headers
    assert head.body == b""


@pytest.mark.parametrize(
    "path",
    ["/", "", "/crl/", "/crl/x.crl", "/crl/{id}", "/crl/{id}.crl/", "/crl/{id}.crl\n", "/ca/{id}",
     "/ca/{id}.key", "/ca/{id}.der", "//ca/{id}.cer", "/CA/{id}.cer", "/ca/../ca/{id}.cer",
     "/crl/{upper}.crl", "/ocsps", "/admin", "/healthz/"],
)  # fmt: skip
def test_there_is_nothing_elsewhere(pki: PKI, path: str) -> None:
    pki.publish_crl()
    one = str(pki.authority_id)
    reply = pki.ask("GET", path.replace("{id}", one).replace("{upper}", one.upper() + "x"))
    assert reply.status == 404
    assert reply.body.endswith(b".\n")


@pytest.mark.parametrize("path", ["/crl/{}.crl", "/ca/{}.cer", "/ca/{}.pem"])
def test_an_unknown_authority_is_404(pki: PKI, path: str) -> None:
    assert pki.ask("GET", path.format(uuid4())).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["/crl/{}.crl", "/ca/{}.cer", "/healthz", "/readyz"])
def test_nothing_can_be_changed(pki: PKI, method: str, path: str) -> None:
    reply = pki.ask(method, path.format(pki.authority_id))
    assert reply.status == 405
    assert reply.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/crl/{}.crl", "/ca/{}.cer", "/readyz"])
def test_without_the_database_503_says_when_to_ask_again(pki: PKI, path: str) -> None:
    pki.database.error = psycopg.OperationalError("gone")
    reply = pki.ask("GET", path.format(pki.authority_id))
    assert reply.status == 503
    assert reply.headers["Retry-After"] == "5"
    assert b"gone" not in reply.body


def test_liveness_asks_nobody_and_readiness_asks_both(pki: PKI) -> None:
    assert pki.ask("GET", "/readyz").status == 200
    pki.signer.is_away = True
    assert pki.ask("GET", "/readyz").status == 503
    pki.database.error = psycopg.OperationalError("gone")
    assert pki.ask("GET", "/healthz").status == 200


def test_a_failure_that_nobody_expected_says_nothing_outside(
    pki: PKI, caplog: pytest.LogCaptureFixture
) -> None:
    pki.database.error = RuntimeError("the secret inside")
    reply = pki.ask("GET", f"/crl/{pki.authority_id}.crl")
    assert reply.status == 500
    assert b"secret" not in reply.body
    assert "the secret inside" in caplog.text


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE", "OPTIONS"])
def test_who_waits_for_another_service_is_told_when_to_ask_again(pki: PKI, method: str) -> None:
    pki.database.error = psycopg.OperationalError("gone")
    reply = pki.ask(method, "/waiting")
    assert reply.status == 503
    assert reply.headers["Retry-After"] == "10"
    assert b"starting, or it is not well" in reply.body
