"""What an authority's key may sign, decided from the to-be-signed bytes alone.

The bytes get a dummy signature and go through ``cryptography``'s parser. These rules hold whatever
the database says: they are what is left when both the web process and the database are an
enemy's. Each function returns the serial number in lower-case hex (empty for a response) or raises
``SignerRefused``.
"""

import hashlib
import warnings
from datetime import datetime, timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from pkakey_signers import der
from pkakey_signers.algorithms import signature_algorithm_der
from pkakey_signers.errors import SignerRefusal, SignerRefused
from pkakey_signers.keystore import AuthorityFacts, HeldKey

Value = TypeVar("Value", bound=x509.ExtensionType)

MAX_RESPONSE_WINDOW = timedelta(days=7)
_MAX_SERIAL_OCTETS = 20  # RFC 5280 section 4.1.2.2.
_DUMMY_SIGNATURE = bytes(1)
# RFC 6960 section 4.2.1: id-pkix-ocsp-basic.
_OCSP_BASIC = bytes.fromhex("06092b0601050507300101")


def check_certificate(to_be_signed: bytes, key: HeldKey) -> str:
    """Judge a TBSCertificate (RFC 5280 section 4.1)."""
    fields = _fields(to_be_signed, count=3)
    if len(fields) < 3 or fields[0].tag != der.CONTEXT_0:  # noqa: PLR2004  # version, serial, algorithm.
        raise _malformed("It is no TBSCertificate of version 3.")
    _require_algorithm(fields[2].encoding, key)
    serial_number = _serial_number(fields[1])
    certificate = _wrapped_certificate(to_be_signed, key)
    authority = key.authority
    if authority is None or _renews_itself(certificate, key, authority):
        _require_self_issued(certificate, key)
    else:
        _require_within(certificate, authority)
    return serial_number


def check_crl(to_be_signed: bytes, key: HeldKey) -> str:
    """Judge a TBSCertList (RFC 5280 section 5.1); the serial number is its CRL number."""
    fields = _fields(to_be_signed, count=2)
    if len(fields) < 2 or fields[0].encoding != b"\x02\x01\x01":  # noqa: PLR2004
        raise _malformed("It is no TBSCertList of version 2.")
    _require_algorithm(fields[1].encoding, key)
    authority = key.authority
    if authority is None:
        raise _not_active(key)
    try:
        crl = x509.load_der_x509_crl(_wrap(to_be_signed, key))
        if crl.tbs_certlist_bytes != to_be_signed:
            raise _malformed("It is not one TBSCertList.")
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        last_update, next_update = crl.last_update_utc, crl.next_update_utc
        issuer = crl.issuer
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
        raise _malformed(f"It is no CRL with a CRL number ({_reason(error)}).") from None
    _require_issuer(issuer, authority)
    if not authority.signs_crls:
        raise SignerRefused(
            SignerRefusal.KEY_USAGE, "The authority's certificate does not allow it to sign CRLs."
        )
    if next_update is None or next_update <= last_update:
        raise SignerRefused(SignerRefusal.VALIDITY, "The CRL's next update is not after its last.")
    return f"{number:x}"


def check_ocsp_response(to_be_signed: bytes, key: HeldKey) -> str:
    """Judge a ResponseData (RFC 6960 section 4.2.1)."""
    basic = _wrap(to_be_signed, key)
    octets = der.encode(
        der.SEQUENCE,
        der.encode(der.ENUMERATED, b"\x00"),
        der.encode(
            der.CONTEXT_0,
            der.encode(der.SEQUENCE, _OCSP_BASIC, der.encode(der.OCTET_STRING, basic)),
        ),
    )
    try:
        response = ocsp.load_der_ocsp_response(octets)
        if response.tbs_response_bytes != to_be_signed:
            raise _malformed("It is not one ResponseData.")
        windows = [
            (single.this_update_utc, single.next_update_utc) for single in response.responses
        ]
        produced_at = response.produced_at_utc
        key_hash, name = response.responder_key_hash, response.responder_name
        _ = response.extensions
    except (ValueError, x509.DuplicateExtension) as error:
        raise _malformed(f"It is no ResponseData ({_reason(error)}).") from None
    _require_responder(key_hash, name, key)
    if not windows:
        raise _malformed("It answers for no certificate.")
    for this_update, next_update in windows:
        _require_window(this_update, next_update, produced_at)
    return ""


