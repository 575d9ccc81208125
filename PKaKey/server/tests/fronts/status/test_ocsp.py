"""OCSP: what each status, nonce and failure is answered by."""

import base64
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote, unquote

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from pkakey_engine.revocation import RevocationReason
from pkakey_engine.testing import SoftSigner, make_csr, make_issuing_authority
from psycopg_pool import PoolTimeout

from PKaKey.server.tests.fronts.status.status_pki import PKI, VALIDITY, Reply

SHA1 = hashes.SHA1()  # noqa: S303  # RFC 5019 clients name issuers so.


def request_for(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    *,
    algorithm: hashes.HashAlgorithm = SHA1,
    nonce: bytes | None = None,
) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, algorithm)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def read(reply: Reply) -> ocsp.OCSPResponse:
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/ocsp-response"
    return ocsp.load_der_ocsp_response(reply.body)


def verified(pki: PKI, reply: Reply) -> ocsp.OCSPResponse:
    """Return the response after checking signature, delegation and window, as a client does."""
    response = read(reply)
    assert response.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    [responder] = response.certificates
    responder.verify_directly_issued_by(pki.authority.certificate)
    key = responder.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    algorithm = response.signature_hash_algorithm
    assert algorithm is not None
    key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))
    assert response.next_update_utc is not None
    assert response.this_update_utc <= pki.now < response.next_update_utc
    return response


@pytest.mark.parametrize(
    "algorithm", [SHA1, hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda a: a.name
)
def test_an_issued_certificate_is_good_by_every_hash(
    pki: PKI, algorithm: hashes.HashAlgorithm
) -> None:
    certificate = pki.issue()
    request = request_for(certificate, pki.authority.certificate, algorithm=algorithm)
    response = verified(pki, pki.post_ocsp(request))
    assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert response.serial_number == certificate.serial_number
    assert response.hash_algorithm.name == algorithm.name


def test_a_serial_that_was_never_issued_is_unknown_and_not_good(pki: PKI) -> None:
    # Signed by the authority's key, but in no record: nobody may call it good.
    stranger = pki.authority.issue(stranger_csr(), now=pki.now)
    response = verified(pki, pki.post_ocsp(request_for(stranger, pki.authority.certificate)))
    assert response.certificate_status is ocsp.OCSPCertStatus.UNKNOWN


def stranger_csr() -> bytes:
    return make_csr(dns=["stranger.example.test"])


@pytest.mark.parametrize("reason", [RevocationReason.KEY_COMPROMISE, RevocationReason.UNSPECIFIED])
def test_a_revocation_is_seen_by_the_next_request(pki: PKI, reason: RevocationReason) -> None:
    certificate = pki.issue()
    request = request_for(certificate, pki.authority.certificate)
    before = verified(pki, pki.post_ocsp(request))
    assert before.certificate_status is ocsp.OCSPCertStatus.GOOD
    pki.revoke(certificate, reason)
    after = verified(pki, pki.post_ocsp(request))
    assert after.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert after.revocation_time_utc == pki.now
    expected = None if reason is RevocationReason.UNSPECIFIED else reason.value
    assert (after.revocation_reason and after.revocation_reason.value) == expected


def test_a_signature_is_reused_for_half_of_the_validity_and_the_status_is_not(pki: PKI) -> None:
    request = request_for(pki.issue(), pki.authority.certificate)
    first = pki.post_ocsp(request)
    pki.now += VALIDITY / 2 - timedelta(seconds=1)
    assert pki.post_ocsp(request).body == first.body
    assert pki.signer.signatures == 1
    assert pki.database.status_questions == 2
    pki.now += timedelta(seconds=1)
    assert pki.post_ocsp(request).body != first.body
    assert pki.signer.signatures == 2


def test_a_clock_that_was_set_back_gets_no_response_from_the_future(pki: PKI) -> None:
    request = request_for(pki.issue(), pki.authority.certificate)
    pki.post_ocsp(request)
    pki.now -= timedelta(minutes=10)
    verified(pki, pki.post_ocsp(request))
    assert pki.signer.signatures == 2


def test_kept_responses_are_bounded(pki: PKI) -> None:
    for number in range(150):
        pki.post_ocsp(request_for(pki.issue(f"n{number}.test"), pki.authority.certificate))
    assert len(pki.service._cache) == 100


@pytest.mark.parametrize("length", [1, 32, 128])
def test_a_nonce_comes_back_and_is_signed_anew(pki: PKI, length: int) -> None:
    certificate = pki.issue()
    nonce = bytes(range(length))
    request = request_for(certificate, pki.authority.certificate, nonce=nonce)
    for _ in range(2):
        response = verified(pki, pki.post_ocsp(request))
        assert response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
    assert pki.signer.signatures == 2


@pytest.mark.parametrize("nonce", [b"", bytes(129)], ids=["empty", "129 octets"])
def test_a_nonce_of_a_wrong_length_is_malformed(pki: PKI, nonce: bytes) -> None:
    request = request_for(pki.issue(), pki.authority.certificate, nonce=nonce)
    assert read(pki.post_ocsp(request)).response_status is (
        ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    )
    assert pki.signer.signatures == 0


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x30\x00", id="an empty sequence"),
        pytest.param(b"\x30\x84\xff\xff\xff\xff", id="a length past the end"),
        pytest.param(b"\x30\x80\x00\x00", id="BER's indefinite length"),
        pytest.param(b"\x00" * 4096, id="zeros"),
        pytest.param(b"GET / HTTP/1.1", id="text"),
    ],
)
def test_what_is_no_request_is_malformed(pki: PKI, body: bytes) -> None:
    reply = pki.post_ocsp(body)
    assert read(reply).response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    assert reply.headers["Cache-Control"] == "no-store"


