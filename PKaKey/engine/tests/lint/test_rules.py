"""Each rule finds the one fault that is put into an otherwise sound certificate."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from pkakey_engine import der
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.issuance.capture import capture_tbs_certificate, draft_certificate
from pkakey_engine.issuance.issuer import key_identifier
from pkakey_engine.keys import PublicKey, signature_algorithm
from pkakey_engine.lint import RULES, check_certificate, lint_certificate
from pkakey_engine.testing import (
    AuthorityForTests,
    generate_key,
    make_csr,
    make_ocsp_responder,
)

KEY = generate_key().public_key()
DAY = timedelta(days=1)
BITS = [
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
]


def usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{bit: bit in names for bit in BITS})


def cn(*texts: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text) for text in texts])


@dataclass
class Recipe:
    """A sound server certificate under ``ca``, to be spoilt in one place."""

    ca: AuthorityForTests
    now: datetime
    issuer: x509.Name = field(init=False)
    subject: x509.Name = field(default_factory=lambda: cn("a.example"))
    key: PublicKey = field(default_factory=lambda: KEY)
    serial: int = 5
    start: datetime = field(init=False)
    end: datetime = field(init=False)
    extensions: dict[type[x509.ExtensionType], tuple[x509.ExtensionType, bool]] = field(init=False)
    patch: Callable[[bytes], bytes] = field(default=bytes)

    def __post_init__(self) -> None:
        self.issuer = self.ca.certificate.subject
        self.start, self.end = self.now, self.now + 30 * DAY
        self.extensions = {}
        self.put(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        self.put(usage("digital_signature"), critical=True)
        self.put(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]))
        self.put(x509.SubjectKeyIdentifier(key_identifier(self.key)))
        self.put(self.ca.issuer.authority_key_identifier.value)
        self.put(x509.SubjectAlternativeName([x509.DNSName("a.example")]))

    def put(self, value: x509.ExtensionType, *, critical: bool = False) -> None:
        self.extensions[type(value)] = (value, critical)

    def drop(self, kind: type[x509.ExtensionType]) -> None:
        del self.extensions[kind]

    def codes(self) -> set[str]:
        builder = x509.CertificateBuilder(
            self.issuer,
            self.subject,
            self.key,
            self.serial,
            self.start.replace(tzinfo=None),
            self.end.replace(tzinfo=None),
            [x509.Extension(v.oid, critical, v) for v, critical in self.extensions.values()],
        )
        tbs, _ = capture_tbs_certificate(builder, self.ca.issuer.public_key)
        identifier = signature_algorithm(self.ca.issuer.public_key).identifier_der
        draft = draft_certificate(self.patch(tbs), identifier)
        findings = lint_certificate(draft, issuer_certificate=self.ca.certificate)
        return {finding.code for finding in findings}


@pytest.fixture
def recipe(ca: AuthorityForTests, now: datetime) -> Recipe:
    return Recipe(ca, now)


def resize(tbs: bytes, change: Callable[[list[bytes]], None]) -> bytes:
    fields = [encoded for _, encoded in der.Reader(tbs).enter(der.SEQUENCE).elements()]
    change(fields)
    return der.sequence(*fields)


def generalized(fields: list[bytes]) -> None:
    times = der.Reader(fields[4]).enter(der.SEQUENCE)
    start, end = (times.content(der.UTC_TIME) for _ in range(2))
    fields[4] = der.sequence(
        der.tlv(der.GENERALIZED_TIME, b"20" + start), der.tlv(der.GENERALIZED_TIME, b"20" + end)
    )


def access(url: str) -> x509.AuthorityInformationAccess:
    location = x509.UniformResourceIdentifier(url)
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location)]
    )


def big_serial(recipe: Recipe) -> None:
    def change(fields: list[bytes]) -> None:
        fields[1] = der.integer(2**160)

    recipe.patch = lambda tbs: resize(tbs, change)


def nameless(recipe: Recipe, dns_name: str | None) -> None:
    recipe.subject = x509.Name([])
    recipe.drop(x509.SubjectAlternativeName)
    if dns_name is not None:
        recipe.put(x509.SubjectAlternativeName([x509.DNSName(dns_name)]), critical=True)


FAULTS: dict[str, Callable[[Recipe], object]] = {
    "rfc5280.serial.too-long": big_serial,
    "rfc5280.issuer.empty": lambda r: setattr(r, "issuer", x509.Name([])),
    "rfc5280.issuer.differs": lambda r: setattr(r, "issuer", cn("Another CA")),
    "rfc5280.validity.reversed": lambda r: setattr(r, "end", r.start),
    "rfc5280.validity.encoding": lambda r: setattr(
        r, "patch", lambda tbs: resize(tbs, generalized)
    ),
    "design.validity.beyond-issuer": lambda r: setattr(
        r, "end", r.ca.certificate.not_valid_after_utc + timedelta(seconds=1)
    ),
    "rfc5280.san.missing": lambda r: nameless(r, None),
    "rfc5280.san.criticality": lambda r: setattr(r, "subject", x509.Name([])),
    "rfc5280.san.dns-syntax": lambda r: nameless(r, "A_b.example"),
    "rfc5280.basic-constraints.missing": lambda r: r.drop(x509.BasicConstraints),
    "rfc5280.key-usage.missing": lambda r: r.put(usage("digital_signature")),
    "rfc5280.key-usage.cert-sign": lambda r: r.put(usage("key_cert_sign"), critical=True),
    "rfc8410.key-usage.unfit": lambda r: r.put(usage("key_encipherment"), critical=True),
    "br.eku.server-name": lambda r: setattr(r, "subject", cn("b.example")),
    "rfc6960.responder.no-check": lambda r: r.put(x509.OCSPNoCheck()),
    "rfc5280.ski.missing": lambda r: r.drop(x509.SubjectKeyIdentifier),
    "rfc5280.aki.differs": lambda r: r.put(x509.AuthorityKeyIdentifier(b"else", None, None)),
    "rfc5280.name-constraints.misplaced": lambda r: r.put(
        x509.NameConstraints([x509.DNSName("a")], None), critical=True
    ),
    "rfc5280.status.scheme": lambda r: r.put(access("https://a.example/ocsp")),
    "rfc5280.extension.unknown": lambda r: r.put(
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
    ),
    "design.key.unexpected": lambda r: setattr(
        r, "key", ec.generate_private_key(ec.SECP521R1()).public_key()
    ),
}


def test_a_sound_certificate_has_no_finding(recipe: Recipe) -> None:
    assert recipe.codes() == set()


@pytest.mark.parametrize("code", FAULTS)
def test_a_fault_is_found_by_its_rule(recipe: Recipe, code: str) -> None:
    FAULTS[code](recipe)
    assert code in recipe.codes()


@pytest.mark.parametrize(
    ("code", "subject", "extension"),
    [
        ("rfc5280.subject.empty-authority", x509.Name([]), x509.BasicConstraints(True, None)),  # noqa: FBT003
        ("rfc5280.key-usage.cert-sign", cn("x"), x509.BasicConstraints(True, None)),  # noqa: FBT003
        ("rfc5280.basic-constraints.missing", cn("x"), None),
    ],
)
def test_an_authority_has_rules_of_its_own(
    recipe: Recipe, code: str, subject: x509.Name, extension: x509.BasicConstraints | None
) -> None:
    recipe.subject = subject
    if extension is None:
        recipe.put(x509.BasicConstraints(True, None), critical=False)  # noqa: FBT003
    else:
        recipe.put(extension, critical=True)
    assert code in recipe.codes()


def test_a_duplicated_extension_is_found(recipe: Recipe) -> None:
    def change(fields: list[bytes]) -> None:
        inner = der.Reader(der.Reader(fields[-1]).content(0xA3)).enter(der.SEQUENCE)
        encoded = [e for _, e in inner.elements()]
        fields[-1] = der.explicit(3, der.sequence(*encoded, encoded[0]))

    recipe.patch = lambda tbs: resize(tbs, change)
    assert recipe.codes() == {"rfc5280.extension.malformed"}


def test_every_rule_has_a_stable_code_of_its_own_and_cites_its_source() -> None:
    codes = [rule.code for rule in RULES]
    assert len(set(codes)) == len(codes)
    for rule in RULES:
        assert re.fullmatch(r"(rfc\d+|br|design)(\.[a-z0-9-]+)+", rule.code)
        assert re.search(r"RFC|BR|design", rule.source)


def test_what_we_issue_ourselves_has_no_finding(
    ca: AuthorityForTests, root: AuthorityForTests, now: datetime
) -> None:
    leaf = ca.issue(make_csr(common_name="a.example"), now=now)
    responder, _ = make_ocsp_responder(ca, now=now)
    for certificate in (leaf, responder):
        assert lint_certificate(certificate, issuer_certificate=ca.certificate) == []
    assert lint_certificate(ca.certificate, issuer_certificate=root.certificate) == []
    assert lint_certificate(root.certificate, issuer_certificate=None) == []
    wrong = lint_certificate(leaf, issuer_certificate=None)
    assert {finding.code for finding in wrong} >= {"rfc5280.issuer.differs"}


def test_a_finding_stops_the_signature_and_names_its_code(
    ca: AuthorityForTests, root: AuthorityForTests, now: datetime
) -> None:
    leaf = ca.issue(make_csr(common_name="a.example"), now=now)
    with pytest.raises(Refused) as caught:
        check_certificate(leaf, issuer_certificate=root.certificate)
    assert caught.value.refusal is Refusal.LINT_FAILED
    assert "[rfc5280.issuer.differs]" in caught.value.detail
