"""Deploying a diagram: checked, numbered, and never changed afterwards."""

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from django.db import IntegrityError, connection

from koolflows.engine.reading import Diagram, read
from koolflows.selectors.versions import latest
from koolflows.store.context import SHARED, Principal, acting_as, require, system
from koolflows.store.definitions.models import Version
from koolflows.store.errors import Conflict, NotFound

__all__ = ["deploy", "deploy_shipped"]


def deploy(
    *, principal: Principal, files: Mapping[str, bytes], now: datetime
) -> tuple[Version, bool]:
    """Store a bundle as its diagram's next version; return it and whether it is new.

    The same files again are the same version. Raises `NotPermitted`, `DiagramRefused`, and
    `Conflict` when another deployment of the diagram came first.
    """
    require(principal, "flows:deploy")
    with acting_as(principal):
        diagram = read(files, resolve=lambda key: _files_of(key, principal.namespace))
        return _store(diagram, principal, now)


def deploy_shipped(folder: Path, *, now: datetime) -> list[str]:
    """Deploy the diagrams of a folder for every namespace; return the keys of new versions.

    Each .bpmn file is a bundle, with the decisions that it names from the same folder.
    """
    principal = system(SHARED)
    decisions = {file.name: file.read_bytes() for file in sorted(folder.glob("*.dmn"))}
    waiting = {file.name: file.read_bytes() for file in sorted(folder.glob("*.bpmn"))}
    new = []
    while waiting:
        # What others call comes first, so that they find it deployed.
        keys = {Path(name).stem for name in waiting}
        ready = {
            name: content
            for name, content in waiting.items()
            if not any(f'calledElement="{key}"'.encode() in content for key in keys)
        }
        for name, content in list((ready or waiting).items()):
            used = {
                table: text
                for table, text in decisions.items()
                if f">{Path(table).stem}<".encode() in content
            }
            version, is_new = deploy(principal=principal, files={name: content, **used}, now=now)
            new += [version.key] if is_new else []
            waiting.pop(name)
    return new


def _files_of(key: str, namespace: str) -> Mapping[str, str] | None:
    try:
        files: Mapping[str, str] = latest(key, namespace).files
    except NotFound:
        return None
    return files


def _store(diagram: Diagram, principal: Principal, now: datetime) -> tuple[Version, bool]:
    digest = sha256(json.dumps(diagram.files, sort_keys=True).encode()).hexdigest()
    with connection.cursor() as cursor:
        # One deployment of a diagram at a time, so that each takes its own number.
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"{principal.namespace} {diagram.process_id}"],
        )
    before = (
        Version.objects.filter(namespace=principal.namespace, key=diagram.process_id)
        .order_by("-number")
        .first()
    )
    if before is not None and before.sha256 == digest:
        return before, False
    try:
        version = Version.objects.create(
            namespace=principal.namespace,
            key=diagram.process_id,
            number=before.number + 1 if before else 1,
            name=diagram.name[:200],
            sha256=digest,
            files=dict(diagram.files),
            facts=dict(diagram.facts),
            specification=diagram.compiled.dump(),
            deployed_by=principal.subject,
            deployed_by_name=principal.name,
            deployed_at=now,
        )
    except IntegrityError:
        raise Conflict(
            "diagram.deployed", "Another version was deployed at this moment. Deploy again."
        ) from None
    return version, True
