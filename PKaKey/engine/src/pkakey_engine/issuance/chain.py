"""Check a chain of certificates by the rules of RFC 5280 section 6 that the platform uses."""

import ipaddress
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.issuance.issuer import Issuer
from pkakey_engine.names import Name, NameKind, check_name_constraints

__all__ = ["certified_names", "verify_chain"]


def certified_names(certificate: x509.Certificate) -> tuple[Name, ...]:
    """Return the subject alternative names of the four kinds that are issued, as they stand."""
    try:
        value = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names = []
    for general_name in value:
        if isinstance(general_name, x509.DNSName):
            names.append(Name(NameKind.DNS, general_name.value.lower()))
        elif isinstance(general_name, x509.RFC822Name):
            names.append(Name(NameKind.EMAIL, general_name.value))
        elif isinstance(general_name, x509.UniformResourceIdentifier):
            names.append(Name(NameKind.URI, general_name.value))
        elif isinstance(general_name, x509.IPAddress) and isinstance(
            general_name.value, ipaddress.IPv4Address | ipaddress.IPv6Address
        ):
            names.append(Name(NameKind.IP, str(general_name.value)))
    return tuple(names)


def verify_chain(chain: Sequence[x509.Certificate], now: datetime) -> None:
    """Return when the chain, leaf first and self-signed root last, holds at ``now``.

    Checks signatures, names, validity, CA powers, path lengths and name constraints. Does not
    check revocation or whether the root is trusted. Raises ``Refused`` (chain.*, issuer.*, name.*).
    """
    if not chain:
        raise Refused(Refusal.CHAIN_BROKEN, "The chain is empty.")
    root = chain[-1]
    for certificate, signer in [*pairwise(chain), (root, root)]:
        try:
            certificate.verify_directly_issued_by(signer)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise Refused(
                Refusal.CHAIN_BROKEN,
                f"'{certificate.subject.rfc4514_string()}' was not signed by "
                f"'{signer.subject.rfc4514_string()}', which stands above it in the chain.",
            ) from error
    for certificate in chain:
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise Refused(
                Refusal.CHAIN_EXPIRED,
                f"'{certificate.subject.rfc4514_string()}' is valid from "
                f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M:%S} to "
                f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC, and the time is "
                f"{now:%Y-%m-%d %H:%M:%S}.",
            )
    for depth, certificate in enumerate(chain[:-1]):
        issuer = Issuer.from_certificate(chain[depth + 1], chain=tuple(chain[depth + 2 :]))
        issuer.check_may_issue(now)
        if certificate.subject == certificate.issuer:
            continue  # RFC 5280 section 6.1.3 (b): self-issued certificates are not constrained.
        check_name_constraints(
            subject=certificate.subject,
            names=certified_names(certificate),
            constraints=issuer.name_constraints,
        )
