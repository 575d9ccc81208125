import random
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from pkakey_engine.errors import Refusal, Refused, SignedBytesDiffer
from pkakey_engine.issuance import Issuer, new_serial_number
from pkakey_engine.revocation import (
    IntendedCRL,
    RevocationReason,
    RevokedEntry,
    complete_crl,
    complete_crl_from_parts,
    intend_crl,
)
from pkakey_engine.testing import AuthorityForTests, SoftSigner, make_csr, make_root_authority

Expect = Callable[[Refusal, Callable[[], object]], Refused]
DAY = timedelta(days=1)


def publish(
    ca: AuthorityForTests, now: datetime, *entries: RevokedEntry, number: int = 1
) -> x509.CertificateRevocationList:
    intended = intend_crl(
        issuer=ca.issuer, crl_number=number, entries=entries, now=now, next_update=now + DAY
    )
    data = complete_crl(intended, ca.signer.sign(intended.to_be_signed))
    return x509.load_der_x509_crl(data)


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"])
def test_a_crl_of_each_kind_of_authority_is_valid_and_says_what_was_put_in(
    now: datetime, algorithm: str
) -> None:
    ca = make_root_authority(now=now, algorithm=algorithm)
    serial = new_serial_number()
    crl = publish(ca, now, RevokedEntry(serial, now, RevocationReason.KEY_COMPROMISE), number=77)
    assert crl.is_signature_valid(ca.certificate.public_key())  # type: ignore[arg-type]
    assert crl.issuer == ca.certificate.subject
    assert crl.last_update_utc == now
    assert crl.next_update_utc == now + DAY
    found = crl.get_revoked_certificate_by_serial_number(serial)
    assert found is not None
    reason = found.extensions.get_extension_for_class(x509.CRLReason)
    assert reason.value.reason is x509.ReasonFlags.key_compromise
    assert not reason.critical
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 77
    identifier = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert identifier.key_identifier == ca.issuer.key_identifier


def test_an_empty_crl_leaves_the_list_out(ca: AuthorityForTests, now: datetime) -> None:
    crl = publish(ca, now)
    assert len(crl) == 0
    assert crl.is_signature_valid(ca.certificate.public_key())  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", RevocationReason)
def test_every_reason_reads_back_and_unspecified_is_left_out(
    ca: AuthorityForTests, now: datetime, reason: RevocationReason
) -> None:
    (entry,) = publish(ca, now, RevokedEntry(5, now, reason))
    if reason is RevocationReason.UNSPECIFIED:
        assert not list(entry.extensions)
    else:
        flag = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        assert flag.value == reason.value


def test_our_bytes_are_those_of_cryptographys_builder(ca: AuthorityForTests, now: datetime) -> None:
    source = random.Random(3)  # noqa: S311 - vectors, not keys.
    later = now.replace(year=2055)
    entries = [
        RevokedEntry(source.getrandbits(1 + 8 * (n % 19)) or 1, moment, reason)
        for n, reason in enumerate(list(RevocationReason) * 3)
        for moment in (later if n % 2 else now,)
    ]
    entries = list({entry.serial_number: entry for entry in entries}.values())
    builder = x509.CertificateRevocationListBuilder(
        ca.certificate.subject, later, later + DAY
    ).add_extension(ca.issuer.authority_key_identifier.value, critical=False)
    builder = builder.add_extension(x509.CRLNumber(2**100), critical=False)
    for entry in entries:
        revoked = x509.RevokedCertificateBuilder(entry.serial_number, entry.revoked_at)
        if entry.reason is not RevocationReason.UNSPECIFIED:
            flag = x509.ReasonFlags(entry.reason.value)
            revoked = revoked.add_extension(x509.CRLReason(flag), critical=False)
        builder = builder.add_revoked_certificate(revoked.build())
    key = ca.signer.private_key  # type: ignore[attr-defined]  # A SoftSigner has it.
    theirs = builder.sign(key, ca.issuer.signature_algorithm.hash_algorithm)
    ours = intend_crl(
        issuer=ca.issuer,
        crl_number=2**100,
        entries=entries,
        now=later,
        next_update=later + DAY,
    )
    assert ours.tbs_crl == theirs.tbs_certlist_bytes


