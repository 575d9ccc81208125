"""Walk all namespaces, acting as the platform in each: for background work only."""

from collections.abc import Iterator

from pkakey.services.principals import Principal, system_principal
from pkakey.store.reading import rows


def each_namespace(name: str) -> Iterator[Principal]:
    """Yield a system principal for each namespace; `name` says which part acts."""
    for namespace_id, slug in rows("SELECT id, slug FROM pki.namespaces()"):
        yield system_principal(namespace_id=namespace_id, namespace=slug, name=name)
