"""Deployed diagrams."""

from koolflows.selectors.results import DiagramVersion
from koolflows.store.context import SHARED, Principal, acting_as, require
from koolflows.store.definitions.models import Version
from koolflows.store.errors import NotFound


def list_diagrams(principal: Principal) -> list[DiagramVersion]:
    """Return the newest version of each diagram that may be started here, by key."""
    require(principal, "flows:read")
    with acting_as(principal):
        found = (
            Version.objects.defer("specification", "files")
            .filter(namespace__in=[principal.namespace, SHARED])
            .order_by("key", "-number")
        )
        newest: dict[str, Version] = {}
        for version in found:
            known = newest.get(version.key)
            # A namespace's own diagram comes before the shared one.
            if known is None or (known.namespace == SHARED and version.namespace != SHARED):
                newest[version.key] = version
        return [_result(version, files={}) for version in newest.values()]


def list_versions(principal: Principal, key: str) -> list[DiagramVersion]:
    """Return every version of a diagram, newest first; raises `NotFound`."""
    require(principal, "flows:read")
    with acting_as(principal):
        found = list(
            Version.objects.defer("specification", "files")
            .filter(key=key, namespace__in=[principal.namespace, SHARED])
            .order_by("namespace", "-number")
        )
    own = [version for version in found if version.namespace != SHARED]
    if not found:
        raise NotFound("diagram")
    return [_result(version, files={}) for version in own or found]


def get_version(principal: Principal, key: str, number: int) -> DiagramVersion:
    """Return one version with its files; raises `NotFound`."""
    require(principal, "flows:read")
    with acting_as(principal):
        version = (
            Version.objects.defer("specification")
            .filter(key=key, number=number, namespace__in=[principal.namespace, SHARED])
            # "*" sorts before every name: the own one is last.
            .order_by("-namespace")
            .first()
        )
    if version is None:
        raise NotFound("diagram")
    return _result(version, files=version.files)


def _result(version: Version, files: dict[str, str]) -> DiagramVersion:
    return DiagramVersion(
        key=version.key,
        number=version.number,
        name=version.name,
        is_shared=version.namespace == SHARED,
        sha256=version.sha256,
        files=files,
        facts=version.facts,
        deployed_by=version.deployed_by_name,
        deployed_at=version.deployed_at,
    )
