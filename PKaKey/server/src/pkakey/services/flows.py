"""The use cases between PKaKey and KoolFlows: what a process lets happen, and asking it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pkakey.services import (
    approved,
    authority_suspension,
    flows_tokens,
    grants,
    profile_changes,
    to_flows,
)
from pkakey.services.closing import Allowed
from pkakey.services.errors import ServiceUnavailable
from pkakey.services.measuring import use_case
from pkakey.services.outside import Outside
from pkakey.services.principals import Principal, require


@dataclass(frozen=True, slots=True)
class FlowsServices:
    """These use cases, bound to what they need from outside; `services.approved` has the rest."""

    outside: Outside

    @use_case("issue_approved")
    def issue(
        self, *, allowed: Allowed, request_id: UUID, sha256: str, now: datetime
    ) -> dict[str, Any]:
        """Issue what a process of KoolFlows has allowed. See `services.approved`."""
        return approved.issue(
            self.outside, allowed=allowed, request_id=request_id, sha256=sha256, now=now
        )

    @use_case("refuse_request")
    def refuse(
        self, *, allowed: Allowed, request_id: UUID, sha256: str, reason: str,
        now: datetime,
    ) -> dict[str, Any]:  # fmt: skip
        """Close a request that a process has refused."""
        return approved.refuse(
            allowed=allowed, request_id=request_id, sha256=sha256, reason=reason, now=now
        )

    @use_case("revoke_allowed")
    def revoke(
        self, *, allowed: Allowed, serial_number: str, reason: str, now: datetime
    ) -> dict[str, Any]:
        """Revoke a certificate as a process of KoolFlows has allowed."""
        return approved.revoke(
            self.outside, allowed=allowed, serial_number=serial_number, reason=reason, now=now
        )

    @use_case("renew_allowed")
    def renew(
        self, *, allowed: Allowed, serial_number: str, key: str, now: datetime
    ) -> dict[str, Any]:
        """Renew a certificate as a process of KoolFlows has allowed."""
        return approved.renew(
            self.outside, allowed=allowed, serial_number=serial_number, key=key, now=now
        )

    @use_case("grant_allowed")
    def grant(
        self, *, allowed: Allowed, team: str, pattern: str, profile: str, until: datetime,
        now: datetime,
    ) -> dict[str, Any]:  # fmt: skip
        """Record a grant that a process of KoolFlows has allowed. See `services.grants`."""
        return grants.grant(
            principal=approved.flows_principal(allowed.namespace), allowed=allowed,
            asked=grants.Asked(team, pattern, profile, until), now=now,
        )  # fmt: skip

    @use_case("change_profile")
    def change_profile(
        self, *, allowed: Allowed, name: str, document: str, now: datetime
    ) -> dict[str, Any]:
        """Publish a profile's next version, decided on by people. See `profile_changes`."""
        return profile_changes.change_profile(
            principal=approved.flows_principal(allowed.namespace), allowed=allowed,
            name=name, document=document, now=now,
        )  # fmt: skip

    @use_case("act_on_authority")
    def act_on_authority(
        self, *, allowed: Allowed, act: str, authority_id: UUID, now: datetime
    ) -> dict[str, Any]:
        """Activate or suspend an authority, as its key holders decided."""
        return authority_suspension.act_on_authority(
            principal=approved.flows_principal(allowed.namespace), allowed=allowed, act=act,
            authority_id=authority_id, now=now,
        )  # fmt: skip

    @use_case("withdraw_grant")
    def withdraw(self, *, principal: Principal, grant_id: UUID, reason: str, now: datetime) -> None:
        """End a grant before its date; later requests need people again."""
        grants.withdraw(principal=principal, grant_id=grant_id, reason=reason, now=now)

    @use_case("ask_for_grant")
    def ask_for_grant(
        self, *, principal: Principal, asked: grants.Asked, purpose: str, key: str, now: datetime
    ) -> to_flows.Answer:
        """Begin the process that decides on a grant; the same key again gets the same process.

        Raises as `grants.require_possible`, and `ServiceUnavailable("koolflows")`.
        """
        require(principal, "flows:start")
        grants.require_possible(principal, asked, now)
        data = {
            "team": asked.team, "pattern": asked.pattern, "profile": asked.profile,
            "until": asked.until.isoformat(), "purpose": purpose,
        }  # fmt: skip
        body = {"diagram": grants.DIAGRAM, "data": data}
        return self.ask(
            principal=principal, method="POST", path="processes/", body=body, key=key, now=now
        )

    def ask(
        self,
        *,
        principal: Principal,
        method: str,
        path: str,
        now: datetime,
        body: Mapping[str, Any] | None = None,
        key: str = "",
    ) -> to_flows.Answer:
        """Ask KoolFlows in this person's name; raises `ServiceUnavailable("koolflows")`."""
        if self.outside.flows is None:
            raise ServiceUnavailable("koolflows", "This platform has no KoolFlows.")
        return self.outside.flows.call(
            method,
            path,
            token=flows_tokens.mint_for_flows(self.outside, principal=principal, now=now),
            body=body,
            key=key,
            request_id=principal.request_id,
        )
