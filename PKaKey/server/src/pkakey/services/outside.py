"""What the use cases need from outside the database: the signer, addresses, folders."""

from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from pkakey_engine.keys import KnownCompromisedKeys
from pkakey_signers.client import SignerClient

from pkakey.services.to_flows import ToFlows


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInProvider:
    """Keycloak, when people sign in there (containers); natively they sign in here.

    `issuer` is the realm's public URL as in `iss`; `internal_url` is where this process reaches it.
    """

    issuer: str
    internal_url: str
    client_id: str
    audience: str

    @property
    def authorization_url(self) -> str:
        """Where the browser is sent to sign in."""
        return f"{self.issuer}/protocol/openid-connect/auth"

    @property
    def end_session_url(self) -> str:
        """Where the browser is sent to sign out (OpenID Connect RP-Initiated Logout 1.0)."""
        return f"{self.issuer}/protocol/openid-connect/logout"

    @property
    def account_url(self) -> str:
        """Where people keep their password and second factor."""
        return f"{self.issuer}/account/"

    @property
    def token_url(self) -> str:
        """Where this process exchanges a code."""
        return f"{self.internal_url}/protocol/openid-connect/token"

    @property
    def keys_url(self) -> str:
        """Where this process gets the realm's public keys."""
        return f"{self.internal_url}/protocol/openid-connect/certs"


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
    token_key_file: Path | None = None
    sign_in: SignInProvider | None = None
    # Keys to refuse beside those that the engine knows (`config.weak_keys`).
    weak_keys: KnownCompromisedKeys = field(default_factory=KnownCompromisedKeys, repr=False)
    # PeSequel's database as `inventory_writer`, with its password; None: there is no inventory.
    # KoolFlows, which runs the approvals; None: nothing that needs one is issued.
    flows: ToFlows | None = None
    # The secret by which KoolFlows is known here; without one it may ask for nothing.
    flows_service_key: str | None = field(default=None, repr=False)
    inventory_url: str | None = field(default=None, repr=False)

    @property
    def public_url(self) -> str:
        """Where people reach PKaKey; the issuer of the tokens that it signs."""
        port = "" if self.https_port == 443 else f":{self.https_port}"  # noqa: PLR2004
        return f"https://pkakey.{self.domain}{port}"

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