def test_every_truncation_of_a_request_is_malformed(pki: PKI) -> None:
    request = request_for(pki.issue(), pki.authority.certificate)
    for length in range(len(request)):
        response = read(pki.post_ocsp(request[:length]))
        assert response.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def test_another_authoritys_certificate_is_unauthorized(pki: PKI) -> None:
    foreign = make_issuing_authority(pki.root, now=pki.now, common_name="Foreign CA")
    certificate = foreign.issue(stranger_csr(), now=pki.now)
    reply = pki.post_ocsp(request_for(certificate, foreign.certificate))
    assert read(reply).response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED
    assert pki.signer.signatures == 0


def test_unknown_issuers_do_not_flood_the_database(pki: PKI) -> None:
    foreign = make_issuing_authority(pki.root, now=pki.now, common_name="Foreign CA")
    request = request_for(foreign.issue(stranger_csr(), now=pki.now), foreign.certificate)
    for _ in range(50):
        pki.post_ocsp(request)
    assert pki.database.responder_questions == 1


def test_a_new_authority_is_known_within_seconds(pki: PKI) -> None:
    past = pki.now - timedelta(hours=1)
    young = make_issuing_authority(pki.root, now=past, common_name="Young CA")
    request = request_for(young.issue(stranger_csr(), now=pki.now), young.certificate)
    pki.post_ocsp(request)
    pki.add_responder(young, pki.authority_id)
    pki.now += timedelta(seconds=2)
    response = read(pki.post_ocsp(request))
    assert response.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("gone"),
        psycopg.InterfaceError("the connection is closed"),
        PoolTimeout("no connection"),
    ],
    ids=lambda e: type(e).__name__,
)
def test_without_the_database_the_client_is_to_try_later(pki: PKI, error: Exception) -> None:
    request = request_for(pki.issue(), pki.authority.certificate)
    pki.post_ocsp(request)
    pki.database.error = error
    response = read(pki.post_ocsp(request))
    # Even a kept response is not given: its status could be wrong by now.
    assert response.response_status is ocsp.OCSPResponseStatus.TRY_LATER
    pki.database.error = None
    verified(pki, pki.post_ocsp(request))


def test_without_the_signer_the_client_is_to_try_later(pki: PKI) -> None:
    request = request_for(pki.issue(), pki.authority.certificate)
    pki.signer.is_away = True
    response = read(pki.post_ocsp(request))
    assert response.response_status is ocsp.OCSPResponseStatus.TRY_LATER
    pki.signer.is_away = False
    verified(pki, pki.post_ocsp(request))


