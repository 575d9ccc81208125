"""Read OCSP requests (RFC 6960 section 4.1), bounded in every direction.

``cryptography`` reads requests for one certificate only; this reader takes up to 16, keeps each
CertID's octets for the answer, and knows no exception but ``Refused``.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from pkakey_engine import der
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.issuance.issuer import Issuer, subject_public_key_bits

__all__ = [
    "MAX_OCSP_CERTIFICATES",
    "MAX_OCSP_REQUEST_BYTES",
    "CertID",
    "OCSPRequest",
    "issuer_hashes",
    "parse_ocsp_request",
]

MAX_OCSP_REQUEST_BYTES = 4096
MAX_OCSP_CERTIFICATES = 16
# RFC 9654 section 2.1: from 1 to 128 octets; anything else is malformed.
_MAX_NONCE_OCTETS = 128
_MAX_SERIAL_OCTETS = 20

_NONCE_OID = bytes.fromhex("06092b0601050507300102")
# AlgorithmIdentifier contents by hash, without and with NULL parameters: both forms are in use.
_HASH_OIDS = {
    "sha1": bytes.fromhex("06052b0e03021a"),
    "sha256": bytes.fromhex("0609608648016503040201"),
    "sha384": bytes.fromhex("0609608648016503040202"),
    "sha512": bytes.fromhex("0609608648016503040203"),
}
_HASHES_BY_OID = {oid: name for name, oid in _HASH_OIDS.items()}
_NULL = b"\x05\x00"


@dataclass(frozen=True, slots=True)
class CertID:
    """Which certificate is asked about: its issuer by two hashes, and its serial number.

    ``encoded`` is the CertID as it came, to be repeated octet for octet in the answer.
    """

    hash_name: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial_number: int
    encoded: bytes

    def is_of(self, issuer: Issuer) -> bool:
        """Return whether the certificate asked about is the issuer's, by name and key."""
        return (self.issuer_name_hash, self.issuer_key_hash) == issuer_hashes(
            issuer, self.hash_name
        )

    @classmethod
    def of(cls, issuer: Issuer, serial_number: int, hash_name: str = "sha1") -> "CertID":
        """Return the CertID that a client makes, for answers that are prepared unasked."""
        name_hash, key_hash = issuer_hashes(issuer, hash_name)
        encoded = der.sequence(
            der.sequence(_HASH_OIDS[hash_name], _NULL),
            der.octet_string(name_hash),
            der.octet_string(key_hash),
            der.integer(serial_number),
        )
        return cls(hash_name, name_hash, key_hash, serial_number, encoded)


@dataclass(frozen=True, slots=True)
class OCSPRequest:
    """The certificates asked about, at least one, and the nonce to repeat, if any.

    A request's own signature is passed over: answers are the same for everyone.
    """

    certificates: tuple[CertID, ...]
    nonce: bytes | None


@lru_cache(maxsize=1024)
def issuer_hashes(issuer: Issuer, hash_name: str) -> tuple[bytes, bytes]:
    """Return issuerNameHash and issuerKeyHash (RFC 6960 section 4.1.1) of an authority."""
    name = hashlib.new(hash_name, issuer.subject_name.public_bytes(), usedforsecurity=False)
    key = hashlib.new(hash_name, subject_public_key_bits(issuer.public_key), usedforsecurity=False)
    return name.digest(), key.digest()


def _malformed(why: str) -> Refused:
    return Refused(Refusal.OCSP_MALFORMED, f"The OCSP request is malformed: {why}")


def _cert_id(encoded: bytes) -> CertID:
    fields = der.Reader(encoded).enter(der.SEQUENCE)
    algorithm = fields.enter(der.SEQUENCE)
    oid = algorithm.element()[1]
    if not algorithm.exhausted and algorithm.element()[1] != _NULL:
        raise der.Malformed("The hash algorithm has parameters.")
    algorithm.finish()
    name_hash = fields.content(der.OCTET_STRING)
    key_hash = fields.content(der.OCTET_STRING)
    serial_number = fields.non_negative_integer(_MAX_SERIAL_OCTETS)
    fields.finish()
    hash_name = _HASHES_BY_OID.get(oid)
    if hash_name is None:
        raise der.Malformed("The hash algorithm is none of SHA-1, SHA-256, SHA-384, SHA-512.")
    size = hashlib.new(hash_name, usedforsecurity=False).digest_size
    if len(name_hash) != size or len(key_hash) != size:
        raise der.Malformed("A hash has not the length of its algorithm.")
    return CertID(hash_name, name_hash, key_hash, serial_number, encoded)


