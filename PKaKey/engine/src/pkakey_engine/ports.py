"""What the outside must supply. Time is not here: it is always an argument."""

from typing import Protocol

from pkakey_engine.keys import PublicKey

__all__ = ["Signer"]


class Signer(Protocol):
    """One key that can sign, wherever its private half lives."""

    @property
    def public_key(self) -> PublicKey:
        """The key's public half."""

    def sign(self, to_be_signed: bytes) -> bytes:
        """Return the signature over exactly these bytes, by ``keys.signature_algorithm``."""
