"""Decide the certificates of the platform's own keys: authorities and their OCSP responders."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID

from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.issuance.certificate import check_key_for_profile, decide
from pkakey_engine.issuance.intended import IntendedCertificate
from pkakey_engine.issuance.issuer import ExtensionT, Issuer
from pkakey_engine.issuance.profile import Profile, ProfileKind
from pkakey_engine.issuance.request import check_subject_text
from pkakey_engine.keys import PublicKey, check_public_key, spki_der

__all__ = ["authority_subject", "intend_authority", "intend_ocsp_responder"]

_UB_ORGANIZATION = 64
_UB_COMMON_NAME = 64


def authority_subject(common_name: str, organization: str | None = None) -> x509.Name:
    """Return the subject name of an authority; raise ``Refused`` (subject.malformed)."""
    attributes = []
    if organization:
        text = check_subject_text("organization", organization, _UB_ORGANIZATION)
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, text))
    text = check_subject_text("common name", common_name, _UB_COMMON_NAME)
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, text))
    return x509.Name(attributes)


def intend_authority(
    *,
    subject: x509.Name,
    public_key: PublicKey,
    profile: Profile,
    issuer: Issuer | None,
    now: datetime,
    serial_number: int | None = None,
    validity: timedelta | None = None,
    path_length: int | None = None,
    permitted: Sequence[x509.GeneralName] = (),
    excluded: Sequence[x509.GeneralName] = (),
) -> IntendedCertificate:
    """Return what is to be signed for an authority; ``issuer`` None makes a self-signed root.

    ``path_length`` narrows the profile's, never widens it; without one the certificate gets the
    most that profile and issuer allow. ``permitted`` and ``excluded`` become its name constraints.
    Raises ``Refused``, among others issuer.path-length when the issuer may have no authority below.
    """
    if profile.kind is not ProfileKind.AUTHORITY:
        raise Refused(
            Refusal.PROFILE_NOT_APPLICABLE,
            f"Profile {profile.name!r} makes no authority; use one of the kind 'authority'.",
        )
    _check_subject_and_key(subject, public_key, profile)
    issuing = Issuer.self_signed(subject, public_key) if issuer is None else issuer
    length = _path_length(profile, issuing, path_length)
    own: list[ExtensionT] = [_critical(x509.BasicConstraints(ca=True, path_length=length))]
    if permitted or excluded:
        # RFC 5280 section 4.2.1.10: critical; an empty list is written as an absent field.
        own.append(_critical(x509.NameConstraints(permitted or None, excluded or None)))
    return _decide(subject, public_key, profile, issuing, now, validity, serial_number, own)


def intend_ocsp_responder(
    *,
    subject: x509.Name,
    public_key: PublicKey,
    profile: Profile,
    issuer: Issuer,
    now: datetime,
    serial_number: int | None = None,
    validity: timedelta | None = None,
) -> IntendedCertificate:
    """Return what is to be signed for the issuer's delegated OCSP responder (RFC 6960 4.2.2.2)."""
    if profile.kind is not ProfileKind.OCSP_RESPONDER:
        raise Refused(
            Refusal.PROFILE_NOT_APPLICABLE,
            f"Profile {profile.name!r} makes no OCSP responder.",
        )
    _check_subject_and_key(subject, public_key, profile)
    return _decide(subject, public_key, profile, issuer, now, validity, serial_number, ())


def _decide(
    subject: x509.Name,
    public_key: PublicKey,
    profile: Profile,
    issuer: Issuer,
    now: datetime,
    validity: timedelta | None,
    serial_number: int | None,
    own_extensions: Iterable[ExtensionT],
) -> IntendedCertificate:
    return decide(
        subject=subject,
        names=(),
        public_key=public_key,
        public_key_sha256=hashlib.sha256(spki_der(public_key)).hexdigest(),
        profile=profile,
        issuer=issuer,
        now=now,
        validity=validity,
        serial_number=serial_number,
        own_extensions=own_extensions,
    )


def _critical(value: x509.ExtensionType) -> ExtensionT:
    return x509.Extension(value.oid, True, value)  # noqa: FBT003 - cryptography's order.


def _check_subject_and_key(subject: x509.Name, public_key: PublicKey, profile: Profile) -> None:
    # RFC 5280 section 4.1.2.4: an authority's name is what its certificates are found by.
    if not subject.rdns:
        raise Refused(Refusal.SUBJECT_MALFORMED, "The subject is empty; give a common name.")
    check_public_key(public_key)
    check_key_for_profile(public_key, profile)


def _path_length(profile: Profile, issuer: Issuer, asked: int | None) -> int | None:
    remaining = issuer.remaining_path_length
    if remaining is not None and remaining < 1:
        raise Refused(
            Refusal.ISSUER_PATH_LENGTH,
            "The issuing authority may have no authority below it (path length 0); "
            "use one higher up.",
        )
    limits = [] if remaining is None else [remaining - 1]
    if profile.path_length is not None:
        limits.append(profile.path_length)
    limit = min(limits, default=None)
    if asked is None:
        return limit
    if asked < 0 or (limit is not None and asked > limit):
        raise Refused(
            Refusal.ISSUER_PATH_LENGTH,
            f"A path length of {asked} was asked for; at most {limit} is possible here.",
        )
    return asked
