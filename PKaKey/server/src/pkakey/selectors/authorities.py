"""Authorities: as a list, as a tree, one of them, and the public repository."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from uuid import UUID

from pkakey.selectors.results import AuthorityItem, AuthorityNode
from pkakey.selectors.values import pem
from pkakey.store.authorities.models import CRL, Authority
from pkakey.store.context import Principal, acting_as, require
from pkakey.store.errors import NotFound
from pkakey.store.namespaces.models import Namespace
from pkakey.store.reading import rows


def list_authorities(principal: Principal) -> tuple[AuthorityItem, ...]:
    """Return every active authority that the namespace may see, roots first, then by name."""
    require(principal, "authorities:read")
    with acting_as(principal):
        return _all(principal.namespace_id)


def tree(principal: Principal) -> tuple[AuthorityNode, ...]:
    """Return the roots, each with what is below it."""
    items = list_authorities(principal)
    known = {item.id for item in items}
    below: defaultdict[UUID | None, list[AuthorityItem]] = defaultdict(list)
    for item in items:
        below[item.parent_id if item.parent_id in known else None].append(item)

    def node(item: AuthorityItem) -> AuthorityNode:
        return AuthorityNode(authority=item, children=tuple(map(node, below[item.id])))

    return tuple(map(node, below[None]))


def get_authority(principal: Principal, authority_id: UUID) -> AuthorityItem:
    """Return one authority; raises `NotFound("authority")`."""
    for item in list_authorities(principal):
        if item.id == authority_id:
            return item
    raise NotFound("authority")


def public_repository() -> tuple[AuthorityItem, ...]:
    """Return the authorities of the default namespace, for the page that anybody may read."""
    found = [row for row in rows("SELECT id, slug FROM pki.namespaces()") if row[1] == "default"]
    if not found:
        return ()
    namespace_id, slug = found[0]
    reader = Principal(
        kind="system",
        id="repository",
        name="repository",
        namespace_id=namespace_id,
        namespace=slug,
    )
    with acting_as(reader):
        return _all(namespace_id)


def _all(namespace_id: UUID) -> tuple[AuthorityItem, ...]:
    found = list(Authority.objects.filter(state=Authority.ACTIVE).order_by("name"))
    by_id = {each.id: each for each in found}
    lists = {
        crl.authority_id: crl
        for crl in CRL.objects.defer("der")
        .order_by("authority_id", "-number")
        .distinct("authority_id")
    }
    default = (
        Namespace.objects.filter(id=namespace_id)
        .values_list("default_authority_id", flat=True)
        .first()
    )
    found.sort(key=lambda each: (each.parent_id is not None, each.name))
    return tuple(
        _item(
            each,
            by_id,
            lists.get(each.id),
            is_default=each.id == default,
            is_own=each.namespace_id == namespace_id,
        )
        for each in found
    )


def _item(
    authority: Authority,
    by_id: Mapping[UUID, Authority],
    crl: CRL | None,
    *,
    is_default: bool,
    is_own: bool,
) -> AuthorityItem:
    der = bytes(authority.certificate_der or b"")
    chain: list[str] = []
    above = authority.parent_id
    while above is not None and (parent := by_id.get(above)):
        chain.append(pem(bytes(parent.certificate_der or b"")))
        above = parent.parent_id
    if authority.not_before is None or authority.not_after is None:
        raise AssertionError("An active authority has a certificate.")
    return AuthorityItem(
        id=authority.id,
        name=authority.name,
        subject=authority.subject,
        parent_id=authority.parent_id,
        profile=authority.profile,
        algorithm=authority.algorithm,
        serial_number=authority.serial_number or "",
        sha256=hashlib.sha256(der).hexdigest(),
        not_before=authority.not_before,
        not_after=authority.not_after,
        pem=pem(der),
        der=der,
        chain=chain,
        is_default=is_default,
        is_own=is_own,
        is_suspended=authority.suspended_at is not None,
        crl_number=crl.number if crl else None,
        crl_this_update=crl.this_update if crl else None,
        crl_next_update=crl.next_update if crl else None,
        revoked_count=crl.revoked_count if crl else 0,
    )
