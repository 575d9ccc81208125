from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.issuance import (
    IntendedCertificate,
    Issuer,
    Profile,
    intend_certificate,
    new_serial_number,
    parse_csr,
    shipped_profile,
    verify_chain,
)
from pkakey_engine.names import Name, NameKind
from pkakey_engine.testing import (
    AuthorityForTests,
    generate_key,
    make_csr,
    make_issuing_authority,
    make_root_authority,
)

Expect = Callable[[Refusal, Callable[[], object]], Refused]
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def intend(
    ca: AuthorityForTests,
    csr: bytes,
    now: datetime,
    profile: str | Profile = "tls-server",
    **more: object,
) -> IntendedCertificate:
    chosen = shipped_profile(profile) if isinstance(profile, str) else profile
    return intend_certificate(
        request=parse_csr(csr),
        profile=chosen,
        issuer=ca.issuer,
        now=now,
        **more,  # type: ignore[arg-type]  # Each test names its own keyword.
    )


def changed(name: str, **fields: object) -> Profile:
    return Profile.from_data({**shipped_profile(name).data, **fields})


@pytest.mark.parametrize("issuer_algorithm", ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"])
@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"])
def test_every_kind_of_key_is_certified_by_every_kind_of_authority(
    now: datetime, issuer_algorithm: str, algorithm: str
) -> None:
    root = make_root_authority(now=now, algorithm=issuer_algorithm)
    ca = make_issuing_authority(root, now=now, algorithm=issuer_algorithm)
    key = generate_key(algorithm)
    certificate = ca.issue(make_csr(common_name="a.example", private_key=key), now=now)
    assert certificate.public_key() == key.public_key()
    verify_chain([certificate, *ca.chain], now)


def test_a_server_certificate_has_the_extensions_of_rfc_5280_with_their_criticality(
    ca: AuthorityForTests, now: datetime
) -> None:
    certificate = ca.issue(make_csr(common_name="a.example", dns=["b.example"]), now=now)
    criticality = {type(e.value): e.critical for e in certificate.extensions}
    assert criticality == {
        x509.BasicConstraints: True,
        x509.KeyUsage: True,
        x509.ExtendedKeyUsage: False,
        x509.SubjectKeyIdentifier: False,
        x509.AuthorityKeyIdentifier: False,
        x509.SubjectAlternativeName: False,
        x509.CRLDistributionPoints: False,
        x509.AuthorityInformationAccess: False,
    }
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["b.example", "a.example"]


def test_an_empty_subject_makes_the_names_critical(ca: AuthorityForTests, now: datetime) -> None:
    certificate = ca.issue(make_csr(dns=["a.example"]), now=now)
    assert not certificate.subject.rdns
    assert certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_of_the_subject_only_the_common_name_is_taken(ca: AuthorityForTests, now: datetime) -> None:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Somebody Else Ltd"),
            x509.NameAttribute(NameOID.COMMON_NAME, "A.example"),
        ]
    )
    assert intend(ca, make_csr(subject=subject), now).subject == "CN=a.example"


@pytest.mark.parametrize(
    ("common_name", "certified"),
    [
        ("MÜLLER.example", Name(NameKind.DNS, "xn--mller-kva.example")),
        ("*.a.example", Name(NameKind.DNS, "*.a.example")),
        ("2001:0DB8::1", Name(NameKind.IP, "2001:db8::1")),
    ],
)
def test_the_common_name_of_a_server_is_certified_in_normal_form(
    ca: AuthorityForTests, now: datetime, common_name: str, certified: Name
) -> None:
    intended = intend(ca, make_csr(common_name=common_name), now)
    assert intended.names == (certified,)
    assert intended.subject == f"CN={certified.value}"


def test_a_clients_common_name_is_free_text_and_no_name(
    ca: AuthorityForTests, now: datetime
) -> None:
    intended = intend(ca, make_csr(common_name="Alice B."), now, "tls-client")
    assert intended.subject == "CN=Alice B."
    assert intended.names == ()


def test_extra_names_join_those_of_the_request(ca: AuthorityForTests, now: datetime) -> None:
    extra = (Name(NameKind.DNS, "b.example"), Name(NameKind.DNS, "a.example"))
    intended = intend(ca, make_csr(dns=["a.example"]), now, extra_names=extra)
    assert [name.value for name in intended.names] == ["a.example", "b.example"]


def test_the_validity_starts_a_little_in_the_past_and_counts_its_last_second(
    ca: AuthorityForTests, now: datetime
) -> None:
    later = now + DAY
    intended = intend(ca, make_csr(dns=["a.example"]), later + timedelta(microseconds=7))
    assert intended.not_before == later - timedelta(minutes=5)
    assert intended.not_after == intended.not_before + 90 * DAY - SECOND