def _nonce(extensions: der.Reader) -> bytes | None:
    """Return the nonce of requestExtensions; other extensions are passed over unless critical."""
    nonce: bytes | None = None
    for _, encoded in extensions.elements():
        fields = der.Reader(encoded).enter(der.SEQUENCE)
        _, oid = fields.element()
        critical = False
        if fields.peek() == der.BOOLEAN:
            critical = fields.content(der.BOOLEAN) != b"\x00"
        value = fields.content(der.OCTET_STRING)
        fields.finish()
        if oid != _NONCE_OID:
            if critical:
                raise der.Malformed("A critical extension is unknown here.")
            continue
        if nonce is not None:
            raise der.Malformed("Two nonces came.")
        inner = der.Reader(value)
        nonce = inner.content(der.OCTET_STRING)
        inner.finish()
        if not 1 <= len(nonce) <= _MAX_NONCE_OCTETS:
            raise Refused(
                Refusal.OCSP_NONCE,
                f"The nonce has {len(nonce)} octets; 1 to {_MAX_NONCE_OCTETS} are allowed "
                "(RFC 9654).",
            )
    return nonce


def _parse(data: bytes) -> OCSPRequest:
    outer = der.Reader(data)
    message = outer.enter(der.SEQUENCE)
    outer.finish()
    tbs = message.enter(der.SEQUENCE)
    if not message.exhausted:
        message.content(0xA0)  # optionalSignature
    message.finish()
    if tbs.peek() == 0xA0:  # noqa: PLR2004 - [0] version; DER leaves the default v1 out.
        version = tbs.enter(0xA0)
        if version.non_negative_integer(1) != 0:
            raise der.Malformed("The version is not 1.")
        version.finish()
    if tbs.peek() == 0xA1:  # noqa: PLR2004 - [1] requestorName, which nothing here needs.
        tbs.content(0xA1)
    certificates: list[CertID] = []
    for _, encoded in tbs.enter(der.SEQUENCE).elements():
        if len(certificates) == MAX_OCSP_CERTIFICATES:
            raise Refused(
                Refusal.OCSP_TOO_MANY,
                f"At most {MAX_OCSP_CERTIFICATES} certificates are answered in one response.",
            )
        single = der.Reader(encoded).enter(der.SEQUENCE)
        certificates.append(_cert_id(single.element()[1]))
        if not single.exhausted:
            single.content(0xA0)  # singleRequestExtensions: none that would change the answer.
        single.finish()
    nonce = None
    if tbs.peek() == 0xA2:  # noqa: PLR2004 - [2] requestExtensions.
        wrapper = tbs.enter(0xA2)
        nonce = _nonce(wrapper.enter(der.SEQUENCE))
        wrapper.finish()
    tbs.finish()
    if not certificates:
        raise der.Malformed("It asks about no certificate.")
    return OCSPRequest(tuple(certificates), nonce)


def parse_ocsp_request(data: bytes) -> OCSPRequest:
    """Return the request in DER ``data`` (at most 4 KiB, at most 16 certificates).

    Raises ``Refused`` (ocsp.*) and nothing else; the answer to any of them is
    ``ocsp_error(OCSPError.MALFORMED_REQUEST)``.
    """
    if len(data) > MAX_OCSP_REQUEST_BYTES:
        raise Refused(
            Refusal.OCSP_TOO_LARGE,
            f"The OCSP request has {len(data)} bytes; at most {MAX_OCSP_REQUEST_BYTES} are read.",
        )
    try:
        return _parse(data)
    except der.Malformed as error:
        raise _malformed(str(error)) from error
