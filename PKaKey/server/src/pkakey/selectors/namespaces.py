"""The namespaces that a person may act in."""

from pkakey.selectors.results import NamespaceItem
from pkakey.store.reading import rows


def namespaces_of_user(user_id: int) -> tuple[NamespaceItem, ...]:
    """Return the namespaces of an active person, by their short names."""
    return tuple(
        NamespaceItem(id=row[0], slug=row[1], name=row[2])
        for row in rows("SELECT * FROM pki.principal_of_user(%s)", [user_id])
    )
