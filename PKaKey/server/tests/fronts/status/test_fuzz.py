"""Whatever comes, the status front answers, and never with a 500."""

import base64
import string
from functools import cache

from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from PKaKey.server.tests.fronts.status.status_pki import PKI, Reply
from PKaKey.server.tests.fronts.status.test_ocsp import request_for


@cache
def shared_pki() -> PKI:
    return PKI()


@cache
def seeds() -> tuple[bytes, ...]:
    pki = shared_pki()
    certificate = pki.issue()
    issuer = pki.authority.certificate
    return (
        request_for(certificate, issuer),
        request_for(certificate, issuer, nonce=bytes(16)),
        request_for(pki.authority.certificate, pki.root.certificate),
    )


def check(reply: Reply) -> None:
    assert reply.status in {200, 400, 404, 405, 411, 413, 415}
    if reply.headers["Content-Type"] == "application/ocsp-response":
        response = ocsp.load_der_ocsp_response(reply.body)
        assert response.response_status is not ocsp.OCSPResponseStatus.INTERNAL_ERROR


@st.composite
def damaged_requests(draw: st.DrawFn) -> bytes:
    request = bytearray(draw(st.sampled_from(seeds())))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(request) - 1))
        match draw(st.sampled_from(["flip", "cut", "insert", "repeat"])):
            case "flip":
                request[place] = draw(st.integers(0, 255))
            case "cut":
                del request[place : place + draw(st.integers(1, 8))]
            case "insert":
                request[place:place] = draw(st.binary(max_size=8))
            case "repeat":
                request[place:place] = request[place : place + draw(st.integers(1, 40))]
        if not request:
            break
    return bytes(request)


@settings(deadline=None)
@given(damaged_requests())
def test_a_damaged_request_gets_an_ocsp_answer(request: bytes) -> None:
    check(shared_pki().post_ocsp(request))
    check(shared_pki().ask("GET", "/ocsp/" + base64.b64encode(request).decode()))


@settings(deadline=None)
@given(st.binary(max_size=5000))
def test_random_octets_get_an_answer(body: bytes) -> None:
    check(shared_pki().post_ocsp(body))


@settings(deadline=None)
@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "x"]),
    # Servers hand over the decoded path as latin-1 (PEP 3333).
    st.text(st.characters(max_codepoint=255), max_size=80).map(lambda path: "/" + path),
    st.binary(max_size=50),
)
def test_any_path_gets_an_answer(method: str, path: str, body: bytes) -> None:
    check(shared_pki().ask(method, path, body))


@settings(deadline=None)
@given(
    st.sampled_from(["/ocsp/", "/crl/", "/ca/"]),
    st.text(string.printable, max_size=300),
)
def test_any_path_below_the_routes_gets_an_answer(prefix: str, rest: str) -> None:
    check(shared_pki().ask("GET", prefix + rest))


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE"]
        ),
        st.text(st.characters(max_codepoint=255), max_size=40),
    )
)
def test_any_field_gets_an_answer(fields: dict[str, str]) -> None:
    pki = shared_pki()
    for method, path in (("POST", "/ocsp"), ("GET", f"/ca/{pki.authority_id}.cer")):
        reply = pki.ask(method, path, b"0", **fields)
        assert reply.status in {200, 304, 400, 411, 413, 415}
