"""Why a certificate is revoked, in RFC 5280's words, and which reasons may be given."""

from enum import StrEnum

from pkakey_engine.errors import Refusal, Refused

__all__ = ["RevocationReason", "check_revocation_reason", "parse_revocation_reason"]


class RevocationReason(StrEnum):
    """CRLReason (RFC 5280 section 5.3.1) by its names; removeFromCRL is for delta CRLs only."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    CERTIFICATE_HOLD = "certificateHold"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    AA_COMPROMISE = "aACompromise"

    @property
    def code(self) -> int:
        """The number that CRLs and OCSP responses carry."""
        return _CODES[self]


_CODES = {
    RevocationReason.UNSPECIFIED: 0,
    RevocationReason.KEY_COMPROMISE: 1,
    RevocationReason.CA_COMPROMISE: 2,
    RevocationReason.AFFILIATION_CHANGED: 3,
    RevocationReason.SUPERSEDED: 4,
    RevocationReason.CESSATION_OF_OPERATION: 5,
    RevocationReason.CERTIFICATE_HOLD: 6,
    RevocationReason.PRIVILEGE_WITHDRAWN: 9,
    RevocationReason.AA_COMPROMISE: 10,
}
# Holding needs a way to release, which delta CRLs would have to tell; there are no attribute
# authorities here.
_NEVER = frozenset({RevocationReason.CERTIFICATE_HOLD, RevocationReason.AA_COMPROMISE})


def parse_revocation_reason(text: str) -> RevocationReason:
    """Return the reason of this RFC 5280 name; raise ``Refused`` (revocation.reason-unknown)."""
    try:
        return RevocationReason(text)
    except ValueError as error:
        known = ", ".join(reason for reason in RevocationReason if reason not in _NEVER)
        raise Refused(
            Refusal.REVOCATION_REASON_UNKNOWN,
            f"{text[:40]!r} is no revocation reason; give one of: {known}.",
        ) from error


def check_revocation_reason(reason: RevocationReason, *, is_authority: bool) -> None:
    """Raise ``Refused`` (revocation.reason-not-allowed) unless it suits the certificate."""
    if reason in _NEVER:
        raise Refused(
            Refusal.REVOCATION_REASON_NOT_ALLOWED,
            f"The reason {reason.value} is not offered here, since revocation is final and there "
            "are no attribute authorities; give another reason.",
        )
    if reason is RevocationReason.CA_COMPROMISE and not is_authority:
        raise Refused(
            Refusal.REVOCATION_REASON_NOT_ALLOWED,
            "The reason cACompromise is for authorities; give keyCompromise.",
        )
