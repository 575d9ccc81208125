"""Between the forms of the store and those of the engine."""

import ssl
from collections.abc import Iterable

from pkakey_engine.names import Name, NameKind


def names_to_text(names: Iterable[Name]) -> list[str]:
    """Return names as the store keeps them: `kind:value`."""
    return [f"{name.kind.value}:{name.value}" for name in names]


def names_from_text(texts: Iterable[str]) -> tuple[Name, ...]:
    """Return names from what the store keeps."""
    parts = (text.partition(":") for text in texts)
    return tuple(Name(NameKind(kind), value) for kind, _, value in parts)


def pem(certificate_der: bytes) -> str:
    """Return a certificate as PEM (RFC 7468), lines of 64 characters, newline at the end."""
    return ssl.DER_cert_to_PEM_cert(certificate_der)
