"""What the running signer signs, and the many things that it does not."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
)
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from pkakey_signers import der
from pkakey_signers.algorithms import is_signed_by
from pkakey_signers.client import SignerClient, SignerRefused
from pkakey_signers.log import verify_log
from pkakey_signers.testing.authorities import (
    NOW,
    ROOT_NAME,
    Authority,
    assemble,
    certificate_tbs,
    crl_tbs,
    key_usage,
    make_below,
    make_root,
    name,
    response_tbs,
)
from pkakey_signers.testing.process import IntentDatabase, SignerProcess


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(SignerRefused) as caught:
        call()
    assert caught.value.detail.endswith((".", ")"))
    return str(caught.value.code)


def sign_without_record(
    authority: Authority, tbs: bytes, intent_id: UUID | None, kind: str = "certificate"
) -> Callable[[], bytes]:
    return lambda: authority.client.sign(
        kind=kind, key_id=authority.key_id, intent_id=intent_id, to_be_signed=tbs
    )


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "ed25519"])
def test_a_root_signs_its_own_certificate_then_others_and_crls(
    client: SignerClient, intent_database: IntentDatabase, algorithm: str
) -> None:
    root = make_root(client, intent_database, algorithm=algorithm)
    root.certificate.verify_directly_issued_by(root.certificate)
    tbs = root.tbs()
    leaf = assemble(tbs, root.sign(tbs))
    assert leaf.tbs_certificate_bytes == tbs
    leaf.verify_directly_issued_by(root.certificate)
    tbs = crl_tbs(root.public_key_der)
    assert is_signed_by(root.public_key_der, root.sign(tbs, "crl"), tbs)


def test_each_signature_is_in_the_log_before_the_answer(
    signer: SignerProcess, root: Authority
) -> None:
    tbs = root.tbs(serial_number=0xABCDEF)
    intent_id = root.database.record(tbs, root.key_id)
    signature = sign_without_record(root, tbs, intent_id)()
    entry = signer.entries()[-1]
    assert entry.record.signature == signature
    assert (entry.record.kind, entry.record.key_id) == ("certificate", root.key_id)
    assert (entry.record.intent_id, entry.record.serial_number) == (intent_id, "abcdef")
    assert verify_log(signer.log_path).problem is None


def test_the_same_intent_again_gives_the_same_signature_and_no_second_entry(
    signer: SignerProcess, root: Authority
) -> None:
    tbs = root.tbs()
    intent_id = root.database.record(tbs, root.key_id)
    first = sign_without_record(root, tbs, intent_id)()
    assert sign_without_record(root, tbs, intent_id)() == first
    entries = len(signer.entries())
    signer.restart()
    assert sign_without_record(root, tbs, intent_id)() == first
    assert len(signer.entries()) == entries


def test_a_large_crl_is_signed(root: Authority) -> None:
    tbs = crl_tbs(root.public_key_der, revoked=5000)
    assert len(tbs) > 100_000
    assert is_signed_by(root.public_key_der, root.sign(tbs, "crl"), tbs)


def test_an_unrecorded_intent_is_refused(root: Authority) -> None:
    assert refused(sign_without_record(root, root.tbs(), uuid4())) == "intent.unknown"


@pytest.mark.parametrize("kind", ["certificate", "crl"])
def test_signing_without_naming_an_intent_is_refused(root: Authority, kind: str) -> None:
    assert refused(sign_without_record(root, root.tbs(), None, kind)) == "intent.missing"


@pytest.mark.parametrize("state", ["closed", "abandoned", "OPEN", ""])
def test_an_intent_that_is_not_open_is_refused(root: Authority, state: str) -> None:
    tbs = root.tbs()
    intent_id = root.database.record(tbs, root.key_id, state=state)
    assert refused(sign_without_record(root, tbs, intent_id)) == "intent.closed"


def test_a_signed_intent_that_was_closed_is_refused_even_for_the_same_bytes(
    root: Authority, intent_database: IntentDatabase
) -> None:
    tbs = root.tbs()
    intent_id = intent_database.record(tbs, root.key_id)
    sign_without_record(root, tbs, intent_id)()
    intent_database.execute(f"UPDATE intents.intent SET state = 'closed' WHERE id = '{intent_id}'")  # noqa: S608
    assert refused(sign_without_record(root, tbs, intent_id)) == "intent.closed"


def test_other_bytes_than_the_recorded_are_refused(signer: SignerProcess, root: Authority) -> None:
    entries = len(signer.entries())
    intent_id = root.database.record(root.tbs(), root.key_id)
    assert refused(sign_without_record(root, root.tbs(), intent_id)) == "intent.bytes-differ"
    assert len(signer.entries()) == entries


def test_an_intent_whose_bytes_were_changed_after_signing_is_refused(
    root: Authority, intent_database: IntentDatabase
) -> None:
    tbs, other = root.tbs(), root.tbs()
    intent_id = intent_database.record(tbs, root.key_id)
    sign_without_record(root, tbs, intent_id)()
    intent_database.execute(
        f"UPDATE intents.intent SET tbs_sha256 = sha256('\\x{other.hex()}') "  # noqa: S608
        f"WHERE id = '{intent_id}'"
    )
    assert refused(sign_without_record(root, other, intent_id)) == "intent.bytes-differ"


def test_an_intent_of_another_key_or_kind_is_refused(root: Authority) -> None:
    tbs = root.tbs()
    other_key = root.database.record(tbs, uuid4())
    assert refused(sign_without_record(root, tbs, other_key)) == "intent.other-key"
    other_kind = root.database.record(tbs, root.key_id, kind="crl")
    assert refused(sign_without_record(root, tbs, other_kind)) == "intent.other-kind"


def test_an_unknown_key_is_refused(root: Authority) -> None:
    tbs, key_id = root.tbs(), uuid4()
    intent_id = root.database.record(tbs, key_id)

    def sign() -> bytes:
        return root.client.sign(
            kind="certificate", key_id=key_id, intent_id=intent_id, to_be_signed=tbs
        )

    assert refused(sign) == "key.unknown"
    assert refused(lambda: root.client.public_key(key_id=key_id)) == "key.unknown"


CA_USAGE = key_usage(ca=True)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"issuer": name("Other Root")}, "issuer.differs", id="another issuer"),
        pytest.param({"issuer": x509.Name([])}, "issuer.differs", id="no issuer"),
        pytest.param(
            {"not_after": NOW + timedelta(days=3650, seconds=1)},
            "validity.exceeds-issuer",
            id="one second beyond the authority's end",
        ),
        pytest.param(
            {"not_before": NOW - timedelta(seconds=1)},
            "validity.exceeds-issuer",
            id="one second before the authority's beginning",
        ),
        pytest.param({"usage": CA_USAGE}, "extension.not-permitted", id="keyCertSign, no CA"),
        pytest.param({"ca": True, "path_length": 1}, "issuer.path-length", id="path too long"),
        pytest.param({"ca": True}, "issuer.path-length", id="path without limit"),
    ],
)
def test_a_recorded_intent_does_not_lift_the_authoritys_rules(
    signer: SignerProcess, root: Authority, changes: dict[str, Any], code: str
) -> None:
    entries = len(signer.entries())
    assert refused(lambda: root.sign(root.tbs(**changes))) == code
    assert len(signer.entries()) == entries


def test_validity_may_end_with_the_authoritys_and_a_path_length_may_be_less(
    root: Authority,
) -> None:
    root.sign(root.tbs(not_before=NOW, not_after=NOW + timedelta(days=3650)))
    root.sign(root.tbs(ca=True, path_length=0))


def test_an_issuing_ca_of_path_length_zero_signs_no_ca(root: Authority) -> None:
    issuing = make_below(root)
    tbs = issuing.tbs()
    assemble(tbs, issuing.sign(tbs)).verify_directly_issued_by(issuing.certificate)
    code = refused(lambda: issuing.sign(issuing.tbs(ca=True, path_length=0)))
    assert code == "issuer.path-length"


def with_serial(tbs: bytes, serial: bytes) -> bytes:
    """Replace the serial number 0x0102030405060708."""
    start = tbs.index(b"\xa0\x03\x02\x01\x02")
    rest = tbs[start + 5 :].removeprefix(b"\x02\x08\x01\x02\x03\x04\x05\x06\x07\x08")
    return der.encode(der.SEQUENCE, tbs[start : start + 5], der.encode(der.INTEGER, serial), rest)


@pytest.mark.parametrize(
    "serial",
    [
        pytest.param(b"\x00", id="zero"),
        pytest.param(b"\xff", id="negative"),
        pytest.param(b"\x7f" + bytes(20), id="21 octets"),
    ],
)
def test_a_serial_number_out_of_bounds_is_refused(root: Authority, serial: bytes) -> None:
    tbs = root.tbs(serial_number=0x0102030405060708)
    assert with_serial(tbs, b"\x01\x02\x03\x04\x05\x06\x07\x08") == tbs
    bent = with_serial(tbs, serial)
    assert refused(lambda: root.sign(bent)) == "serial-number.not-permitted"


@pytest.mark.parametrize(
    "bend",
    [
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda tbs: tbs[:-1], id="cut"),
        pytest.param(lambda tbs: tbs + b"\x00", id="trailing octet"),
        pytest.param(lambda tbs: tbs + tbs, id="twice"),
        pytest.param(lambda _: b"\x30\x00", id="empty sequence"),
        pytest.param(lambda _: b"\x30\x80\x00\x00", id="indefinite length"),
        pytest.param(lambda _: bytes(100), id="zeros"),
        pytest.param(lambda tbs: tbs.replace(b"\xa0\x03\x02\x01\x02", b"", 1), id="no version"),
        pytest.param(lambda tbs: b"\x31" + tbs[1:], id="a set"),
    ],
)
@pytest.mark.parametrize("kind", ["certificate", "crl"])
def test_bytes_that_are_no_certificate_are_refused_even_when_recorded(
    root: Authority, bend: Callable[[bytes], bytes], kind: str
) -> None:
    bent = bend(root.tbs())
    assert refused(lambda: root.sign(bent, kind)) == "tbs.malformed"


def test_bytes_of_the_other_kind_are_refused(root: Authority) -> None:
    assert refused(lambda: root.sign(root.tbs(), "crl")) == "tbs.malformed"
    crl = crl_tbs(root.public_key_der)
    assert refused(lambda: root.sign(crl, "certificate")) == "tbs.malformed"
    assert refused(lambda: root.sign(root.tbs(), "driving-licence")) in {
        "frame.too-large",
        "request.malformed",
    }


def test_a_signature_algorithm_of_another_key_is_refused(
    client: SignerClient, root: Authority
) -> None:
    other = client.generate_key(key_id=uuid4(), algorithm="ed25519", purpose="authority")
    assert refused(lambda: root.sign(certificate_tbs(other))) == "tbs.algorithm"
    assert refused(lambda: root.sign(crl_tbs(other), "crl")) == "tbs.algorithm"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"issuer": name("Other Root")}, "issuer.differs"),
        ({"number": None}, "tbs.malformed"),
    ],
)
def test_a_crl_against_the_rules_is_refused(
    root: Authority, changes: dict[str, Any], code: str
) -> None:
    tbs = crl_tbs(root.public_key_der, **changes)
    assert refused(lambda: root.sign(tbs, "crl")) == code


def test_an_authority_without_crl_sign_signs_no_crl(
    client: SignerClient, intent_database: IntentDatabase
) -> None:
    root = make_root(client, intent_database, usage=key_usage(ca=True, crl_sign=False))
    tbs = crl_tbs(root.public_key_der)
    assert refused(lambda: root.sign(tbs, "crl")) == "issuer.key-usage"


# Authorities and their certificates.


@pytest.fixture
def fresh(client: SignerClient, intent_database: IntentDatabase, root: Authority) -> Authority:
    """A key without a certificate (``root``'s stands in the field)."""
    key_id = uuid4()
    public = client.generate_key(key_id=key_id, algorithm="ecdsa-p256", purpose="authority")
    return Authority(client, intent_database, key_id, public, root.certificate)


def public_key(authority: Authority) -> Any:
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    return load_der_public_key(authority.public_key_der)


def test_a_key_without_a_certificate_signs_only_its_own(fresh: Authority) -> None:
    own = public_key(fresh)
    me = name("Fresh")
    for changes in (
        {},
        {"ca": True},
        {"ca": True, "subject": ROOT_NAME},
        {"ca": True, "subject": name("Other"), "subject_key": own, "issuer": me},
        {"subject": me, "subject_key": own, "issuer": me},
    ):
        tbs = certificate_tbs(fresh.public_key_der, **changes)
        assert refused(partial(fresh.sign, tbs)) == "authority.not-active"
    tbs = crl_tbs(fresh.public_key_der)
    assert refused(lambda: fresh.sign(tbs, "crl")) == "authority.not-active"


def activate(authority: Authority, certificate: x509.Certificate) -> Callable[[], None]:
    return lambda: authority.client.activate_authority(
        key_id=authority.key_id, certificate_der=certificate.public_bytes(Encoding.DER)
    )


def test_a_certificate_over_another_key_activates_nothing(
    fresh: Authority, root: Authority
) -> None:
    assert refused(activate(fresh, root.certificate)) == "authority.certificate"


def test_a_certificate_that_this_signer_did_not_sign_activates_nothing(
    fresh: Authority, root: Authority
) -> None:
    foreign_key = ec.generate_private_key(ec.SECP256R1())
    foreign = (
        x509.CertificateBuilder()
        .issuer_name(root.name)
        .subject_name(name("Mine"))
        .public_key(public_key(fresh))
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(CA_USAGE, critical=True)
        .sign(foreign_key, hashes.SHA256())
    )
    assert refused(activate(fresh, foreign)) == "authority.certificate"


def test_an_end_entity_certificate_activates_no_authority(
    fresh: Authority, root: Authority
) -> None:
    tbs = root.tbs(subject=name("Leaf"), subject_key=public_key(fresh))
    certificate = assemble(tbs, root.sign(tbs))
    assert refused(activate(fresh, certificate)) == "authority.certificate"


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", b"-----BEGIN CERTIFICATE-----", bytes(5000)])
def test_what_is_no_certificate_activates_nothing(fresh: Authority, octets: bytes) -> None:
    def offer() -> None:
        fresh.client.activate_authority(key_id=fresh.key_id, certificate_der=octets)

    assert refused(offer) == "authority.certificate"


def test_activation_survives_a_restart(signer: SignerProcess, root: Authority) -> None:
    issuing = make_below(root)
    signer.restart()
    tbs = issuing.tbs()
    issuing.sign(tbs)
    assert refused(lambda: issuing.sign(root.tbs())) == "issuer.differs"


def test_an_activated_certificate_is_replaced_only_by_a_newer_one_of_the_same_name(
    root: Authority,
) -> None:
    issuing = make_below(root)
    own = public_key(issuing)

    def offer(**changes: Any) -> Callable[[], None]:
        tbs = root.tbs(
            **{
                "subject": issuing.name,
                "subject_key": own,
                "ca": True,
                "path_length": 0,
                "not_after": NOW + timedelta(days=2000),
                **changes,
            }
        )
        return activate(issuing, assemble(tbs, root.sign(tbs)))

    assert refused(offer(subject=name("Renamed"))) == "authority.certificate"
    activate(issuing, issuing.certificate)()
    offer(not_before=NOW + timedelta(days=1))()
    assert refused(activate(issuing, issuing.certificate)) == "authority.certificate"
    issuing.sign(
        issuing.tbs(not_before=NOW + timedelta(days=1), not_after=NOW + timedelta(days=2000))
    )


def test_a_root_renews_its_own_certificate_for_the_same_key_and_name_only(root: Authority) -> None:
    own = public_key(root)
    renewed = {
        "subject": root.name,
        "subject_key": own,
        "ca": True,
        "path_length": 1,
        "not_before": NOW + timedelta(days=3000),
        "not_after": NOW + timedelta(days=7000),
    }
    tbs = root.tbs(**renewed)
    activate(root, assemble(tbs, root.sign(tbs)))()
    root.sign(root.tbs(not_before=NOW + timedelta(days=4000), not_after=NOW + timedelta(days=5000)))
    other = root.tbs(**{**renewed, "subject": name("Other")})
    assert refused(lambda: root.sign(other)) == "issuer.path-length"


# OCSP.


@pytest.fixture
def responder(root: Authority) -> Authority:
    return make_below(root, purpose="ocsp-responder", common_name="Responder")


def sign_response(responder: Authority, tbs: bytes) -> bytes:
    return sign_without_record(responder, tbs, None, "ocsp-response")()


@pytest.mark.parametrize("by", list(ocsp.OCSPResponderEncoding))
def test_a_responder_signs_responses_and_they_are_logged_apart(
    signer: SignerProcess, responder: Authority, by: ocsp.OCSPResponderEncoding
) -> None:
    entries = len(signer.entries())
    tbs = response_tbs(responder.public_key_der, responder=responder.certificate, by=by)
    signature = sign_response(responder, tbs)
    assert is_signed_by(responder.public_key_der, signature, tbs)
    assert len(signer.entries()) == entries
    report = verify_log(signer.log_path.with_name("signatures.log.ocsp"))
    assert (report.entries, report.problem) == (1, None)


def test_a_responder_named_by_key_signs_before_its_certificate_is_activated(
    root: Authority,
) -> None:
    responder = make_below(root, purpose="ocsp-responder", activate=False)
    by_key = response_tbs(responder.public_key_der, responder=responder.certificate)
    sign_response(responder, by_key)
    by_name = response_tbs(
        responder.public_key_der,
        responder=responder.certificate,
        by=ocsp.OCSPResponderEncoding.NAME,
    )
    assert refused(lambda: sign_response(responder, by_name)) == "responder.differs"


@pytest.mark.parametrize("by", list(ocsp.OCSPResponderEncoding))
def test_a_response_in_anothers_name_is_refused(
    root: Authority, responder: Authority, by: ocsp.OCSPResponderEncoding
) -> None:
    tbs = response_tbs(responder.public_key_der, responder=root.certificate, by=by)
    assert refused(lambda: sign_response(responder, tbs)) == "responder.differs"


@pytest.mark.parametrize(
    "window",
    [
        pytest.param(timedelta(days=7, seconds=1), id="longer than seven days"),
        pytest.param(timedelta(days=3650), id="ten years"),
        pytest.param(None, id="no end"),
    ],
)
def test_a_response_that_holds_too_long_is_refused(
    responder: Authority, window: timedelta | None
) -> None:
    tbs = response_tbs(responder.public_key_der, responder=responder.certificate, window=window)
    assert refused(lambda: sign_response(responder, tbs)) == "response.window"


def test_a_responders_key_signs_no_certificate_and_no_crl(responder: Authority) -> None:
    tbs = certificate_tbs(responder.public_key_der)
    assert refused(lambda: responder.sign(tbs)) == "key.purpose"
    tbs = crl_tbs(responder.public_key_der)
    assert refused(lambda: responder.sign(tbs, "crl")) == "key.purpose"


def test_an_authoritys_key_signs_no_response(root: Authority) -> None:
    tbs = response_tbs(root.public_key_der, responder=root.certificate)
    assert refused(lambda: sign_response(root, tbs)) == "key.purpose"


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", bytes(50), b"\x30\x03\x02\x01\x05"])
def test_what_is_no_response_is_refused(responder: Authority, octets: bytes) -> None:
    assert refused(lambda: sign_response(responder, octets)) == "tbs.malformed"


def test_a_certificate_passed_off_as_a_response_is_refused(responder: Authority) -> None:
    tbs = certificate_tbs(responder.public_key_der)
    assert refused(lambda: sign_response(responder, tbs)) == "tbs.malformed"


def test_a_certificate_without_ocsp_signing_activates_no_responder(root: Authority) -> None:
    responder = make_below(root, purpose="ocsp-responder", activate=False)
    tbs = root.tbs(
        subject_key=public_key(responder),
        extra=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
    )
    certificate = assemble(tbs, root.sign(tbs))
    assert refused(activate(responder, certificate)) == "authority.certificate"
