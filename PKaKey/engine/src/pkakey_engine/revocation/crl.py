"""Full CRLs (RFC 5280 section 5), in time and memory linear in the number of entries.

``cryptography``'s builder makes an object an entry and copies itself at each; a list of a hundred
thousand is written here as bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from pkakey_engine import der
from pkakey_engine.errors import Refusal, Refused, SignedBytesDiffer
from pkakey_engine.issuance.issuer import Issuer
from pkakey_engine.keys import (
    PublicKey,
    SignatureAlgorithm,
    signature_algorithm,
    signature_is_valid,
)
from pkakey_engine.revocation.reasons import RevocationReason

__all__ = ["IntendedCRL", "RevokedEntry", "complete_crl", "complete_crl_from_parts", "intend_crl"]

_VERSION_2 = der.integer(1)
# id-ce-cRLReasons 2.5.29.21, id-ce-cRLNumber 2.5.29.20, id-ce-authorityKeyIdentifier 2.5.29.35.
_REASON_OID = bytes.fromhex("0603551d15")
_NUMBER_OID = bytes.fromhex("0603551d14")
_AKI_OID = bytes.fromhex("0603551d23")
_MAX_NUMBER_OCTETS = 20


@dataclass(frozen=True, slots=True)
class RevokedEntry:
    """One line of a CRL: which certificate, since when (aware, whole seconds count) and why."""

    serial_number: int
    revoked_at: datetime
    reason: RevocationReason = RevocationReason.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class IntendedCRL:
    """A CRL that is decided in every octet but its signature; ``tbs_crl`` is its TBSCertList."""

    crl_number: int
    tbs_crl: bytes
    signature_algorithm: SignatureAlgorithm
    issuer_public_key: PublicKey
    this_update: datetime
    next_update: datetime
    entry_count: int

    @property
    def to_be_signed(self) -> bytes:
        """The bytes for the signer: the same name on intended certificates, CRLs and responses."""
        return self.tbs_crl


def _reason_extensions(reason: RevocationReason) -> bytes:
    """Return crlEntryExtensions; nothing for unspecified, as RFC 5280 section 5.3.1 advises."""
    if reason is RevocationReason.UNSPECIFIED:
        return b""
    value = der.octet_string(der.enumerated(reason.code))
    return der.sequence(der.sequence(_REASON_OID, value))


_EXTENSIONS_BY_REASON = {reason: _reason_extensions(reason) for reason in RevocationReason}


def _entries(entries: Iterable[RevokedEntry], now: datetime) -> list[bytes]:
    encoded: list[bytes] = []
    seen: set[int] = set()
    times: dict[datetime, bytes] = {}
    for entry in entries:
        if entry.serial_number in seen or entry.serial_number < 1:
            raise ValueError(f"Serial number {entry.serial_number:x} is listed twice or below 1.")
        seen.add(entry.serial_number)
        moment = entry.revoked_at
        if moment not in times:
            # A clock that went back must not date a revocation after the list that tells it.
            times[moment] = der.time(min(moment, now))
        encoded.append(
            der.sequence(
                der.integer(entry.serial_number),
                times[moment],
                _EXTENSIONS_BY_REASON[entry.reason],
            )
        )
    return encoded


def _check_may_sign_crls(issuer: Issuer) -> None:
    if issuer.certificate is None:
        raise ValueError("A CRL needs an issuer that has its certificate.")
    try:
        usage = issuer.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.crl_sign:
        raise Refused(
            Refusal.ISSUER_KEY_USAGE,
            "The authority's certificate does not permit it to sign CRLs (cRLSign).",
        )


def intend_crl(
    *,
    issuer: Issuer,
    crl_number: int,
    entries: Iterable[RevokedEntry],
    now: datetime,
    next_update: datetime,
) -> IntendedCRL:
    """Return the full CRL to be signed; ``now`` becomes thisUpdate, in whole seconds.

    ``crl_number`` must grow from list to list, which the caller's store ensures. Raises ``Refused``
    (crl.number, crl.window, issuer.key-usage), and ValueError for doubled serial numbers.
    """
    _check_may_sign_crls(issuer)
    if crl_number < 0 or crl_number.bit_length() // 8 + 1 > _MAX_NUMBER_OCTETS:
        raise Refused(
            Refusal.CRL_NUMBER, "A CRL number is not negative and takes at most 20 octets."
        )
    this_update = now.astimezone(UTC).replace(microsecond=0)
    next_update = next_update.astimezone(UTC).replace(microsecond=0)
    if next_update <= this_update:
        raise Refused(Refusal.CRL_WINDOW, "A CRL's next update must come after this one.")
    encoded = _entries(entries, this_update)
    # RFC 5280 section 5.1.2.6: revokedCertificates is absent, not empty, when nothing is revoked.
    revoked = der.sequence_of(encoded) if encoded else b""
    extensions = der.sequence(
        der.sequence(
            _AKI_OID,
            der.octet_string(der.sequence(der.tlv(0x80, issuer.key_identifier))),
        ),
        der.sequence(_NUMBER_OID, der.octet_string(der.integer(crl_number))),
    )
    tbs = der.sequence(
        _VERSION_2,
        issuer.signature_algorithm.identifier_der,
        issuer.subject_name.public_bytes(),
        der.time(this_update),
        der.time(next_update),
        revoked,
        der.explicit(0, extensions),
    )
    return IntendedCRL(
        crl_number=crl_number,
        tbs_crl=tbs,
        signature_algorithm=issuer.signature_algorithm,
        issuer_public_key=issuer.public_key,
        this_update=this_update,
        next_update=next_update,
        entry_count=len(encoded),
    )


def complete_crl(intended: IntendedCRL, signature: bytes) -> bytes:
    """Return the CRL in DER; raise ``SignedBytesDiffer`` unless the signature fits it."""
    return complete_crl_from_parts(
        intended.tbs_crl, signature, intended.issuer_public_key, intended.signature_algorithm
    )


def complete_crl_from_parts(
    tbs: bytes,
    signature: bytes,
    issuer_public_key: PublicKey,
    algorithm: SignatureAlgorithm | None = None,
) -> bytes:
    """Return the CRL in DER from stored to-be-signed bytes and the signer's signature.

    Raises ``SignedBytesDiffer`` unless the signature is the issuer's over exactly these bytes.
    """
    if not signature_is_valid(issuer_public_key, signature, tbs):
        raise SignedBytesDiffer("The signature is not the issuer's over the intended TBSCertList.")
    chosen = algorithm or signature_algorithm(issuer_public_key)
    crl_der = der.sequence(tbs, chosen.identifier_der, der.bit_string(signature))
    try:
        crl = x509.load_der_x509_crl(crl_der)
    except ValueError as error:
        raise SignedBytesDiffer("The signed bytes do not read back as a CRL.") from error
    if crl.tbs_certlist_bytes != tbs:
        raise SignedBytesDiffer("The CRL read back differs from the intended bytes.")
    return crl_der
