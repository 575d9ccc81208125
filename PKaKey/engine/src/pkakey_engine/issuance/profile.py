"""Profiles: what a kind of certificate holds and what may be asked for, as versioned data.

The data is JSON; the ones that ship lie in ``profiles/``. A change to one is a new version.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cache, cached_property
from importlib import resources
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.issuance.profile_data import Fields
from pkakey_engine.keys import KeyAlgorithm
from pkakey_engine.names import NameKind

__all__ = ["CommonNameRule", "Profile", "ProfileKind", "shipped_profile", "shipped_profiles"]

_DIAGRAM = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
_EKU_BY_NAME: dict[str, x509.ObjectIdentifier] = {
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "codeSigning": ExtendedKeyUsageOID.CODE_SIGNING,
    "emailProtection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timeStamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "OCSPSigning": ExtendedKeyUsageOID.OCSP_SIGNING,
}
# RFC 5280 section 4.2.1.3, in the order of the bits, with cryptography's words.
_KEY_USAGE_BITS: dict[str, str] = {
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
    "encipherOnly": "encipher_only",
    "decipherOnly": "decipher_only",
}


class ProfileKind(StrEnum):
    """What a certificate of the profile is for; it decides which intend function takes it."""

    END_ENTITY = "end-entity"
    AUTHORITY = "authority"
    OCSP_RESPONDER = "ocsp-responder"


class CommonNameRule(StrEnum):
    """What becomes of the CSR's common name.

    ``name``: it must be a DNS name or IP address and is certified as a subject alternative name
    too. ``text``: it is taken as free text. Other subject attributes of a CSR are never taken:
    nobody has proven them.
    """

    NAME = "name"
    TEXT = "text"


@dataclass(frozen=True)
class Profile:
    """One version of a profile; ``digest`` is the SHA-256 (hex) of its canonical data.

    ``validity`` is what a certificate gets when nothing is asked, ``max_validity`` and
    ``min_validity`` bound what may be asked; all count from notBefore, which lies ``backdate``
    before now so that clocks a little behind accept the certificate.
    ``ignored_extensions`` names (dotted OIDs) what a CSR may ask for without getting it; any other
    requested extension beside subjectAltName is refused. ``approval`` names the diagram that a
    request has to pass before anything is signed; None: no approval is needed.
    """

    name: str
    version: int
    digest: str
    title: str
    description: str
    kind: ProfileKind
    key_algorithms: frozenset[KeyAlgorithm]
    min_rsa_bits: int
    validity: timedelta
    max_validity: timedelta
    min_validity: timedelta
    backdate: timedelta
    common_name: CommonNameRule
    name_kinds: frozenset[NameKind]
    wildcards: bool
    min_names: int
    max_names: int
    key_usage: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    path_length: int | None
    crl_urls: bool
    ocsp_urls: bool
    ca_issuer_urls: bool
    ignored_extensions: frozenset[str]
    approval: str | None
    data: Mapping[str, Any] = field(repr=False, compare=False, hash=False)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Profile":
        """Return the profile that the JSON object describes.

        Raises ValueError with the field's name for anything missing, unknown or contradictory.
        """
        fields = Fields(data)
        names = fields.section("names")
        status = fields.section("status")
        approval = fields.optional_section("approval")
        profile = cls(
            name=fields.text("name"),
            version=fields.number("version", 1),
            digest=canonical_digest(data),
            title=fields.text("title"),
            description=fields.text("description"),
            kind=ProfileKind(fields.text("kind")),
            key_algorithms=frozenset(
                KeyAlgorithm(text) for text in fields.texts("key_algorithms", minimum=1)
            ),
            min_rsa_bits=fields.number("min_rsa_bits", 2048),
            validity=timedelta(days=fields.number("validity_days", 1)),
            max_validity=timedelta(days=fields.number("max_validity_days", 1)),
            min_validity=timedelta(seconds=fields.number("min_validity_seconds", 1)),
            backdate=timedelta(seconds=fields.number("backdate_seconds", 0)),
            common_name=CommonNameRule(fields.text("common_name")),
            name_kinds=frozenset(NameKind(text) for text in names.texts("kinds")),
            wildcards=names.flag("wildcards"),
            min_names=names.number("minimum", 0),
            max_names=names.number("maximum", 0),
            key_usage=fields.texts("key_usage", minimum=1),
            extended_key_usage=fields.texts("extended_key_usage"),
            path_length=fields.optional_number("path_length", 0),
            crl_urls=status.flag("crl"),
            ocsp_urls=status.flag("ocsp"),
            ca_issuer_urls=status.flag("ca_issuers"),
            ignored_extensions=frozenset(fields.texts("ignored_extensions")),
            approval=approval.text("diagram") if approval is not None else None,
            data=json.loads(json.dumps(data)),
        )
        for part in (names, status, approval, fields):
            if part is not None:
                part.finish()
        profile.check()
        return profile

    def check(self) -> None:
        """Raise ValueError where the fields contradict each other or RFC 5280."""
        problems = []
        if not self.min_validity <= self.validity <= self.max_validity:
            problems.append("validity_days lies outside min_validity_seconds to max_validity_days")
        if self.min_names > self.max_names or (self.min_names and not self.name_kinds):
            problems.append("names.minimum exceeds what names allows")
        if unknown := set(self.key_usage) - set(_KEY_USAGE_BITS):
            problems.append(f"key_usage has unknown {sorted(unknown)}")
        if unknown := set(self.extended_key_usage) - set(_EKU_BY_NAME):
            problems.append(f"extended_key_usage has unknown {sorted(unknown)}")
        is_authority = self.kind is ProfileKind.AUTHORITY
        if is_authority != ("keyCertSign" in self.key_usage):
            problems.append("key_usage has keyCertSign exactly when kind is 'authority'")
        if self.path_length is not None and not is_authority:
            problems.append("path_length is only for kind 'authority'")
        is_responder = self.kind is ProfileKind.OCSP_RESPONDER
        if is_responder != ("OCSPSigning" in self.extended_key_usage):
            problems.append("extended_key_usage has OCSPSigning exactly for 'ocsp-responder'")
        problems += self._approval_problems()
        if problems:
            raise ValueError(f"Profile {self.name!r}: " + "; ".join(problems) + ".")

    def _approval_problems(self) -> list[str]:
        problems = []
        if self.approval is not None and self.kind is not ProfileKind.END_ENTITY:
            problems.append("approval is only for kind 'end-entity'")
        if self.approval is not None and not _DIAGRAM.fullmatch(self.approval):
            problems.append("approval.diagram is no key of a diagram")
        return problems

    @cached_property
    def fixed_extensions(self) -> tuple[x509.Extension[x509.ExtensionType], ...]:
        """The extensions that are the same in every end-entity certificate of the profile."""
        parts: list[tuple[x509.ExtensionType, bool]] = []
        if self.kind is not ProfileKind.AUTHORITY:
            parts.append((x509.BasicConstraints(ca=False, path_length=None), True))
        bits = {word: name in self.key_usage for name, word in _KEY_USAGE_BITS.items()}
        parts.append((x509.KeyUsage(**bits), True))
        if self.extended_key_usage:
            usages = [_EKU_BY_NAME[name] for name in self.extended_key_usage]
            parts.append((x509.ExtendedKeyUsage(usages), False))
        if self.kind is ProfileKind.OCSP_RESPONDER:
            # RFC 6960 section 4.2.2.2.1: clients need not ask for the responder's own status.
            parts.append((x509.OCSPNoCheck(), False))
        return tuple(x509.Extension(value.oid, critical, value) for value, critical in parts)


def canonical_digest(data: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of the data as JSON with sorted keys and no spaces."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


@cache
def shipped_profiles() -> tuple[Profile, ...]:
    """Return the profiles that ship with the engine, in the order of their names."""
    folder = resources.files("pkakey_engine.issuance").joinpath("profiles")
    texts = [entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".json")]
    profiles = [Profile.from_data(json.loads(text)) for text in texts]
    return tuple(sorted(profiles, key=lambda profile: profile.name))


def shipped_profile(name: str) -> Profile:
    """Return the shipped profile of this name; raise ``Refused`` (profile.unknown) for others."""
    for profile in shipped_profiles():
        if profile.name == name:
            return profile
    known = ", ".join(profile.name for profile in shipped_profiles())
    raise Refused(
        Refusal.PROFILE_UNKNOWN, f"There is no profile {name[:80]!r}; there are: {known}."
    )
