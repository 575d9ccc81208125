"""Authorities and profiles as the hot path needs them, remembered in the process.

The SQL function that records an intent compares the version that a caller used with the stored one;
`stale` then leads to `forget` and a fresh read. So nothing here needs a life time.
"""

from dataclasses import dataclass
from threading import Lock
from uuid import UUID

from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.issuance import Issuer, Profile

from pkakey.selectors.values import pem
from pkakey.services.errors import NotFound
from pkakey.services.outside import Outside
from pkakey.services.principals import Principal
from pkakey.store.authorities.models import Authority
from pkakey.store.context import acting_as
from pkakey.store.namespaces.models import Namespace
from pkakey.store.profiles.models import Profile as StoredProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuingAuthority:
    """An active authority, ready to issue; `chain` is PEM, its own certificate first."""

    id: UUID
    namespace_id: UUID
    name: str
    version: int
    key_id: UUID
    issuer: Issuer
    chain: tuple[str, ...]
    is_default: bool
    is_suspended: bool


_authorities: dict[tuple[UUID, UUID | None, str], IssuingAuthority] = {}
_profiles: dict[tuple[UUID, str], Profile] = {}
_parsed: dict[str, Profile] = {}
_lock = Lock()


def issuing_authority(
    outside: Outside, principal: Principal, authority_id: UUID | None
) -> IssuingAuthority:
    """Return the named authority, or the namespace's own; raises `NotFound("authority")`."""
    key = (principal.namespace_id, authority_id, outside.status_url)
    known = _authorities.get(key)
    if known is not None:
        return known
    with acting_as(principal):
        wanted = authority_id or (
            Namespace.objects.values_list("default_authority_id", flat=True)
            .filter(id=principal.namespace_id)
            .first()
        )
        path = authority_path(wanted) if wanted else []
    if not path or path[0].state != Authority.ACTIVE:
        raise NotFound("authority")
    found = _ready(outside, path, is_default=authority_id is None)
    with _lock:
        _authorities[key] = found
    return found


def authority_path(authority_id: UUID) -> list[Authority]:
    """Return the authority and those above it, nearest first; empty when it is not visible.

    Must run inside `acting_as`.
    """
    path: list[Authority] = []
    wanted: UUID | None = authority_id
    while wanted is not None:
        found = Authority.objects.filter(id=wanted).first()
        if found is None:
            break
        path.append(found)
        wanted = found.parent_id
    return path


def _ready(outside: Outside, path: list[Authority], *, is_default: bool) -> IssuingAuthority:
    own = path[0]
    certificates = [bytes(each.certificate_der or b"") for each in path]
    return IssuingAuthority(
        id=own.id,
        namespace_id=own.namespace_id,
        name=own.name,
        version=own.version,
        key_id=own.key_id,
        issuer=Issuer.from_certificate_der(
            certificates[0],
            crl_urls=(outside.crl_url(own.id),),
            ocsp_urls=(outside.ocsp_url(),),
            ca_issuer_urls=(outside.ca_issuer_url(own.id),),
            chain_der=tuple(certificates[1:]),
        ),
        chain=tuple(pem(certificate) for certificate in certificates),
        is_default=is_default,
        is_suspended=own.suspended_at is not None,
    )


def current_profile(principal: Principal, name: str) -> Profile:
    """Return the current version of a profile; raises `Refused` (profile.unknown)."""
    key = (principal.namespace_id, name)
    known = _profiles.get(key)
    if known is not None:
        return known
    with acting_as(principal):
        stored = StoredProfile.objects.filter(is_current=True)
        row = stored.filter(name=name).first() if "\x00" not in name else None
        names = list(stored.order_by("name").values_list("name", flat=True)) if not row else []
    if row is None:
        raise Refused(
            Refusal.PROFILE_UNKNOWN,
            f"There is no profile {name[:63]!r}; use one of: {', '.join(names)}.",
        )
    with _lock:
        profile = _parsed.setdefault(row.digest, Profile.from_data(row.data))
        _profiles[key] = profile
    return profile


def forget() -> None:
    """Forget everything that was remembered."""
    with _lock:
        _authorities.clear()
        _profiles.clear()
