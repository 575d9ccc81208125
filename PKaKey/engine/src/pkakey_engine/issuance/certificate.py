"""Decide a certificate: request, profile, issuer and time in; to-be-signed bytes or a refusal out.

The steps carry the numbers of docs/flows/issuance.md where it speaks of the engine.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.issuance.capture import capture_tbs_certificate
from pkakey_engine.issuance.intended import IntendedCertificate
from pkakey_engine.issuance.issuer import ExtensionT, Issuer, key_identifier
from pkakey_engine.issuance.profile import CommonNameRule, Profile, ProfileKind
from pkakey_engine.issuance.request import CertificateRequest, check_subject_text
from pkakey_engine.issuance.serials import new_serial_number
from pkakey_engine.keys import KeyAlgorithm, PublicKey, describe_key, key_algorithm
from pkakey_engine.lint import check_certificate
from pkakey_engine.names import Name, NameKind, check_name_constraints, parse_dns_name

__all__ = ["intend_certificate"]

_SAN = ExtensionOID.SUBJECT_ALTERNATIVE_NAME.dotted_string
_ONE_SECOND = timedelta(seconds=1)
# RFC 5280 section 4.1.2.5: 9999-12-31 means "no end"; no end that is asked for comes near it.
_LAST_YEAR = 9998
# RFC 5280 section 4.1.2.2: 20 octets with the sign bit clear.
_SERIAL_LIMIT = 2**159


def intend_certificate(
    *,
    request: CertificateRequest,
    profile: Profile,
    issuer: Issuer,
    now: datetime,
    serial_number: int | None = None,
    validity: timedelta | None = None,
    extra_names: Sequence[Name] = (),
) -> IntendedCertificate:
    """Return what is to be signed for the request; raise ``Refused`` with the first reason not to.

    ``now`` is aware. Without ``validity`` the certificate gets the profile's, cut to the issuer's
    end; a ``validity`` that is asked for is never cut, but refused when it reaches further.
    ``extra_names`` (normal form, from ``parse_name``) join those of the CSR. The result has passed
    lint.
    """
    if profile.kind is not ProfileKind.END_ENTITY:
        # Whoever may ask for certificates must not thereby become an authority or its responder.
        raise Refused(
            Refusal.PROFILE_NOT_APPLICABLE,
            f"Profile {profile.name!r} is for the platform's own keys and takes no request; "
            "choose a profile for servers or clients.",
        )
    check_key_for_profile(request.public_key, profile)
    check_requested_extensions(request.requested_extensions, profile)
    common_name, names = _names(request, profile, extra_names)
    subject = x509.Name(
        [] if common_name is None else [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    )
    if not names and not subject.rdns:
        raise Refused(
            Refusal.NAME_MISSING,
            "The request has neither a common name nor subject alternative names; add one.",
        )
    return decide(
        subject=subject,
        names=names,
        public_key=request.public_key,
        public_key_sha256=request.public_key_sha256,
        profile=profile,
        issuer=issuer,
        now=now,
        validity=validity,
        serial_number=serial_number,
    )


def decide(
    *,
    subject: x509.Name,
    names: tuple[Name, ...],
    public_key: PublicKey,
    public_key_sha256: str,
    profile: Profile,
    issuer: Issuer,
    now: datetime,
    validity: timedelta | None,
    serial_number: int | None,
    own_extensions: Iterable[ExtensionT] = (),
) -> IntendedCertificate:
    """Apply the issuer's rules, build the bytes and lint them; for the intend functions only."""
    if now.tzinfo is None:
        raise ValueError("The time must be aware; a naive one came.")
    issuer.check_may_issue(now)
    if issuer.certificate is not None and public_key_sha256 == issuer.public_key_sha256:
        raise Refused(
            Refusal.KEY_IS_ISSUERS,
            "The key is the issuing authority's own; make a key of its own for the certificate.",
        )
    check_name_constraints(subject=subject, names=names, constraints=issuer.name_constraints)
    not_before, not_after = _validity(profile, issuer, now, validity)
    serial = new_serial_number() if serial_number is None else serial_number
    if not 0 < serial < _SERIAL_LIMIT:
        raise ValueError("A serial number is positive and takes at most 20 octets.")
    extensions: list[ExtensionT] = [*own_extensions, *profile.fixed_extensions]
    extensions.append(_plain(x509.SubjectKeyIdentifier(key_identifier(public_key))))
    extensions.append(issuer.authority_key_identifier)
    if names:
        value = x509.SubjectAlternativeName([name.general_name() for name in names])
        # RFC 5280 section 4.2.1.6: critical exactly when the subject is empty.
        extensions.append(x509.Extension(value.oid, not subject.rdns, value))
    if profile.crl_urls and issuer.crl_extension is not None:
        extensions.append(issuer.crl_extension)
    access = issuer.information_access(ocsp=profile.ocsp_urls, ca_issuers=profile.ca_issuer_urls)
    if access is not None:
        extensions.append(access)
    # One constructor call: the chained builder copies itself at every step.
    builder = x509.CertificateBuilder(
        issuer.subject_name,
        subject,
        public_key,
        serial,
        not_before.replace(tzinfo=None),
        not_after.replace(tzinfo=None),
        extensions,
    )
    tbs, draft = capture_tbs_certificate(builder, issuer.public_key)
    check_certificate(draft, issuer_certificate=issuer.certificate)
    return IntendedCertificate(
        serial_number=serial,
        tbs_certificate=tbs,
        signature_algorithm=issuer.signature_algorithm,
        issuer_public_key=issuer.public_key,
        not_before=not_before,
        not_after=not_after,
        subject=subject.rfc4514_string(),
        names=names,
        profile_name=profile.name,
        profile_version=profile.version,
        profile_digest=profile.digest,
        public_key_sha256=public_key_sha256,
    )