def test_a_revocation_that_lies_ahead_is_dated_with_the_list(
    ca: AuthorityForTests, now: datetime
) -> None:
    (entry,) = publish(ca, now, RevokedEntry(5, now + DAY))
    assert entry.revocation_date_utc == now


def test_fifty_thousand_entries_read_back_whole(ca: AuthorityForTests, now: datetime) -> None:
    entries = (RevokedEntry(n, now, RevocationReason.SUPERSEDED) for n in range(1, 50001))
    crl = publish(ca, now, *entries)
    assert len(crl) == 50000
    assert crl.get_revoked_certificate_by_serial_number(50000) is not None
    assert crl.get_revoked_certificate_by_serial_number(50001) is None


@pytest.mark.parametrize(
    ("number", "window", "refusal"),
    [
        (-1, DAY, Refusal.CRL_NUMBER),
        (2**159, DAY, Refusal.CRL_NUMBER),
        (1, timedelta(0), Refusal.CRL_WINDOW),
        (1, timedelta(milliseconds=999), Refusal.CRL_WINDOW),
        (1, -DAY, Refusal.CRL_WINDOW),
    ],
)
def test_a_crl_that_cannot_be_is_refused(
    ca: AuthorityForTests,
    now: datetime,
    refused: Expect,
    number: int,
    window: timedelta,
    refusal: Refusal,
) -> None:
    refused(
        refusal,
        lambda: intend_crl(
            issuer=ca.issuer, crl_number=number, entries=(), now=now, next_update=now + window
        ),
    )


def test_a_certificate_without_crl_sign_signs_no_crl(
    ca: AuthorityForTests, now: datetime, refused: Expect
) -> None:
    leaf = ca.issue(make_csr(dns=["a.example"]), now=now)
    fake = AuthorityForTests(Issuer.from_certificate(leaf), ca.signer, leaf)
    refused(Refusal.ISSUER_KEY_USAGE, lambda: publish(fake, now))


def test_an_authority_without_its_certificate_signs_no_crl(
    ca: AuthorityForTests, now: datetime
) -> None:
    bare = Issuer.self_signed(ca.certificate.subject, ca.issuer.public_key)
    with pytest.raises(ValueError, match="certificate"):
        intend_crl(issuer=bare, crl_number=1, entries=(), now=now, next_update=now + DAY)


@pytest.mark.parametrize("serials", [(5, 5), (0,), (-3,)])
def test_doubled_or_impossible_serials_are_a_mistake_of_the_caller(
    ca: AuthorityForTests, now: datetime, serials: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="twice or below"):
        publish(ca, now, *[RevokedEntry(serial, now) for serial in serials])


def test_a_signature_that_does_not_fit_raises_the_alarm(
    ca: AuthorityForTests, now: datetime
) -> None:
    intended: IntendedCRL = intend_crl(
        issuer=ca.issuer, crl_number=1, entries=(), now=now, next_update=now + DAY
    )
    right = ca.signer.sign(intended.to_be_signed)
    other = SoftSigner.generate(for_tests=True).sign(intended.to_be_signed)
    assert complete_crl_from_parts(intended.tbs_crl, right, ca.issuer.public_key) == complete_crl(
        intended, right
    )
    for signature in (b"", right[:-1], other, ca.signer.sign(b"else")):
        with pytest.raises(SignedBytesDiffer):
            complete_crl(intended, signature)
    with pytest.raises(SignedBytesDiffer):
        complete_crl_from_parts(b"junk", ca.signer.sign(b"junk"), ca.issuer.public_key)
