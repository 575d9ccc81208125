from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest
from cryptography import x509
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.issuance import (
    Issuer,
    authority_subject,
    intend_authority,
    intend_ocsp_responder,
    shipped_profile,
    verify_chain,
)
from pkakey_engine.testing import (
    AuthorityForTests,
    generate_key,
    make_csr,
    make_issuing_authority,
    make_ocsp_responder,
    make_root_authority,
)

Expect = Callable[[Refusal, Callable[[], object]], Refused]


def test_a_root_signs_itself_and_says_so(root: AuthorityForTests, now: datetime) -> None:
    verify_chain([root.certificate], now)
    criticality = {type(e.value): e.critical for e in root.certificate.extensions}
    assert criticality == {
        x509.BasicConstraints: True,
        x509.KeyUsage: True,
        x509.SubjectKeyIdentifier: False,
        x509.AuthorityKeyIdentifier: False,
    }
    constraints = root.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.ca
    assert constraints.path_length is None


def test_an_issuing_authority_may_have_none_below_it(
    ca: AuthorityForTests, now: datetime, refused: Expect
) -> None:
    verify_chain(ca.chain, now)
    constraints = ca.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.path_length == 0
    for profile in ("root-ca", "issuing-ca"):
        refused(Refusal.ISSUER_PATH_LENGTH, partial(make, ca, now, profile))


def make(
    parent: AuthorityForTests, now: datetime, profile: str = "root-ca", **more: object
) -> x509.Certificate:
    intended = intend_authority(
        subject=authority_subject("Below"),
        public_key=generate_key().public_key(),
        profile=shipped_profile(profile),
        issuer=parent.issuer,
        now=now,
        validity=timedelta(days=3000) if profile == "root-ca" else None,
        **more,  # type: ignore[arg-type]  # Each test names its own keyword.
    )
    return parent.sign(intended)


def test_path_lengths_shrink_from_authority_to_authority(
    root: AuthorityForTests, now: datetime, refused: Expect
) -> None:
    def below(parent: AuthorityForTests, length: int | None) -> AuthorityForTests:
        from pkakey_engine.issuance import complete_certificate
        from pkakey_engine.testing import SoftSigner

        signer = SoftSigner.generate(for_tests=True)
        intended = intend_authority(
            subject=authority_subject(f"Length {length}"),
            public_key=signer.public_key,
            profile=shipped_profile("root-ca"),
            issuer=parent.issuer,
            now=now,
            path_length=length,
        )
        certificate = x509.load_der_x509_certificate(
            complete_certificate(intended, parent.signer.sign(intended.tbs_certificate))
        )
        issuer = Issuer.from_certificate(certificate, chain=parent.chain)
        return AuthorityForTests(issuer, signer, certificate)

    two = below(root, 2)
    refused(Refusal.ISSUER_PATH_LENGTH, lambda: below(two, 2))
    one = below(two, None)
    own = one.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert own.path_length == 1
    nought = below(one, 0)
    verify_chain(nought.chain, now)
    refused(Refusal.ISSUER_PATH_LENGTH, lambda: below(nought, 0))


@pytest.mark.parametrize("length", [-1, 1, 5])
def test_a_path_length_beyond_the_profile_is_refused(
    root: AuthorityForTests, now: datetime, refused: Expect, length: int
) -> None:
    refused(Refusal.ISSUER_PATH_LENGTH, lambda: make(root, now, "issuing-ca", path_length=length))


@pytest.mark.parametrize("profile", ["tls-server", "tls-client", "ocsp-signer"])
def test_no_authority_is_made_by_another_kind_of_profile(
    root: AuthorityForTests, now: datetime, refused: Expect, profile: str
) -> None:
    refused(Refusal.PROFILE_NOT_APPLICABLE, lambda: make(root, now, profile))


def test_an_authority_needs_a_subject_and_a_sound_key(
    root: AuthorityForTests, now: datetime, refused: Expect
) -> None:
    def attempt(subject: x509.Name, algorithm: str) -> object:
        return intend_authority(
            subject=subject,
            public_key=generate_key(algorithm).public_key(),
            profile=shipped_profile("issuing-ca"),
            issuer=root.issuer,
            now=now,
        )

    refused(Refusal.SUBJECT_MALFORMED, lambda: attempt(x509.Name([]), "ecdsa-p256"))
    refused(Refusal.KEY_TOO_SMALL, lambda: attempt(authority_subject("x"), "rsa-1024"))