def check_authority_certificate(
    certificate: x509.Certificate, key: HeldKey, issuer: HeldKey
) -> None:
    """Judge whether this certificate may be recorded as the key's own, signed by ``issuer``.

    The caller has found ``issuer`` by name and checked the signature and the public key.
    """
    is_responder = key.purpose == "ocsp-responder"
    constraints = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    if is_responder:
        purposes = _extension(certificate, x509.ExtendedKeyUsage)
        if purposes is None or ExtendedKeyUsageOID.OCSP_SIGNING not in purposes:
            raise _unfit("A responder's certificate has the extended key usage OCSPSigning.")
    elif constraints is None or not constraints.ca or usage is None or not usage.key_cert_sign:
        raise _unfit("An authority's certificate has basicConstraints CA and keyCertSign.")
    previous = key.certificate
    if previous is None or previous == certificate:
        return
    if (
        previous.subject.public_bytes() != certificate.subject.public_bytes()
        or previous.issuer.public_bytes() != certificate.issuer.public_bytes()
        or certificate.not_valid_before_utc < previous.not_valid_before_utc
    ):
        raise _unfit(
            f"The key {key.key_id} has a certificate; only a newer one with the same subject and "
            f"issuer replaces it. This one, from {issuer.key_id}, is none."
        )


def _fields(to_be_signed: bytes, *, count: int) -> list[der.Element]:
    try:
        return der.first_elements(to_be_signed, count=count)
    except der.NotDER as error:
        raise _malformed(str(error)) from None


def _wrap(to_be_signed: bytes, key: HeldKey) -> bytes:
    return der.encode(
        der.SEQUENCE,
        to_be_signed,
        signature_algorithm_der(key.algorithm),
        der.encode(der.BIT_STRING, b"\x00", _DUMMY_SIGNATURE),
    )


def _wrapped_certificate(to_be_signed: bytes, key: HeldKey) -> x509.Certificate:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            certificate = x509.load_der_x509_certificate(_wrap(to_be_signed, key))
            _ = certificate.extensions, certificate.subject, certificate.public_key()
    except (ValueError, x509.DuplicateExtension, TypeError) as error:
        raise _malformed(f"It is no certificate ({_reason(error)}).") from None
    except UnsupportedAlgorithm as error:
        raise _malformed(f"Its key is not supported ({_reason(error)}).") from None
    if certificate.tbs_certificate_bytes != to_be_signed:
        raise _malformed("It is not one TBSCertificate.")
    return certificate


def _serial_number(element: der.Element) -> str:
    octets = element.contents
    number = int.from_bytes(octets, "big", signed=True)
    if element.tag != der.INTEGER or not 0 < len(octets) <= _MAX_SERIAL_OCTETS or number <= 0:
        raise SignerRefused(
            SignerRefusal.SERIAL_NUMBER,
            f"A serial number is positive and has at most {_MAX_SERIAL_OCTETS} octets.",
        )
    return f"{number:x}"


def _require_algorithm(identifier_der: bytes, key: HeldKey) -> None:
    if identifier_der != signature_algorithm_der(key.algorithm):
        raise SignerRefused(
            SignerRefusal.TBS_ALGORITHM,
            f"The signature algorithm inside the bytes is not the one of the {key.algorithm} key.",
        )


def _renews_itself(certificate: x509.Certificate, key: HeldKey, authority: AuthorityFacts) -> bool:
    """Whether a self-signed authority signs a newer certificate of its own, for the same key."""
    return (
        authority.subject == authority.issuer == certificate.subject.public_bytes()
        and public_key_octets(certificate) == key.public_key_der
    )


