"""Read a certificate signing request (PKCS#10, RFC 2986) and prove possession of its key."""

import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID, PublicKeyAlgorithmOID

from pkakey_engine import der
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.keys import (
    KnownCompromisedKeys,
    PublicKey,
    check_public_key,
    describe_key,
    spki_der,
)
from pkakey_engine.names import Name, name_from_general_name

__all__ = ["MAX_CSR_BYTES", "CertificateRequest", "parse_csr"]

MAX_CSR_BYTES = 65536
_MAX_NAMES = 1000

# RFC 7468 sections 3 and 7; "NEW" is the older label that Windows and Java still write.
_PEM_BLOCK = re.compile(
    rb"-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----"
    rb"([A-Za-z0-9+/=\s]*+)"  # Possessive: what cannot match is left after one pass.
    rb"-----END (?:NEW )?CERTIFICATE REQUEST-----"
)
_PEM_LABEL = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_WHITESPACE = re.compile(rb"\s+")

# The extensionRequest attribute (RFC 2985 section 5.4.2), and Microsoft's older name for it.
_EXTENSION_REQUESTS = frozenset({"1.2.840.113549.1.9.14", "1.3.6.1.4.1.311.2.1.14"})

_PARSER_ERRORS = (
    der.Malformed,
    ValueError,
    TypeError,
    OverflowError,
    NotImplementedError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    Warning,  # Where the process turns warnings into errors.
)

# What cryptography warns of instead of refusing (RFC 5280 appendix A.1: ub-common-name, and
# countries of two letters): the attribute's name, and its least and most octets in UTF-8.
_BOUNDED_ATTRIBUTES = {
    bytes.fromhex("0603550403"): ("common name", 1, 64),
    bytes.fromhex("0603550406"): ("country", 2, 2),
    bytes.fromhex("060b2b0601040182373c020103"): ("jurisdiction country", 2, 2),
}
_BMP_STRING = 0x1E


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A CSR that was understood, whose key may be certified and whose sender holds that key.

    ``names`` are the requested subject alternative names in normal form, without doubles, in the
    order of the request. Of the attributes only extensionRequest counts; a challenge password and
    others are passed over. What a profile takes of subject and extensions is the profile's rule.
    """

    csr_der: bytes
    subject: x509.Name
    common_name: str | None
    public_key: PublicKey
    public_key_sha256: str
    names: tuple[Name, ...]
    requested_extensions: tuple[x509.Extension[x509.ExtensionType], ...]

    @property
    def key_description(self) -> str:
        """The key's kind in words, such as ``EC P-256`` or ``RSA 3072 bits``."""
        return describe_key(self.public_key)

    @property
    def csr_pem(self) -> str:
        """The CSR as PEM text."""
        body = binascii.b2a_base64(self.csr_der, newline=False).decode("ascii")
        lines = "\n".join(body[start : start + 64] for start in range(0, len(body), 64))
        return f"-----BEGIN CERTIFICATE REQUEST-----\n{lines}\n-----END CERTIFICATE REQUEST-----\n"


def _malformed(why: str) -> Refused:
    return Refused(
        Refusal.CSR_MALFORMED,
        f"The request is no usable certificate signing request: {why}",
    )


def _der_from_pem(data: bytes) -> bytes:
    labels = _PEM_LABEL.findall(data)
    if any(b"PRIVATE KEY" in label for label in labels):
        raise _malformed(
            "it holds a private key, which must never be sent. Send only the CERTIFICATE REQUEST "
            "block, and make a new key."
        )
    if labels and b"REQUEST" not in labels[0]:
        found = labels[0].decode("ascii")
        raise _malformed(f"a {found} came, and a CERTIFICATE REQUEST is wanted.")
    blocks = _PEM_BLOCK.findall(data)
    if len(labels) > 1 or len(blocks) > 1:
        raise _malformed("it has more than one PEM block; send one CSR at a time.")
    if not blocks or len(labels) != 1:
        raise _malformed("its PEM block is cut short or damaged; send the file as it was made.")
    if data[data.rindex(b"-----END") :].rstrip().count(b"\n"):
        raise _malformed("text follows its PEM block; leave it out.")
    text = _WHITESPACE.sub(b"", blocks[0])
    try:
        decoded = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as error:
        raise _malformed("the base64 of its PEM block is damaged.") from error
    # Python's strict mode still lets some excess padding and loose last bits pass.
    if binascii.b2a_base64(decoded, newline=False) != text:
        raise _malformed("the base64 of its PEM block is damaged.")
    return decoded


