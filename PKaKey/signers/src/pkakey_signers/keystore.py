"""What the signer needs of a place that holds keys. PKCS#11 will be another one."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Protocol, Self
from uuid import UUID

from cryptography import x509

from pkakey_signers.algorithms import Algorithm
from pkakey_signers.protocol import Purpose


class SignsOctets(Protocol):
    """Makes a signature with the key's own algorithm."""

    def __call__(self, octets: bytes, /) -> bytes:
        """Return the signature over these octets."""


@dataclass(frozen=True)
class AuthorityFacts:
    """What the rules ask of an authority's certificate each time, read once."""

    subject: bytes
    """DER."""
    issuer: bytes
    """DER."""
    not_before: datetime
    not_after: datetime
    path_length: int | None
    signs_crls: bool

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Self:
        """Read the certificate."""
        extensions = certificate.extensions
        path_length, signs_crls = None, True
        with suppress(x509.ExtensionNotFound):
            path_length = extensions.get_extension_for_class(
                x509.BasicConstraints
            ).value.path_length
        with suppress(x509.ExtensionNotFound):
            signs_crls = extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
        return cls(
            certificate.subject.public_bytes(),
            certificate.issuer.public_bytes(),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            path_length,
            signs_crls,
        )


@dataclass(frozen=True)
class HeldKey:
    """A key that can be used, wherever its private half is.

    ``certificate`` is the authority's or responder's own, once it was activated.
    """

    key_id: UUID
    algorithm: Algorithm
    purpose: Purpose
    public_key_der: bytes
    sign: SignsOctets = field(repr=False)
    certificate: x509.Certificate | None = None

    @cached_property
    def authority(self) -> AuthorityFacts | None:
        """The facts of the activated certificate, None before."""
        return None if self.certificate is None else AuthorityFacts.of(self.certificate)


class Keystore(Protocol):
    """Holds keys. Each method may be called from any thread.

    Refusals are ``SignerRefused`` with ``key.*`` or ``keystore.*`` codes.
    """

    def generate(self, key_id: UUID, algorithm: Algorithm, purpose: Purpose) -> HeldKey:
        """Return the key of this id, made now when there is none; else it must be the same."""

    def get(self, key_id: UUID) -> HeldKey:
        """Return the key; raise ``key.unknown`` or ``key.damaged``."""

    def held_keys(self) -> Collection[HeldKey]:
        """Return every usable key."""

    def damaged(self) -> Collection[UUID]:
        """Return the ids of keys that are there but cannot be used."""

    def record_certificate(self, key_id: UUID, certificate: x509.Certificate) -> HeldKey:
        """Keep the certificate with the key, durably and safe from change. Rules are the caller's.

        Returns the key as it is from now on.
        """
