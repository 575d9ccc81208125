"""What is answered, from what selectors return."""

from typing import Any

from rest_framework.request import Request
from rest_framework.reverse import reverse

from koolflows.selectors.results import (
    DiagramVersion,
    HistoryEntry,
    Process,
    ProcessDetail,
    Task,
)


def diagram(version: DiagramVersion) -> dict[str, Any]:
    """Return a version of a diagram."""
    own = version.facts["process"]
    return {
        "key": version.key,
        "number": version.number,
        "name": version.name,
        "shared": version.is_shared,
        "sha256": version.sha256,
        "files": sorted(version.files),
        "form": own["form"],
        "starters": own["starters"],
        "elements": version.facts["elements"],
        "deployed_by": version.deployed_by,
        "deployed_at": version.deployed_at.isoformat(),
    }


def process(found: Process) -> dict[str, Any]:
    """Return a process, as lists show it."""
    incident = None
    if found.incident_code:
        incident = {"code": found.incident_code, "detail": found.incident_detail}
    return {
        "id": str(found.id),
        "diagram": found.key,
        "version": found.version,
        "name": found.name,
        "title": found.title,
        "business_key": found.business_key,
        "state": found.state,
        "outcome": found.outcome,
        "incident": incident,
        "started_by": found.started_by,
        "started_by_name": found.started_by_name,
        "started_at": found.started_at.isoformat(),
        "ended_at": found.ended_at.isoformat() if found.ended_at else None,
        "next_due_at": found.next_due_at.isoformat() if found.next_due_at else None,
    }


def detail(found: ProcessDetail, request: Request) -> dict[str, Any]:
    """Return a process with all that is known of it."""

    def places(ids: list[str]) -> list[dict[str, str]]:
        elements = found.facts["elements"]
        return [{"element": one, "name": elements.get(one, {}).get("name", one)} for one in ids]

    address = reverse("rest:process-picture", [found.id], request=request)
    return {
        **process(found),
        "data": found.data,
        "places": places(found.places),
        "path": places(found.path),
        "sha256": found.sha256,
        "picture": address,
    }


def history(entry: HistoryEntry) -> dict[str, Any]:
    """Return a line of a history."""
    return {
        "at": entry.at.isoformat(),
        "kind": entry.kind,
        "element": entry.element,
        "element_name": entry.element_name,
        "actor": entry.actor,
        "actor_name": entry.actor_name,
        "data": entry.data,
    }


def task(found: Task) -> dict[str, Any]:
    """Return a human task."""
    return {
        "id": str(found.id),
        "process": str(found.process_id),
        "process_title": found.process_title,
        "diagram": found.key,
        "version": found.version,
        "element": found.element,
        "name": found.name,
        "title": found.title,
        "state": found.state,
        "roles": found.roles,
        "assignee": found.assignee,
        "assignee_name": found.assignee_name,
        "may_decide": found.may_decide,
        "data": found.data,
        "form": found.form,
        "created_at": found.created_at.isoformat(),
        "due_at": found.due_at.isoformat() if found.due_at else None,
        "completed_at": found.completed_at.isoformat() if found.completed_at else None,
        "completed_by": found.completed_by,
        "completed_by_name": found.completed_by_name,
        "decision": found.decision,
    }