def test_a_certificate_never_starts_before_its_authority(
    ca: AuthorityForTests, now: datetime
) -> None:
    start = ca.certificate.not_valid_before_utc
    assert intend(ca, make_csr(dns=["a.example"]), start).not_before == start


def test_without_a_wish_the_validity_is_cut_to_the_authoritys_end(
    ca: AuthorityForTests,
) -> None:
    end = ca.certificate.not_valid_after_utc
    assert intend(ca, make_csr(dns=["a.example"]), end - 30 * DAY).not_after == end


@pytest.mark.parametrize(
    ("before_end", "asked", "refusal"),
    [
        pytest.param(
            30 * DAY, 31 * DAY, Refusal.VALIDITY_EXCEEDS_ISSUER, id="a wish beyond the authority"
        ),
        pytest.param(
            30 * DAY,
            30 * DAY + timedelta(minutes=5) + 2 * SECOND,
            Refusal.VALIDITY_EXCEEDS_ISSUER,
            id="notAfter one second past the limit, since validity is inclusive",
        ),
        pytest.param(
            timedelta(minutes=50),
            None,
            Refusal.VALIDITY_EXCEEDS_ISSUER,
            id="less than an hour left",
        ),
        pytest.param(-SECOND, None, Refusal.ISSUER_EXPIRED, id="the authority has expired"),
        pytest.param(30 * DAY, 399 * DAY, Refusal.VALIDITY_TOO_LONG, id="past the profile's most"),
        pytest.param(30 * DAY, timedelta(0), Refusal.VALIDITY_TOO_SHORT, id="nothing"),
        pytest.param(30 * DAY, -DAY, Refusal.VALIDITY_TOO_SHORT, id="negative"),
        pytest.param(
            30 * DAY, timedelta(minutes=59), Refusal.VALIDITY_TOO_SHORT, id="below the least"
        ),
        pytest.param(30 * DAY, timedelta.max, Refusal.VALIDITY_TOO_LONG, id="the largest there is"),
    ],
)
def test_a_validity_that_cannot_be_is_refused(
    ca: AuthorityForTests,
    refused: Expect,
    before_end: timedelta,
    asked: timedelta | None,
    refusal: Refusal,
) -> None:
    now = ca.certificate.not_valid_after_utc - before_end
    csr = make_csr(dns=["a.example"])
    refused(refusal, lambda: intend(ca, csr, now, validity=asked))


def test_a_wish_to_the_very_last_second_of_the_authority_is_met(ca: AuthorityForTests) -> None:
    end = ca.certificate.not_valid_after_utc
    now = end - 30 * DAY
    wish = 30 * DAY + timedelta(minutes=5) + SECOND
    assert intend(ca, make_csr(dns=["a.example"]), now, validity=wish).not_after == end


def test_an_authority_that_is_not_yet_valid_does_not_issue(
    ca: AuthorityForTests, refused: Expect
) -> None:
    early = ca.certificate.not_valid_before_utc - SECOND
    csr = make_csr(dns=["a.example"])
    refused(Refusal.ISSUER_NOT_YET_VALID, lambda: intend(ca, csr, early))


def test_a_root_that_ends_before_the_authority_ends_the_certificate(now: datetime) -> None:
    root = make_root_authority(now=now)
    ca = make_issuing_authority(root, now=now)
    # As after a move to a shorter root with the same key: the nearest end counts.
    issuer = Issuer.from_certificate(ca.certificate, chain=root.chain)
    assert issuer.not_after == min(
        ca.certificate.not_valid_after_utc, root.certificate.not_valid_after_utc
    )