def _plain(value: x509.ExtensionType) -> ExtensionT:
    return x509.Extension(value.oid, False, value)  # noqa: FBT003 - cryptography's order.


def check_key_for_profile(public_key: PublicKey, profile: Profile) -> None:
    """Raise ``Refused`` unless the profile permits this kind and size of key."""
    algorithm = key_algorithm(public_key)
    if algorithm not in profile.key_algorithms:
        allowed = ", ".join(sorted(profile.key_algorithms))
        raise Refused(
            Refusal.KEY_NOT_PERMITTED,
            f"The key is {describe_key(public_key)}; profile {profile.name!r} permits {allowed}.",
        )
    if algorithm is KeyAlgorithm.RSA:
        bits = getattr(public_key, "key_size", 0)
        if bits < profile.min_rsa_bits:
            raise Refused(
                Refusal.KEY_TOO_SMALL,
                f"The RSA key has {bits} bits; profile {profile.name!r} needs "
                f"{profile.min_rsa_bits}.",
            )


def check_requested_extensions(
    requested: Iterable[x509.Extension[x509.ExtensionType]], profile: Profile
) -> None:
    """Raise ``Refused`` (extension.not-permitted) for what a CSR must not ask of the profile.

    subjectAltName is taken. What the profile ignores is passed over, unless it asks for the powers
    of an authority. Everything else is refused rather than silently left out.
    """
    for extension in requested:
        value, oid = extension.value, extension.oid.dotted_string
        if oid == _SAN:
            continue
        asks_authority = (isinstance(value, x509.BasicConstraints) and value.ca) or (
            isinstance(value, x509.KeyUsage) and (value.key_cert_sign or value.crl_sign)
        )
        if asks_authority:
            raise Refused(
                Refusal.EXTENSION_NOT_PERMITTED,
                "The request asks to become an authority (CA:TRUE, keyCertSign or cRLSign); "
                f"profile {profile.name!r} never grants that. Leave it out of the CSR.",
            )
        if oid not in profile.ignored_extensions:
            raise Refused(
                Refusal.EXTENSION_NOT_PERMITTED,
                f"The request asks for the extension {oid}, which profile {profile.name!r} does "
                "not grant; leave it out of the CSR.",
            )


