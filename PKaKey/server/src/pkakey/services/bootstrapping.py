"""The first start: namespace, profiles, authorities, gateway certificate, first admin.

Each step looks at what is there, so that a start that was cut off goes on where it stopped.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from pkakey.services.authority_creation import create_authority
from pkakey.services.cli_token import FILE, write_cli_token
from pkakey.services.crl_publishing import publish_due_crls
from pkakey.services.errors import Unauthenticated
from pkakey.services.gateway_certificate import renew_gateway_certificate
from pkakey.services.namespace_walk import each_namespace
from pkakey.services.namespaces import (
    DEFAULT,
    create_namespace,
    ensure_profiles,
    set_default_authority,
)
from pkakey.services.ocsp_responders import renew_ocsp_responders
from pkakey.services.outside import Outside
from pkakey.services.people import ONE_TIME_PASSWORD_BYTES, create_user
from pkakey.services.principals import PERMISSIONS, Principal
from pkakey.services.secret_files import write_file
from pkakey.services.tokens import authenticate_token
from pkakey.store.accounts.models import User
from pkakey.store.authorities.models import Authority
from pkakey.store.context import acting_as

ORGANIZATION = "theDDT"
ROOT = "theDDT Root CA"
ISSUING = "theDDT Issuing CA"
ADMIN = "admin"
ADMIN_ROLES = ["pki-admin", "content-editor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrapped:
    """What the first start made, or found."""

    root_id: UUID
    issuing_id: UUID
    created_admin: bool
    created_token: bool
    renewed_gateway: bool


def bootstrap(outside: Outside, *, now: datetime) -> Bootstrapped:
    """Make what is missing; `services.Services.bootstrap` tells the rest.

    Raises `ServiceUnavailable` when the signer does not answer; start it and call again.
    """
    if not any(principal.namespace == DEFAULT for principal in each_namespace("bootstrap")):
        create_namespace(slug=DEFAULT, name="Default", now=now)
    principal = next(p for p in each_namespace("bootstrap") if p.namespace == DEFAULT)
    for each in each_namespace("bootstrap"):
        ensure_profiles(each, now=now)
    root_id = _ensure_authority(
        outside, principal, name=ROOT, profile="root-ca", parent_id=None, now=now
    )
    issuing_id = _ensure_authority(
        outside, principal, name=ISSUING, profile="issuing-ca", parent_id=root_id, now=now
    )
    set_default_authority(principal, issuing_id)
    renew_ocsp_responders(outside, now=now)
    publish_due_crls(outside, now=now)
    renewed = renew_gateway_certificate(outside, now=now)
    return Bootstrapped(
        root_id=root_id,
        issuing_id=issuing_id,
        created_admin=_ensure_admin(outside, now),
        created_token=_ensure_cli_token(outside, principal, now),
        renewed_gateway=renewed,
    )


def _ensure_authority(
    outside: Outside,
    principal: Principal,
    *,
    name: str,
    profile: str,
    parent_id: UUID | None,
    now: datetime,
) -> UUID:
    with acting_as(principal):
        present = Authority.objects.filter(
            namespace_id=principal.namespace_id, name=name, state=Authority.ACTIVE
        ).first()
    if present is not None:
        return present.id
    return create_authority(
        outside,
        principal=principal,
        common_name=name,
        organization=ORGANIZATION,
        profile=profile,
        parent_id=parent_id,
        algorithm="ecdsa-p384" if parent_id is None else "ecdsa-p256",
        now=now,
    ).id


def _ensure_admin(outside: Outside, now: datetime) -> bool:
    """Create the first admin; the file comes first, so that a crash loses no password."""
    if outside.sign_in is not None:
        return False  # People come from the provider, the first administrator among them.
    if outside.secrets_dir is None or User.objects.filter(username=ADMIN).exists():
        return False
    password = _kept_secret(outside.secrets_dir / "admin-password")
    create_user(
        username=ADMIN,
        email=f"admin@{outside.domain}",
        roles=ADMIN_ROLES,
        namespace=DEFAULT,
        now=now,
        password=password,
    )
    return True


def _kept_secret(file: Path) -> str:
    if not file.exists():
        write_file(file, f"{secrets.token_urlsafe(ONE_TIME_PASSWORD_BYTES)}\n".encode())
    return file.read_text().strip()


def _ensure_cli_token(outside: Outside, principal: Principal, now: datetime) -> bool:
    """Write a token for the command on this machine, unless the one in the file still holds."""
    if outside.secrets_dir is None:
        return False
    file = outside.secrets_dir / FILE
    if file.exists():
        try:
            known = authenticate_token(file.read_text().strip(), now)
        except Unauthenticated:
            pass
        else:
            # A version that knows new permissions gets them.
            if known.scopes >= PERMISSIONS.keys():
                return False
    write_cli_token(file, principal, now=now)
    return True
