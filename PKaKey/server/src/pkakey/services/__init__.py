"""The use cases: fronts get a `Services` as `request.services`.

Only services and selectors open transactions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pkakey_engine.revocation import RevocationReason
from theddt_identity import Caller

from pkakey.selectors.results import RequestItem
from pkakey.services import (
    authority_creation,
    authority_suspension,
    bootstrapping,
    callers,
    cli_token,
    crl_publishing,
    expiry,
    gateway_certificate,
    granted_requests,
    inventory_delivery,
    issuance,
    jwt_tokens,
    namespaces,
    ocsp_responders,
    oidc_clients,
    people,
    profile_publishing,
    reconciliation,
    relaying,
    revocation,
    sign_in,
    tokens,
)
from pkakey.services.flows import FlowsServices
from pkakey.services.measuring import use_case
from pkakey.services.outside import Outside
from pkakey.services.principals import Principal, principal_of_user
from pkakey.services.results import (
    CreatedAuthority,
    IssuedCertificate,
    NewToken,
    Preview,
    PublishedCRL,
    RevokedCertificate,
)
from pkakey.services.token_keys import load_token_keys

__all__ = [
    "CreatedAuthority",
    "IssuedCertificate",
    "NewToken",
    "Outside",
    "Preview",
    "Principal",
    "PublishedCRL",
    "RevocationReason",
    "RevokedCertificate",
    "Services",
]


@dataclass(frozen=True, slots=True)
class Services:
    """Every use case, bound to what it needs from outside."""

    outside: Outside

    @use_case("issue_certificate")
    def issue_certificate(
        self,
        *,
        principal: Principal,
        csr: bytes,
        profile: str,
        now: datetime,
        source: str,
        authority_id: UUID | None = None,
        idempotency_key: str | None = None,
    ) -> IssuedCertificate | RequestItem:
        """Issue a certificate for a CSR in PEM or DER; `source`: api, portal, cli, gateway.

        Under a profile that needs an approval, record the request, start its process and return
        where it stands. Then also raises `Conflict("approval.not-started")`.
        Raises `NotPermitted`, `NotFound("authority")`, the engine's `Refused`,
        `Conflict("idempotency.key-reused")`, `Unauthenticated`, `ServiceUnavailable`.
        """
        return issuance.issue_certificate(
            self.outside,
            principal=principal,
            csr=csr,
            profile=profile,
            now=now,
            source=source,
            authority_id=authority_id,
            idempotency_key=idempotency_key,
        )

    @property
    def flows(self) -> FlowsServices:
        """What KoolFlows asks of us, and what is asked of it."""
        return FlowsServices(self.outside)

    def require_approval(
        self, *, namespace: str, profile: str, diagram: str | None, now: datetime
    ) -> int:
        """Publish the profile with another approval, or none; return the new version."""
        return profile_publishing.require_approval(
            namespace=namespace, profile=profile, diagram=diagram, now=now
        )

    @use_case("preview_certificate")
    def preview_certificate(
        self,
        *,
        principal: Principal,
        csr: bytes,
        profile: str,
        now: datetime,
        authority_id: UUID | None = None,
    ) -> Preview:
        """Return exactly what would be issued; stores nothing. Raises as `issue_certificate`."""
        return issuance.preview_certificate(
            self.outside,
            principal=principal,
            csr=csr,
            profile=profile,
            now=now,
            authority_id=authority_id,
        )

    @use_case("revoke_certificate")
    def revoke_certificate(
        self,
        *,
        principal: Principal,
        serial_number: str,
        reason: str,
        now: datetime,
        authority_id: UUID | None = None,
    ) -> RevokedCertificate:
        """Revoke for good, and publish a CRL that says so before returning.

        Raises `NotPermitted`, `NotFound("certificate")`, `Refused` (revocation.*).
        """
        return revocation.revoke_certificate(
            self.outside,
            principal=principal,
            serial_number=serial_number,
            reason=reason,
            now=now,
            authority_id=authority_id,
        )

    @use_case("suspend_authority")
    def suspend_authority(self, *, principal: Principal, authority_id: UUID, now: datetime) -> None:
        """Let an authority issue nothing until key holders activate it; its status goes on.

        Raises `NotPermitted`, `NotFound("authority")`.
        """
        authority_suspension.suspend_authority(
            principal=principal, authority_id=authority_id, now=now
        )

    @use_case("create_authority")
    def create_authority(
        self,
        *,
        principal: Principal,
        common_name: str,
        organization: str,
        profile: str,
        parent_id: UUID | None,
        algorithm: str,
        now: datetime,
        permitted: Sequence[str] = (),
        excluded: Sequence[str] = (),
    ) -> CreatedAuthority:
        """Create an authority: key in the signer, certificate, OCSP responder and first CRL.

        `permitted` and `excluded` become its name constraints: text such as `dns:example.test`.
        With the same name again it finishes a half-made one; `Conflict("authority.exists")` for
        a finished one. Raises `NotPermitted`, `NotFound("authority")`, `Refused`.
        """
        return authority_creation.create_authority(
            self.outside,
            principal=principal,
            common_name=common_name,
            organization=organization,
            profile=profile,
            parent_id=parent_id,
            algorithm=algorithm,
            now=now,
            permitted=permitted,
            excluded=excluded,
        )

    def set_default_authority(self, *, principal: Principal, authority_id: UUID) -> None:
        """Let the principal's namespace issue from this authority when a request names none."""
        namespaces.set_default_authority(principal, authority_id)

    @use_case("publish_crl")
    def publish_crl(self, *, authority_id: UUID, now: datetime) -> PublishedCRL:
        """Sign and store a new full CRL; raises `NotFound("authority")`."""
        return crl_publishing.publish_crl(self.outside, authority_id=authority_id, now=now)

    @use_case("publish_due_crls")
    def publish_due_crls(self, *, now: datetime) -> int:
        """Publish a CRL for each authority whose last one is past half of its time."""
        return crl_publishing.publish_due_crls(self.outside, now=now)

    @use_case("drop_old_crls")
    def drop_old_crls(self) -> int:
        """Delete all but the newest ten CRLs of each authority; return how many."""
        return crl_publishing.drop_old_crls()

    @use_case("renew_ocsp_responders")
    def renew_ocsp_responders(self, *, now: datetime) -> int:
        """Give each authority a fresh responder certificate when its last third has begun."""
        return ocsp_responders.renew_ocsp_responders(self.outside, now=now)

    @use_case("reconcile_granted")
    def reconcile_granted(self, *, now: datetime) -> int:
        """Finish requests within a grant that were left open for five minutes."""
        return granted_requests.reconcile_granted(self.outside, now=now)

    @use_case("reconcile_intents")
    def reconcile_intents(self, *, now: datetime) -> int:
        """Finish or abandon each intent that has been open for a minute; return how many."""
        return reconciliation.reconcile_intents(self.outside, now=now)

    @use_case("relay_outbox")
    def relay_outbox(self, *, now: datetime) -> int:
        """Send what waits in the outbox to the event stream, oldest first; return how many."""
        return relaying.relay_outbox(self.outside, now=now)

    @use_case("deliver_to_inventory")
    def deliver_to_inventory(self) -> int:
        """Deliver what waits to PeSequel's inventory, in order; return how many outbox rows."""
        return inventory_delivery.deliver_to_inventory(self.outside)

    @use_case("rebuild_inventory")
    def rebuild_inventory(self) -> int:
        """Empty the inventory and deliver every event again; return how many outbox rows."""
        return inventory_delivery.rebuild_inventory(self.outside)

    @use_case("announce_expiring")
    def announce_expiring(self, *, now: datetime) -> int:
        """Announce each certificate that ends in 30, 14, 7 and 1 days, once each."""
        return expiry.announce_expiring(now=now)

    @use_case("renew_gateway_certificate")
    def renew_gateway_certificate(self, *, now: datetime) -> bool:
        """Write a new gateway certificate when there is none or two thirds have passed."""
        return gateway_certificate.renew_gateway_certificate(self.outside, now=now)

    @use_case("create_token")
    def create_token(
        self,
        *,
        principal: Principal,
        name: str,
        scopes: list[str] | tuple[str, ...] | frozenset[str],
        expires_at: datetime | None,
        now: datetime,
    ) -> NewToken:
        """Create an API token with at most the principal's own permissions.

        Without `expires_at` it lives 90 days; at most a year. Raises `NotPermitted`, and
        `Conflict` (token.scope, token.expiry, token.name).
        """
        return tokens.create_token(
            principal=principal, name=name, scopes=scopes, expires_at=expires_at, now=now
        )

    @use_case("revoke_token")
    def revoke_token(self, *, principal: Principal, token_id: UUID, now: datetime) -> None:
        """Revoke a token at once; a second time changes nothing. Raises `NotFound("token")`."""
        tokens.revoke_token(principal=principal, token_id=token_id, now=now)

    def authenticate_token(self, token: str, now: datetime, request_id: str = "") -> Principal:
        """Return the token's principal; raises `Unauthenticated` with the reason."""
        return tokens.authenticate_token(token, now, request_id)

    def principal_of_bearer(self, token: str, *, now: datetime, request_id: str = "") -> Principal:
        """Return the principal of an API token or a JWT, ours or the sign-in provider's.

        Raises `Unauthenticated` with the reason, `Conflict("namespace.unknown")`, and
        `ServiceUnavailable` while the provider's keys cannot be had.
        """
        return callers.principal_of_bearer(self.outside, token, now=now, request_id=request_id)

    def create_jwt(
        self,
        *,
        principal: Principal,
        name: str,
        scopes: list[str] | tuple[str, ...] | frozenset[str],
        expires_at: datetime | None,
        now: datetime,
    ) -> NewToken:
        """Create a signed token (JWT) that other services check without asking.

        `data:read` makes it good for the data API, every other scope for this one. Without
        `expires_at` it lives an hour; at most a day. Raises as `create_token`, and
        `ServiceUnavailable` without a signing key.
        """
        return jwt_tokens.create_jwt(
            self.outside,
            principal=principal,
            name=name,
            scopes=scopes,
            expires_at=expires_at,
            now=now,
        )

    def mint_on_behalf(self, *, principal: Principal, audience: str, now: datetime) -> str:
        """Return a token of 60 seconds that lets the portal call a service as this person."""
        return jwt_tokens.mint_on_behalf(
            self.outside, principal=principal, audience=audience, now=now
        )

    def token_jwks(self, *, now: datetime) -> bytes:
        """Return the JWK set (RFC 7517) of our token keys; raises `ServiceUnavailable`."""
        return load_token_keys(self.outside.token_key_file, now).jwks

    def token_key_pems(self, *, now: datetime) -> tuple[str, ...]:
        """Return the private token keys, for the OIDC provider; raises `ServiceUnavailable`."""
        return load_token_keys(self.outside.token_key_file, now).pems

    def create_oidc_client(
        self,
        *,
        name: str,
        redirect_uris: list[str],
        audiences: list[str],
        public: bool,
        now: datetime,
    ) -> oidc_clients.NewClient:
        """Register a program at which people sign in by us; its secret is returned this once.

        Raises `Conflict` for what cannot be, also where people sign in at Keycloak.
        """
        return oidc_clients.create_client(
            self.outside,
            name=name,
            redirect_uris=redirect_uris,
            audiences=audiences,
            public=public,
            now=now,
        )

    def verify_sign_in(self, *, access_token: str, id_token: str, now: datetime) -> Caller:
        """Return who signed in at the provider; raises `Unauthenticated`, `ServiceUnavailable`."""
        return sign_in.verify_sign_in(
            self.outside, access_token=access_token, id_token=id_token, now=now
        )

    def admit(self, caller: Caller, *, now: datetime) -> sign_in.SignedIn:
        """Bring a person in step with the provider; raises `NotFound("namespace")`."""
        return sign_in.admit(caller, now=now)

    def remember_sign_in(
        self, *, session_key: str, caller: Caller, now: datetime, lasts: timedelta
    ) -> None:
        """Note on which sign-in this session hangs."""
        sign_in.remember(session_key=session_key, caller=caller, now=now, lasts=lasts)

    def end_sign_ins(self, *, logout_token: str, now: datetime) -> int:
        """End the sessions that a logout token names; raises `Unauthenticated`."""
        return sign_in.end_sign_ins(self.outside, logout_token=logout_token, now=now)

    def sign_out_url(self, *, id_token: str) -> str:
        """Return where a browser ends its session at the provider."""
        return sign_in.sign_out_url(self.outside, id_token=id_token)

    def principal_of_user(
        self, *, user_id: int, namespace_id: UUID | None = None, request_id: str = ""
    ) -> Principal:
        """Return a signed-in person's principal; raises `NotPermitted("namespace:member")`."""
        return principal_of_user(user_id=user_id, namespace_id=namespace_id, request_id=request_id)

    @use_case("create_namespace")
    def create_namespace(self, *, slug: str, name: str, now: datetime) -> UUID:
        """Create a namespace with profiles and a grant on the shared issuing authority."""
        return namespaces.create_namespace(slug=slug, name=name, now=now)

    @use_case("create_user")
    def create_user(
        self,
        *,
        username: str,
        email: str,
        roles: list[str],
        namespace: str,
        now: datetime,
        password: str | None = None,
    ) -> str:
        """Create a person and return the one-time password that must be changed."""
        return people.create_user(
            username=username,
            email=email,
            roles=roles,
            namespace=namespace,
            now=now,
            password=password,
        )

    @use_case("reset_password")
    def reset_password(self, *, username: str, now: datetime) -> str:
        """Give a person a new one-time password and return it; raises `NotFound("user")`."""
        return people.reset_password(username=username, now=now)

    @use_case("bootstrap")
    def bootstrap(self, *, now: datetime) -> bootstrapping.Bootstrapped:
        """Make the first start's content; whatever is there already stays as it is."""
        return bootstrapping.bootstrap(self.outside, now=now)

    @use_case("rotate_cli_token")
    def rotate_cli_token(self, *, now: datetime) -> int:
        """Give the command on this machine another token; return how many were revoked for it.

        Raises `NotFound` without a namespace or a folder of secrets; cut off, it is done again.
        """
        return cli_token.rotate_cli_token(self.outside, now=now)
