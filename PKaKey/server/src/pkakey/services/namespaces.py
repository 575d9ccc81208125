"""Namespaces: each with its own profiles, and a shared issuing authority by a grant."""

import re
from datetime import datetime
from uuid import UUID, uuid4

from pkakey_engine.issuance import Profile as EngineProfile
from pkakey_engine.issuance import shipped_profiles

from pkakey.services.errors import Conflict
from pkakey.services.issuing_authority import authority_path, forget
from pkakey.services.namespace_walk import each_namespace
from pkakey.services.principals import Principal, require, system_principal
from pkakey.services.records import Told, record
from pkakey.store.authorities.models import AuthorityGrant
from pkakey.store.context import acting_as
from pkakey.store.namespaces.models import Namespace
from pkakey.store.profiles.models import Profile

DEFAULT = "default"
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def create_namespace(*, slug: str, name: str, now: datetime) -> UUID:
    """Create a namespace; it issues from the default namespace's issuing authority.

    Raises `Conflict("namespace.exists")` and `Conflict("namespace.name")`.
    """
    if not _SLUG.fullmatch(slug):
        raise Conflict(
            "namespace.name",
            f"{slug[:63]!r} is no namespace's name: 1 to 63 lower-case letters, digits and "
            "hyphens, with a letter or digit at both ends.",
        )
    known = {principal.namespace: principal for principal in each_namespace("namespaces")}
    if slug in known:
        raise Conflict("namespace.exists", f"There is a namespace {slug!r} already.")
    principal = system_principal(namespace_id=uuid4(), namespace=slug, name="namespaces")
    with acting_as(principal):
        Namespace.objects.create(id=principal.namespace_id, slug=slug, name=name, created_at=now)
        record(
            principal=principal,
            now=now,
            action="namespace.created",
            target=slug,
            details={"name": name},
        )
    ensure_profiles(principal, now=now)
    if DEFAULT in known:
        _share_default_authority(known[DEFAULT], principal, now)
    return principal.namespace_id


def ensure_profiles(principal: Principal, *, now: datetime) -> None:
    """Store each shipped profile whose version the namespace lacks, as the current one."""
    with acting_as(principal):
        for profile in shipped_profiles():
            own = Profile.objects.filter(namespace_id=principal.namespace_id, name=profile.name)
            if own.filter(version__gte=profile.version).exists():
                continue
            publish_profile(principal, profile, now=now)
    forget()


def publish_profile(principal: Principal, profile: EngineProfile, *, now: datetime) -> None:
    """Store this version as the current one; must run inside `acting_as`."""
    own = Profile.objects.filter(namespace_id=principal.namespace_id, name=profile.name)
    own.filter(is_current=True).update(is_current=False)
    Profile.objects.create(
        namespace_id=principal.namespace_id,
        name=profile.name,
        version=profile.version,
        digest=profile.digest,
        data=dict(profile.data),
        created_at=now,
    )
    _tell_of_profile(principal, profile, now)


def _tell_of_profile(principal: Principal, profile: EngineProfile, now: datetime) -> None:
    data = dict(profile.data)
    record(
        principal=principal,
        now=now,
        action="profile.published",
        target=profile.name,
        details={"version": profile.version, "digest": profile.digest},
        told=Told(
            type="profile.published",
            payload={
                "name": profile.name,
                "version": profile.version,
                "title": data["title"],
                "description": data["description"],
                "kind": data["kind"],
                "digest": profile.digest,
                "rules": data,
            },
        ),
    )


def set_default_authority(principal: Principal, authority_id: UUID) -> None:
    """Let the namespace issue from this authority when a request names none."""
    require(principal, "authorities:manage")
    with acting_as(principal):
        Namespace.objects.filter(id=principal.namespace_id).update(
            default_authority_id=authority_id
        )
    forget()


def _share_default_authority(owner: Principal, guest: Principal, now: datetime) -> None:
    with acting_as(owner):
        shared = Namespace.objects.values_list("default_authority_id", flat=True).get(
            id=owner.namespace_id
        )
        # The whole path: a guest hands out the chain up to the root.
        for authority in authority_path(shared) if shared else []:
            _, is_new = AuthorityGrant.objects.get_or_create(
                authority=authority,
                granted_namespace_id=guest.namespace_id,
                defaults={"namespace_id": owner.namespace_id, "created_at": now},
            )
            if is_new:
                record(
                    principal=owner,
                    now=now,
                    action="authority.granted",
                    target=str(authority.id),
                    details={"granted_namespace": guest.namespace},
                    told=Told(
                        type="authority.granted",
                        payload={
                            "authority_id": str(authority.id),
                            "granted_namespace": guest.namespace,
                        },
                    ),
                )
    if shared:
        set_default_authority(guest, shared)