def _require_self_issued(certificate: x509.Certificate, key: HeldKey) -> None:
    constraints = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    if (
        certificate.subject.public_bytes() != certificate.issuer.public_bytes()
        or public_key_octets(certificate) != key.public_key_der
        or constraints is None
        or not constraints.ca
        or usage is None
        or not usage.key_cert_sign
    ):
        raise SignerRefused(
            SignerRefusal.AUTHORITY_NOT_ACTIVE,
            f"The key {key.key_id} has no active certificate; until it has one it signs only its "
            "own: an authority's, with one name as subject and issuer, over this very key.",
        )
    _require_order(certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def _require_within(certificate: x509.Certificate, authority: AuthorityFacts) -> None:
    _require_issuer(certificate.issuer, authority)
    not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    _require_order(not_before, not_after)
    if not_before < authority.not_before or not_after > authority.not_after:
        raise SignerRefused(
            SignerRefusal.VALIDITY,
            f"The validity {not_before:%F %T}Z to {not_after:%F %T}Z is not inside the "
            f"authority's, {authority.not_before:%F %T}Z to {authority.not_after:%F %T}Z.",
        )
    usage = _extension(certificate, x509.KeyUsage)
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        if usage is not None and usage.key_cert_sign:
            raise SignerRefused(
                SignerRefusal.EXTENSION, "keyCertSign without basicConstraints CA is not signed."
            )
        return
    _require_path_length(constraints.path_length, authority)


def _require_path_length(path_length: int | None, authority: AuthorityFacts) -> None:
    # RFC 5280 section 4.2.1.9: how many intermediate certificates may follow this one.
    limit = authority.path_length
    if limit is not None and (path_length is None or path_length >= limit):
        wanted = "none" if path_length is None else str(path_length)
        raise SignerRefused(
            SignerRefusal.PATH_LENGTH,
            f"The authority's path length is {limit}; a CA below it with path length {wanted} "
            "is not signed.",
        )


def _require_order(not_before: datetime, not_after: datetime) -> None:
    if not_after <= not_before:
        raise SignerRefused(SignerRefusal.VALIDITY, "The certificate ends before it begins.")


def _require_issuer(issuer: x509.Name, authority: AuthorityFacts) -> None:
    if issuer.public_bytes() != authority.subject:
        raise SignerRefused(
            SignerRefusal.ISSUER_DIFFERS,
            f"The issuer {issuer.rfc4514_string()!r} is not the authority's own name.",
        )


def _require_responder(key_hash: bytes | None, name: x509.Name | None, key: HeldKey) -> None:
    if name is not None and key.certificate is not None:
        if name == key.certificate.subject:
            return
    elif key_hash is not None:
        # RFC 6960 section 4.2.1: SHA-1 over the BIT STRING's value, without its unused-bits octet.
        bits = der.first_elements(key.public_key_der, count=2)[1].contents[1:]
        if hashlib.sha1(bits, usedforsecurity=False).digest() == key_hash:
            return
    raise SignerRefused(
        SignerRefusal.RESPONDER_DIFFERS,
        f"The ResponderID is not that of the key {key.key_id}; name the responder by key.",
    )


def _require_window(
    this_update: datetime, next_update: datetime | None, produced_at: datetime
) -> None:
    if next_update is None or not this_update < next_update <= this_update + MAX_RESPONSE_WINDOW:
        raise SignerRefused(
            SignerRefusal.RESPONSE_WINDOW,
            f"A response holds for more than nothing and at most {MAX_RESPONSE_WINDOW.days} days.",
        )
    if abs(produced_at - this_update) > MAX_RESPONSE_WINDOW:
        raise SignerRefused(
            SignerRefusal.RESPONSE_WINDOW,
            "producedAt and thisUpdate lie further apart than a response may hold.",
        )


def public_key_octets(certificate: x509.Certificate) -> bytes:
    """Return the certificate's SubjectPublicKeyInfo in DER."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _extension(certificate: x509.Certificate, kind: type[Value]) -> Value | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _reason(error: Exception) -> str:
    """Return the parser's words without its trace of where it was."""
    return str(error).partition(":")[0][:100]


def _malformed(detail: str) -> SignerRefused:
    return SignerRefused(SignerRefusal.TBS_MALFORMED, f"The bytes cannot be signed. {detail}")


def _unfit(detail: str) -> SignerRefused:
    return SignerRefused(SignerRefusal.AUTHORITY_CERTIFICATE, detail)


def _not_active(key: HeldKey) -> SignerRefused:
    return SignerRefused(
        SignerRefusal.AUTHORITY_NOT_ACTIVE,
        f"The key {key.key_id} has no active certificate, so it signs no CRL.",
    )