def test_a_signature_by_the_wrong_key_goes_to_nobody(pki: PKI) -> None:
    request = request_for(pki.issue(), pki.authority.certificate)
    for key_id in pki.signer.keys:
        pki.signer.keys[key_id] = SoftSigner.generate(for_tests=True)
    response = read(pki.post_ocsp(request))
    assert response.response_status is ocsp.OCSPResponseStatus.INTERNAL_ERROR


def test_an_expired_responder_signs_nothing(pki: PKI) -> None:
    request = request_for(pki.issue(), pki.authority.certificate)
    pki.now += timedelta(days=365)
    response = read(pki.post_ocsp(request))
    assert response.response_status is ocsp.OCSPResponseStatus.TRY_LATER
    assert pki.signer.signatures == 0


# GET


def path_of(request: bytes) -> str:
    return "/ocsp/" + base64.b64encode(request).decode()


def with_slash_and_plus(pki: PKI) -> bytes:
    """Return a request whose base64 has the characters that paths and forms mistreat."""
    for number in range(500):
        request = request_for(
            pki.issue(f"s{number}.test"), pki.authority.certificate, nonce=number.to_bytes(2, "big")
        )
        encoded = base64.b64encode(request).decode()
        if "/" in encoded and "+" in encoded and encoded.endswith("="):
            return request
    raise AssertionError("no such request in 500")


@pytest.mark.parametrize(
    "spell",
    [
        pytest.param(lambda path: path, id="decoded by the server"),
        pytest.param(lambda path: path.replace("+", " "), id="with a plus that became a space"),
        pytest.param(lambda path: path.rstrip("="), id="without its padding"),
        pytest.param(
            lambda path: "/ocsp/" + unquote(quote(quote(path[6:], safe=""), safe="")),
            id="encoded twice",
        ),
    ],
)
def test_a_get_request_is_understood_however_its_base64_came(
    pki: PKI, spell: Callable[[str], str]
) -> None:
    request = with_slash_and_plus(pki)
    verified(pki, pki.ask("GET", spell(path_of(request))))


@pytest.mark.parametrize(
    "path", ["/ocsp/%", "/ocsp/é", "/ocsp/****", "/ocsp/A", "/ocsp/" + "A" * 20_000, "/ocsp/..%2f"]
)
def test_a_get_without_base64_of_a_request_is_malformed(pki: PKI, path: str) -> None:
    response = read(pki.ask("GET", path))
    assert response.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def test_a_get_may_be_kept_by_caches_that_ask_again(pki: PKI) -> None:
    certificate = pki.issue()
    path = path_of(request_for(certificate, pki.authority.certificate))
    reply = pki.ask("GET", path)
    assert "max-age=0" in reply.headers["Cache-Control"]
    again = pki.ask("GET", path, HTTP_IF_NONE_MATCH=reply.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    pki.revoke(certificate, RevocationReason.SUPERSEDED)
    after = pki.ask("GET", path, HTTP_IF_NONE_MATCH=reply.headers["ETag"])
    assert verified(pki, after).certificate_status is ocsp.OCSPCertStatus.REVOKED


@pytest.mark.parametrize(
    ("method", "path", "environ", "status"),
    [
        ("PUT", "/ocsp", {}, 405),
        ("DELETE", "/ocsp/AAAA", {}, 405),
        ("POST", "/ocsp/AAAA", {"CONTENT_TYPE": "application/ocsp-request"}, 405),
        ("GET", "/ocsp", {}, 400),
        ("GET", "/ocsp/", {}, 400),
        ("POST", "/ocsp", {"CONTENT_TYPE": "application/json"}, 415),
        ("POST", "/ocsp", {"CONTENT_TYPE": ""}, 415),
        ("POST", "/ocspx", {"CONTENT_TYPE": "application/ocsp-request"}, 404),
    ],
)
def test_what_is_not_ocsp_over_http_gets_a_plain_sentence(
    pki: PKI, method: str, path: str, environ: dict[str, str], status: int
) -> None:
    reply = pki.ask(method, path, b"x", **environ)
    assert reply.status == status
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert reply.body.endswith(b".\n")
    assert ("Allow" in reply.headers) == (status == 405)


def test_a_huge_request_is_not_read(pki: PKI) -> None:
    assert pki.post_ocsp(b"\x30" * 5000).status == 413