def _common_name_as_name(text: str, profile: Profile) -> Name:
    """Return the certified name that the common name stands for; raise ``Refused`` if none."""
    try:
        return Name(NameKind.IP, str(ipaddress.ip_address(text)))
    except ValueError:
        pass
    try:
        return Name(NameKind.DNS, parse_dns_name(text, wildcard=True))
    except Refused as error:
        raise Refused(
            error.refusal,
            f"The common name must be a DNS name or IP address in profile {profile.name!r}: "
            f"{error.detail}",
        ) from error


def _names(
    request: CertificateRequest, profile: Profile, extra_names: Sequence[Name]
) -> tuple[str | None, tuple[Name, ...]]:
    """Return the common name and the subject alternative names that the profile grants."""
    collected = list(request.names)
    common_name = request.common_name
    if common_name is not None and profile.common_name is CommonNameRule.NAME:
        # BR section 7.1.4.3: a common name is a copy of one of the subject alternative names.
        as_name = _common_name_as_name(common_name, profile)
        collected.append(as_name)
        common_name = check_subject_text("common name (with A-labels)", as_name.value, 64)
    names = tuple(dict.fromkeys([*collected, *extra_names]))
    for name in names:
        if name.kind not in profile.name_kinds:
            allowed = ", ".join(sorted(profile.name_kinds)) or "none"
            raise Refused(
                Refusal.NAME_NOT_PERMITTED,
                f"{name.value!r} is a name of the kind {name.kind.value}; profile "
                f"{profile.name!r} permits these kinds: {allowed}.",
            )
        if name.kind is NameKind.DNS and "*" in name.value and not profile.wildcards:
            raise Refused(
                Refusal.NAME_WILDCARD,
                f"{name.value!r}: profile {profile.name!r} permits no wildcard; list the names.",
            )
    if len(names) < profile.min_names:
        raise Refused(
            Refusal.NAME_MISSING,
            f"Profile {profile.name!r} needs at least {profile.min_names} name; put it into the "
            "CSR's subjectAltName extension or common name.",
        )
    if len(names) > profile.max_names:
        raise Refused(
            Refusal.NAME_TOO_MANY,
            f"The request has {len(names)} names; profile {profile.name!r} allows "
            f"{profile.max_names}.",
        )
    return common_name, names


def _validity(
    profile: Profile, issuer: Issuer, now: datetime, asked: timedelta | None
) -> tuple[datetime, datetime]:
    """Return notBefore and notAfter in whole seconds of UTC; both belong to the period."""
    start = now.astimezone(UTC).replace(microsecond=0) - profile.backdate
    if issuer.not_before is not None:
        start = max(start, issuer.not_before)
    wanted = profile.validity if asked is None else asked
    if wanted > profile.max_validity:
        raise Refused(
            Refusal.VALIDITY_TOO_LONG,
            f"A validity of {wanted} was asked for; profile {profile.name!r} allows at most "
            f"{profile.max_validity.days} days.",
        )
    if wanted < profile.min_validity:
        raise Refused(
            Refusal.VALIDITY_TOO_SHORT,
            f"A validity of {wanted} was asked for; profile {profile.name!r} needs at least "
            f"{profile.min_validity}.",
        )
    # BR section 1.6.1 and RFC 5280 section 4.1.2.5: the last second counts.
    end = (start + wanted - _ONE_SECOND).replace(microsecond=0)
    last = issuer.not_after
    if last is not None and end > last:
        if asked is not None:
            raise Refused(
                Refusal.VALIDITY_EXCEEDS_ISSUER,
                f"The certificate would end at {end:%Y-%m-%d %H:%M:%S} UTC, after its authority "
                f"({last:%Y-%m-%d %H:%M:%S} UTC); ask for less, or use another authority.",
            )
        end = last
        if end - start + _ONE_SECOND < profile.min_validity:
            raise Refused(
                Refusal.VALIDITY_EXCEEDS_ISSUER,
                f"The authority ends at {last:%Y-%m-%d %H:%M:%S} UTC, too soon for profile "
                f"{profile.name!r}; use another authority.",
            )
    if end.year > _LAST_YEAR:
        raise Refused(Refusal.VALIDITY_TOO_LONG, "The certificate would end past the year 9998.")
    return start, end