def test_a_naive_time_is_a_mistake_of_the_caller(ca: AuthorityForTests, now: datetime) -> None:
    with pytest.raises(ValueError, match="aware"):
        intend(ca, make_csr(dns=["a.example"]), now.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("csr", "profile", "refusal"),
    [
        pytest.param({}, "tls-server", Refusal.NAME_MISSING, id="a server without a name"),
        pytest.param({}, "tls-client", Refusal.NAME_MISSING, id="a client without anything"),
        pytest.param(
            {"common_name": "My server"}, "tls-server", Refusal.NAME_MALFORMED_DNS, id="free text"
        ),
        pytest.param(
            {"common_name": "*.com"}, "tls-server", Refusal.NAME_WILDCARD, id="a wide wildcard"
        ),
        pytest.param(
            {"common_name": "ü." * 9 + "example"},
            "tls-server",
            Refusal.SUBJECT_MALFORMED,
            id="a common name that is too long with A-labels",
        ),
        pytest.param(
            {"email": ["a@b.example"]}, "tls-server", Refusal.NAME_NOT_PERMITTED, id="an e-mail"
        ),
        pytest.param(
            {"uri": ["urn:x:y"], "dns": ["a.example"]},
            "tls-server",
            Refusal.NAME_NOT_PERMITTED,
            id="a URI",
        ),
        pytest.param(
            {"dns": ["*.a.example"]}, "tls-client", Refusal.NAME_WILDCARD, id="a client's wildcard"
        ),
        pytest.param(
            {"dns": [f"a{n}.example" for n in range(101)]},
            "tls-server",
            Refusal.NAME_TOO_MANY,
            id="101 names",
        ),
        pytest.param(
            {"common_name": "z.example", "dns": [f"a{n}.example" for n in range(100)]},
            "tls-server",
            Refusal.NAME_TOO_MANY,
            id="100 names and a common name",
        ),
        pytest.param(
            {"common_name": "x"}, "root-ca", Refusal.PROFILE_NOT_APPLICABLE, id="to be a root"
        ),
        pytest.param(
            {"common_name": "x"}, "issuing-ca", Refusal.PROFILE_NOT_APPLICABLE, id="to be a CA"
        ),
        pytest.param(
            {"common_name": "x"},
            "ocsp-signer",
            Refusal.PROFILE_NOT_APPLICABLE,
            id="to answer OCSP for the authority",
        ),
    ],
)
def test_a_request_that_does_not_suit_its_profile_is_refused(
    ca: AuthorityForTests,
    now: datetime,
    refused: Expect,
    csr: dict[str, object],
    profile: str,
    refusal: Refusal,
) -> None:
    data = make_csr(**csr)  # type: ignore[arg-type]  # Each row names its own keywords.
    refused(refusal, lambda: intend(ca, data, now, profile))


BITS = dict.fromkeys(
    (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ),
    False,
)


@pytest.mark.parametrize(
    "extension",
    [
        pytest.param(x509.BasicConstraints(ca=True, path_length=None), id="CA:TRUE"),
        pytest.param(x509.BasicConstraints(ca=True, path_length=0), id="CA:TRUE, pathlen 0"),
        pytest.param(x509.KeyUsage(**{**BITS, "key_cert_sign": True}), id="keyCertSign"),
        pytest.param(x509.KeyUsage(**{**BITS, "crl_sign": True}), id="cRLSign"),
        pytest.param(x509.NameConstraints([x509.DNSName("example")], None), id="name constraints"),
        pytest.param(x509.TLSFeature([x509.TLSFeatureType.status_request]), id="must-staple"),
        pytest.param(x509.OCSPNoCheck(), id="OCSP no check"),
        pytest.param(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
            id="something unknown",
        ),
        pytest.param(
            x509.IssuerAlternativeName([x509.DNSName("example")]), id="another issuer's name"
        ),
    ],
)
def test_an_extension_that_the_profile_does_not_grant_is_refused(
    ca: AuthorityForTests, now: datetime, refused: Expect, extension: x509.ExtensionType
) -> None:
    data = make_csr(dns=["a.example"], extensions=[(extension, False)])
    refused(Refusal.EXTENSION_NOT_PERMITTED, lambda: intend(ca, data, now))


def test_what_openssl_asks_for_by_default_is_passed_over(
    ca: AuthorityForTests, now: datetime
) -> None:
    asked: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), False),
        (x509.KeyUsage(**{**BITS, "key_encipherment": True, "content_commitment": True}), False),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False),
        (x509.SubjectKeyIdentifier(b"chosen by requester!"), False),
    ]
    certificate = ca.issue(make_csr(dns=["a.example"], extensions=asked), now=now)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert not usage.key_encipherment
    extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.SERVER_AUTH]
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert identifier.digest != b"chosen by requester!"


def test_a_key_that_the_profile_does_not_permit_is_refused(
    ca: AuthorityForTests, now: datetime, refused: Expect
) -> None:
    only_p384 = changed("tls-server", key_algorithms=["ecdsa-p384"])
    data = make_csr(dns=["a.example"])
    refused(Refusal.KEY_NOT_PERMITTED, lambda: intend(ca, data, now, only_p384))
    strong_rsa = changed("tls-server", min_rsa_bits=3072)
    data = make_csr(dns=["a.example"], private_key=generate_key("rsa-2048"))
    refused(Refusal.KEY_TOO_SMALL, lambda: intend(ca, data, now, strong_rsa))


def test_the_authoritys_own_key_is_not_certified_again(
    ca: AuthorityForTests, now: datetime, refused: Expect
) -> None:
    key = ca.signer.private_key  # type: ignore[attr-defined]  # A SoftSigner has it.
    data = make_csr(dns=["a.example"], private_key=key)
    refused(Refusal.KEY_IS_ISSUERS, lambda: intend(ca, data, now))


