"""What the use cases need from outside the database: the signer, addresses, folders."""

from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from pkakey_engine.keys import KnownCompromisedKeys
from pkakey_signers.client import SignerClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Handed to every use case by `config.wiring`; services read no settings."""

    signer: SignerClient
    # Holds the server's password, which no traceback should show.
    redis_url: str = field(repr=False)
    domain: str
    http_port: int
    https_port: int
    gateway_tls_dir: Path | None
    secrets_dir: Path | None
    # Keys to refuse beside those that the engine knows (`config.weak_keys`).
    weak_keys: KnownCompromisedKeys = field(default_factory=KnownCompromisedKeys, repr=False)
    # PeSequel's database as `inventory_writer`, with its password; None: there is no inventory.
    inventory_url: str | None = field(default=None, repr=False)

    @property
    def status_url(self) -> str:
        """Where CRL, OCSP and CA certificates are served, in plain HTTP."""
        port = "" if self.http_port == 80 else f":{self.http_port}"  # noqa: PLR2004
        return f"http://pkakey.{self.domain}{port}"

    def crl_url(self, authority_id: UUID) -> str:
        """Return the CRL distribution point (RFC 5280 section 4.2.1.13)."""
        return f"{self.status_url}/crl/{authority_id}.crl"

    def ocsp_url(self) -> str:
        """Return the OCSP responder's address (RFC 5280 section 4.2.2.1)."""
        return f"{self.status_url}/ocsp"

    def ca_issuer_url(self, authority_id: UUID) -> str:
        """Return the address of the authority's certificate (RFC 5280 section 4.2.2.1)."""
        return f"{self.status_url}/ca/{authority_id}.cer"
