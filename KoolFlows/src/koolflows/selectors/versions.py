"""Finding a diagram's version, and its specification ready to run."""

from collections import OrderedDict
from threading import Lock
from typing import Final
from uuid import UUID

from koolflows.engine.specs import Compiled
from koolflows.store.context import SHARED
from koolflows.store.definitions.models import Version
from koolflows.store.errors import NotFound

_MOST: Final = 100
# A version never changes, so that what was compiled once stays right.
_compiled: OrderedDict[UUID, Compiled] = OrderedDict()
_lock: Final = Lock()


def latest(key: str, namespace: str, number: int | None = None) -> Version:
    """Return the newest version of a diagram, or the one of this number.

    A namespace's own diagram comes before the shared one of the same key. Raises `NotFound`.
    """
    found = Version.objects.filter(key=key, namespace__in=[namespace, SHARED])
    own = found.filter(namespace=namespace)
    chosen = own if own.exists() else found
    if number is not None:
        chosen = chosen.filter(number=number)
    version = chosen.order_by("-number").first()
    if version is None:
        raise NotFound("diagram")
    return version


def compiled(version_id: UUID) -> Compiled:
    """Return a version's specification, from memory when it was used lately."""
    with _lock:
        known = _compiled.get(version_id)
        if known is not None:
            _compiled.move_to_end(version_id)
            return known
    text = Version.objects.values_list("specification", flat=True).get(pk=version_id)
    fresh = Compiled.load(text)
    with _lock:
        _compiled[version_id] = fresh
        while len(_compiled) > _MOST:
            _compiled.popitem(last=False)
    return fresh