def test_a_certificate_that_is_no_authoritys_does_not_issue(
    ca: AuthorityForTests, now: datetime, refused: Expect
) -> None:
    key = generate_key()
    leaf = ca.issue(make_csr(dns=["a.example"], private_key=key), now=now)
    fake = AuthorityForTests(Issuer.from_certificate(leaf, chain=ca.chain), ca.signer, leaf)
    data = make_csr(dns=["b.example"])
    refused(Refusal.ISSUER_NOT_A_CA, lambda: intend(fake, data, now))


@pytest.mark.parametrize(
    "csr",
    [
        {"dns": ["b.example"]},
        {"dns": ["a.example", "evil.org"]},
        {"common_name": "evil.org", "dns": ["a.example"]},
        {"dns": ["*.example"]},
        {"ip": ["198.51.100.1"], "dns": ["a.example"]},
        {"dns": ["secret.a.example"]},
        {"dns": ["*.a.example"]},
    ],
    ids=str,
)
def test_a_name_outside_the_authoritys_constraints_is_refused(
    root: AuthorityForTests, now: datetime, refused: Expect, csr: dict[str, object]
) -> None:
    import ipaddress

    ca = make_issuing_authority(
        root,
        now=now,
        permitted=[
            x509.DNSName("a.example"),
            x509.IPAddress(ipaddress.ip_network("192.0.2.0/24")),
        ],
        excluded=[x509.DNSName("secret.a.example")],
    )
    inside = ca.issue(make_csr(dns=["ok.a.example"], ip=["192.0.2.9"]), now=now)
    verify_chain([inside, *ca.chain], now)
    data = make_csr(**csr)  # type: ignore[arg-type]  # Each row names its own keywords.
    if "*.example" in str(csr):
        refused(Refusal.NAME_WILDCARD, lambda: intend(ca, data, now))
    else:
        refused(Refusal.NAME_OUTSIDE_CONSTRAINTS, lambda: intend(ca, data, now))


def test_constraints_of_an_authority_higher_up_count_too(now: datetime, refused: Expect) -> None:
    root = make_root_authority(now=now)
    constrained = make_issuing_authority(root, now=now, permitted=[x509.DNSName("a.example")])
    below = AuthorityForTests(
        Issuer.from_certificate(root.certificate, chain=(constrained.certificate,)),
        root.signer,
        root.certificate,
    )
    data = make_csr(dns=["b.example"])
    refused(Refusal.NAME_OUTSIDE_CONSTRAINTS, lambda: intend(below, data, now))


def test_serial_numbers_are_positive_fresh_and_fit_twenty_octets() -> None:
    numbers = {new_serial_number() for _ in range(2000)}
    assert len(numbers) == 2000
    assert all(0 < number < 2**159 for number in numbers)
    # All 152 bits move: a generator with a dead bit fails here with a chance of 2^-1990.
    union, common = 0, 2**152 - 1
    for number in numbers:
        union, common = union | number, common & number
    assert union == 2**152 - 1
    assert common == 0


@pytest.mark.parametrize("serial_number", [0, -1, 2**159, 2**200])
def test_a_serial_number_that_no_certificate_may_have_never_comes_out(
    ca: AuthorityForTests, now: datetime, serial_number: int
) -> None:
    with pytest.raises((Refused, ValueError)):
        intend(ca, make_csr(dns=["a.example"]), now, serial_number=serial_number)


def test_the_intended_certificate_tells_what_was_decided(
    ca: AuthorityForTests, now: datetime
) -> None:
    csr = make_csr(dns=["a.example"])
    intended = intend(ca, csr, now, serial_number=0xABC)
    profile = shipped_profile("tls-server")
    assert intended.serial_hex == "abc"
    assert intended.to_be_signed == intended.tbs_certificate
    assert intended.draft().tbs_certificate_bytes == intended.tbs_certificate
    assert intended.public_key_sha256 == parse_csr(csr).public_key_sha256
    assert (intended.profile_name, intended.profile_version, intended.profile_digest) == (
        profile.name,
        profile.version,
        profile.digest,
    )


def test_the_same_decision_gives_the_same_bytes(ca: AuthorityForTests, now: datetime) -> None:
    csr = make_csr(dns=["a.example"])
    one, two = (intend(ca, csr, now, serial_number=5) for _ in range(2))
    assert one.tbs_certificate == two.tbs_certificate
    assert intend(ca, csr, now).tbs_certificate != one.tbs_certificate


def test_the_platform_still_issues_a_hundred_years_from_now(now: datetime) -> None:
    later = now.replace(year=now.year + 100)
    root = make_root_authority(now=later)
    ca = make_issuing_authority(root, now=later)
    certificate = ca.issue(make_csr(dns=["a.example"]), now=later)
    verify_chain([certificate, *ca.chain], later)
    with pytest.raises(Refused):
        verify_chain([certificate, *ca.chain], now)
