from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest
from cryptography import x509
from cryptography.x509 import ocsp
from pkakey_engine.errors import Refusal, Refused, SignedBytesDiffer
from pkakey_engine.keys import signature_is_valid
from pkakey_engine.revocation import (
    CertID,
    CertificateStatus,
    OCSPAnswer,
    OCSPError,
    Responder,
    RevocationReason,
    complete_ocsp_response,
    intend_ocsp_response,
    ocsp_error,
)
from pkakey_engine.testing import (
    AuthorityForTests,
    SoftSigner,
    make_csr,
    make_ocsp_responder,
    make_root_authority,
)

Expect = Callable[[Refusal, Callable[[], object]], Refused]
HOUR = timedelta(hours=1)
GOOD, REVOKED, UNKNOWN = (
    CertificateStatus.GOOD,
    CertificateStatus.REVOKED,
    CertificateStatus.UNKNOWN,
)


def respond(
    ca: AuthorityForTests,
    now: datetime,
    *answers: OCSPAnswer,
    nonce: bytes | None = None,
    algorithm: str = "ecdsa-p256",
) -> ocsp.OCSPResponse:
    certificate, signer = make_ocsp_responder(
        ca, now=ca.certificate.not_valid_before_utc, algorithm=algorithm
    )
    intended = intend_ocsp_response(
        answers=answers,
        responder=Responder.for_certificate(certificate, ca.issuer),
        now=now,
        next_update=now + HOUR,
        nonce=nonce,
    )
    data = complete_ocsp_response(intended, signer.sign(intended.to_be_signed))
    response = ocsp.load_der_ocsp_response(data)
    (delegate,) = response.certificates
    assert delegate == certificate
    assert signature_is_valid(signer.public_key, response.signature, response.tbs_response_bytes)
    return response


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"])
def test_a_good_answer_of_each_key_reads_back(
    ca: AuthorityForTests, now: datetime, algorithm: str
) -> None:
    asked = CertID.of(ca.issuer, 0xABC, "sha256")
    response = respond(ca, now, OCSPAnswer(asked, GOOD), algorithm=algorithm)
    assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert response.serial_number == 0xABC
    assert response.issuer_key_hash == asked.issuer_key_hash
    assert response.produced_at_utc == response.this_update_utc == now
    assert response.next_update_utc == now + HOUR
    assert not list(response.extensions)


@pytest.mark.parametrize("reason", RevocationReason)
def test_a_revoked_answer_tells_when_and_why(
    ca: AuthorityForTests, now: datetime, reason: RevocationReason
) -> None:
    asked = CertID.of(ca.issuer, 5)
    response = respond(ca, now, OCSPAnswer(asked, REVOKED, now - HOUR, reason))
    assert response.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert response.revocation_time_utc == now - HOUR
    told = response.revocation_reason
    if reason is RevocationReason.UNSPECIFIED:
        assert told is None
    else:
        assert told is not None
        assert told.value == reason.value


def test_a_serial_that_was_never_issued_is_unknown_and_the_nonce_is_repeated(
    ca: AuthorityForTests, now: datetime
) -> None:
    answer = OCSPAnswer(CertID.of(ca.issuer, 5), UNKNOWN)
    response = respond(ca, now, answer, nonce=b"n" * 32)
    assert response.certificate_status is ocsp.OCSPCertStatus.UNKNOWN
    assert response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * 32


def test_several_certificates_are_answered_in_one_response(
    ca: AuthorityForTests, now: datetime
) -> None:
    answers = [OCSPAnswer(CertID.of(ca.issuer, serial), GOOD) for serial in (1, 2, 3)]
    response = respond(ca, now, *answers)
    assert [single.serial_number for single in response.responses] == [1, 2, 3]