@pytest.mark.parametrize("text", ["", " ", "a\n", "x" * 65, "ä" * 33])
def test_an_authoritys_names_are_checked(text: str, refused: Expect) -> None:
    refused(Refusal.SUBJECT_MALFORMED, lambda: authority_subject(text))
    if text.strip():
        refused(Refusal.SUBJECT_MALFORMED, lambda: authority_subject("ok", text))


def test_an_expired_root_makes_no_authority(root: AuthorityForTests, refused: Expect) -> None:
    late = root.certificate.not_valid_after_utc + timedelta(seconds=1)
    refused(Refusal.ISSUER_EXPIRED, lambda: make(root, late, "issuing-ca"))


def test_an_authority_never_outlives_its_root(root: AuthorityForTests) -> None:
    end = root.certificate.not_valid_after_utc
    late = end - timedelta(days=100)
    assert make(root, late, "issuing-ca").not_valid_after_utc == end


def test_name_constraints_are_critical(root: AuthorityForTests, now: datetime) -> None:
    for keywords in (
        {"permitted": [x509.DNSName("a.example")]},
        {"excluded": [x509.DNSName("b.example")]},
    ):
        certificate = make(root, now, "issuing-ca", **keywords)
        extension = certificate.extensions.get_extension_for_class(x509.NameConstraints)
        assert extension.critical


def test_a_responder_has_one_purpose_and_needs_no_status_of_its_own(
    ca: AuthorityForTests, now: datetime
) -> None:
    certificate, _ = make_ocsp_responder(ca, now=now)
    verify_chain([certificate, *ca.chain], now)
    kinds = {type(e.value): e.critical for e in certificate.extensions}
    assert kinds[x509.OCSPNoCheck] is False
    assert x509.CRLDistributionPoints not in kinds


def test_a_responder_is_made_by_its_own_profile_only(
    ca: AuthorityForTests, now: datetime, refused: Expect
) -> None:
    refused(
        Refusal.PROFILE_NOT_APPLICABLE,
        lambda: intend_ocsp_responder(
            subject=authority_subject("x"),
            public_key=generate_key().public_key(),
            profile=shipped_profile("tls-server"),
            issuer=ca.issuer,
            now=now,
        ),
    )


def test_status_addresses_must_be_plain_http(ca: AuthorityForTests) -> None:
    for url in ("https://a.example/x", "ldap://a.example", "http://", "/x", "http://ä.example/"):
        with pytest.raises(ValueError, match="plain http"):
            Issuer.from_certificate(ca.certificate, crl_urls=(url,))


def test_the_same_bytes_give_the_same_remembered_issuer(ca: AuthorityForTests) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    data = ca.certificate.public_bytes(Encoding.DER)
    one = Issuer.from_certificate_der(data, crl_urls=("http://a.example/x",))
    assert Issuer.from_certificate_der(data, crl_urls=("http://a.example/x",)) is one
    assert Issuer.from_certificate_der(data) is not one
    with pytest.raises(ValueError, match="pars"):
        Issuer.from_certificate_der(data[:-1])


def test_chains_that_do_not_hold_are_refused(
    root: AuthorityForTests, ca: AuthorityForTests, now: datetime, refused: Expect
) -> None:
    leaf = ca.issue(make_csr(dns=["a.example"]), now=now)
    other = make_root_authority(now=now)
    twin = make_issuing_authority(other, now=now)
    verify_chain([leaf, *ca.chain], now)
    broken: list[list[x509.Certificate]] = [
        [],
        [leaf],
        [leaf, root.certificate],
        [leaf, ca.certificate],
        [root.certificate, ca.certificate, leaf],
        [leaf, *twin.chain],
        [leaf, ca.certificate, other.certificate],
    ]
    for chain in broken:
        refused(Refusal.CHAIN_BROKEN, partial(verify_chain, chain, now))
    late = leaf.not_valid_after_utc + timedelta(seconds=1)
    refused(Refusal.CHAIN_EXPIRED, lambda: verify_chain([leaf, *ca.chain], late))
    early = leaf.not_valid_before_utc - timedelta(seconds=1)
    refused(Refusal.CHAIN_EXPIRED, lambda: verify_chain([leaf, *ca.chain], early))