def _names(extensions: tuple[x509.Extension[x509.ExtensionType], ...]) -> tuple[Name, ...]:
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.SubjectAlternativeName):
            general_names = list(value)
            if not general_names:
                raise _malformed("its subjectAltName extension is empty.")
            if len(general_names) > _MAX_NAMES:
                raise Refused(
                    Refusal.NAME_TOO_MANY,
                    f"The request has {len(general_names)} names; at most {_MAX_NAMES} are read.",
                )
            return tuple(dict.fromkeys(name_from_general_name(name) for name in general_names))
    return ()


def _common_name(subject: x509.Name) -> str | None:
    values = [attribute.value for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if not values:
        return None
    if len(values) > 1:
        raise Refused(
            Refusal.SUBJECT_MALFORMED,
            f"The subject has {len(values)} common names; send one, and put further names into "
            "the subjectAltName extension.",
        )
    return check_subject_text("common name", values[0], 64)


def _check_bounds(csr_der: bytes) -> None:
    """Raise ``Refused`` (subject.malformed) for an attribute beyond its bounds, from the bytes.

    Reading it as an object would only raise a warning, which is no answer and fills the log.
    """
    info = der.Reader(csr_der).enter(der.SEQUENCE).enter(der.SEQUENCE)
    info.element()
    subject = info.enter(der.SEQUENCE)
    while not subject.exhausted:
        relative_name = subject.enter(der.SET)
        while not relative_name.exhausted:
            attribute = relative_name.enter(der.SEQUENCE)
            bounds = _BOUNDED_ATTRIBUTES.get(attribute.element()[1])
            if bounds is None:
                continue
            what, least, most = bounds
            tag = attribute.peek()
            content = attribute.content(tag)
            if tag == _BMP_STRING:
                content = content.decode("utf-16-be").encode("utf-8")
            if not least <= len(content) <= most:
                allowed = f"{most}" if least == most else f"{least} to {most}"
                raise Refused(
                    Refusal.SUBJECT_MALFORMED,
                    f"The {what} in the subject takes {len(content)} octets; {allowed} are "
                    "allowed. Correct it or leave it out.",
                )


def check_subject_text(what: str, value: str | bytes, max_octets: int) -> str:
    """Return the text; raise ``Refused`` (subject.malformed) unless a subject may hold it.

    The upper bounds are those of RFC 5280 appendix A.1 (ub-common-name and its kin), counted in
    octets of UTF-8, as ``cryptography`` and some verifiers count them.
    """
    if not isinstance(value, str) or not value or not value.strip():
        raise Refused(Refusal.SUBJECT_MALFORMED, f"The {what} is empty or no text.")
    if not value.isprintable() or value != value.strip():
        raise Refused(
            Refusal.SUBJECT_MALFORMED,
            f"The {what} has control characters, or spaces at an end; leave them out.",
        )
    size = len(value.encode("utf-8"))
    if size > max_octets:
        raise Refused(
            Refusal.SUBJECT_MALFORMED,
            f"The {what} takes {size} octets; at most {max_octets} are allowed.",
        )
    return value


def _check_possession(csr: x509.CertificateSigningRequest) -> None:
    digest = csr.signature_hash_algorithm
    if isinstance(digest, hashes.SHA1 | hashes.MD5):
        raise Refused(
            Refusal.CSR_WEAK_SIGNATURE,
            f"The CSR is signed with {digest.name.upper()}; sign it with SHA-256 or stronger.",
        )
    if not csr.is_signature_valid:
        raise Refused(
            Refusal.CSR_BAD_SIGNATURE,
            "The CSR's signature does not belong to its key; make the CSR anew with the key's "
            "own private half.",
        )


def parse_csr(
    data: bytes, *, compromised: KnownCompromisedKeys | None = None
) -> CertificateRequest:
    """Return the request in PEM or DER ``data`` (at most 64 KiB) once its signature is proven.

    ``compromised`` adds keys to refuse to those that the engine knows itself. Raises ``Refused``
    (csr.*, key.*, name.*, subject.*) and nothing else, whatever the bytes are.
    """
    if len(data) > MAX_CSR_BYTES:
        raise Refused(
            Refusal.CSR_TOO_LARGE,
            f"The request has {len(data)} bytes; at most {MAX_CSR_BYTES} are read.",
        )
    if not data.strip():
        raise _malformed("it is empty.")
    csr_der = _der_from_pem(data) if b"-----BEGIN" in data else data
    try:
        csr = x509.load_der_x509_csr(csr_der)
        _check_bounds(csr_der)
        subject = csr.subject
        key_oid = csr.public_key_algorithm_oid  # type: ignore[attr-defined]  # Stubs lag.
        attributes = [attribute.oid.dotted_string for attribute in csr.attributes]
        extensions = tuple(csr.extensions)
        canonical = csr.public_bytes(serialization.Encoding.DER)
    except _PARSER_ERRORS as error:
        raise _malformed(
            "its encoding is damaged or not DER. Make it with a current program, for example "
            "'openssl req -new'."
        ) from error
    if canonical != csr_der:
        raise _malformed("it is not encoded in DER.")
    if sum(oid in _EXTENSION_REQUESTS for oid in attributes) > 1:
        raise _malformed("it asks for extensions in more than one attribute.")
    if key_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        raise Refused(
            Refusal.KEY_UNSUPPORTED_ALGORITHM,
            "The key is bound to RSASSA-PSS; make an RSA key without that restriction.",
        )
    public_key = check_public_key(_public_key(csr), compromised=compromised)
    key_der = spki_der(public_key)
    if key_der not in csr_der:
        # Such as explicit curve parameters (RFC 5480 section 2.1.1 forbids them; CVE-2020-0601).
        raise Refused(
            Refusal.KEY_MALFORMED,
            "The key is not encoded in the usual form (a named curve with an uncompressed point, "
            "or rsaEncryption); make the request with a current program.",
        )
    try:
        _check_possession(csr)
    except _PARSER_ERRORS as error:
        raise Refused(
            Refusal.CSR_BAD_SIGNATURE,
            "The CSR's signature algorithm is unknown or does not fit its key.",
        ) from error
    return CertificateRequest(
        csr_der=csr_der,
        subject=subject,
        common_name=_common_name(subject),
        public_key=public_key,
        public_key_sha256=hashlib.sha256(key_der).hexdigest(),
        names=_names(extensions),
        requested_extensions=extensions,
    )


def _public_key(csr: x509.CertificateSigningRequest) -> object:
    try:
        return csr.public_key()
    except UnsupportedAlgorithm as error:
        raise Refused(
            Refusal.KEY_UNSUPPORTED_ALGORITHM,
            "The key's algorithm or curve is unknown here; make one on P-256 or P-384, with "
            "Ed25519, or RSA with 2048 to 4096 bits.",
        ) from error
    except _PARSER_ERRORS as error:
        raise Refused(
            Refusal.KEY_MALFORMED,
            "The key in the request is damaged (not on its curve, or wrongly encoded); make a "
            "new key.",
        ) from error