def test_the_authority_itself_may_answer_without_a_delegate(
    ca: AuthorityForTests, now: datetime
) -> None:
    responder = Responder.for_certificate(ca.certificate, ca.issuer)
    intended = intend_ocsp_response(
        answers=[OCSPAnswer(CertID.of(ca.issuer, 5), GOOD)],
        responder=responder,
        now=now,
        next_update=now + HOUR,
    )
    data = complete_ocsp_response(intended, ca.signer.sign(intended.to_be_signed))
    assert ocsp.load_der_ocsp_response(data).certificates == []


def test_an_answer_never_outlives_its_responders_certificate(ca: AuthorityForTests) -> None:
    start = ca.certificate.not_valid_before_utc
    certificate, _ = make_ocsp_responder(ca, now=start)
    intended = intend_ocsp_response(
        answers=[OCSPAnswer(CertID.of(ca.issuer, 5), GOOD)],
        responder=Responder.for_certificate(certificate, ca.issuer),
        now=certificate.not_valid_after_utc - HOUR,
        next_update=certificate.not_valid_after_utc + HOUR,
    )
    assert intended.next_update == certificate.not_valid_after_utc


def test_a_certificate_that_may_not_answer_is_refused(
    ca: AuthorityForTests, root: AuthorityForTests, now: datetime, refused: Expect
) -> None:
    leaf = ca.issue(make_csr(dns=["a.example"]), now=now)
    stranger, _ = make_ocsp_responder(make_root_authority(now=now), now=now)
    uncle, _ = make_ocsp_responder(root, now=now)
    for certificate in (leaf, stranger, uncle, root.certificate):
        refused(
            Refusal.OCSP_RESPONDER,
            partial(Responder.for_certificate, certificate, ca.issuer),
        )


@pytest.mark.parametrize("shift", [-HOUR * 24, HOUR * 24 * 31])
def test_a_responder_outside_its_validity_is_refused(
    ca: AuthorityForTests, now: datetime, refused: Expect, shift: timedelta
) -> None:
    certificate, _ = make_ocsp_responder(ca, now=now)
    responder = Responder.for_certificate(certificate, ca.issuer)
    refused(
        Refusal.OCSP_RESPONDER,
        lambda: intend_ocsp_response(
            answers=[OCSPAnswer(CertID.of(ca.issuer, 5), GOOD)],
            responder=responder,
            now=now + shift,
            next_update=now + shift + HOUR,
        ),
    )


def test_mistakes_of_the_caller_are_not_signed(ca: AuthorityForTests, now: datetime) -> None:
    asked = CertID.of(ca.issuer, 5)
    for answers, window in (
        ([], HOUR),
        ([OCSPAnswer(asked, GOOD)], timedelta(0)),
        ([OCSPAnswer(asked, GOOD)], -HOUR),
        ([OCSPAnswer(asked, REVOKED)], HOUR),
    ):
        with pytest.raises(ValueError, match="needs"):
            intend_ocsp_response(
                answers=answers,
                responder=Responder.for_certificate(ca.certificate, ca.issuer),
                now=now,
                next_update=now + window,
            )


def test_a_signature_that_does_not_fit_raises_the_alarm(
    ca: AuthorityForTests, now: datetime
) -> None:
    intended = intend_ocsp_response(
        answers=[OCSPAnswer(CertID.of(ca.issuer, 5), GOOD)],
        responder=Responder.for_certificate(ca.certificate, ca.issuer),
        now=now,
        next_update=now + HOUR,
    )
    right = ca.signer.sign(intended.to_be_signed)
    other = SoftSigner.generate(for_tests=True).sign(intended.to_be_signed)
    for signature in (b"", right[:-1], other, ca.signer.sign(b"else")):
        with pytest.raises(SignedBytesDiffer):
            complete_ocsp_response(intended, signature)


@pytest.mark.parametrize("kind", OCSPError)
def test_an_error_is_an_unsigned_status(kind: OCSPError) -> None:
    response = ocsp.load_der_ocsp_response(ocsp_error(kind))
    assert response.response_status.name == kind.name
    with pytest.raises(ValueError, match="not successful"):
        _ = response.certificate_status
