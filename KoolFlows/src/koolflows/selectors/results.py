"""What selectors return."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """A page of a list, and the cursor of the next one."""

    items: list[T]
    next_cursor: str | None


@dataclass(frozen=True)
class DiagramVersion:
    """One version of a diagram."""

    key: str
    number: int
    name: str
    is_shared: bool
    sha256: str
    files: Mapping[str, str]
    facts: Mapping[str, Any]
    deployed_by: str
    deployed_at: datetime


@dataclass(frozen=True)
class Process:
    """One process, as lists show it."""

    id: UUID
    key: str
    version: int
    name: str
    title: str
    business_key: str
    state: str
    outcome: str
    incident_code: str
    incident_detail: str
    started_by: str
    started_by_name: str
    started_at: datetime
    ended_at: datetime | None
    next_due_at: datetime | None


@dataclass(frozen=True)
class ProcessDetail(Process):
    """One process with its data, its tokens' places and the path that they took."""

    data: Mapping[str, Any]
    places: list[str]
    path: list[str]
    files: Mapping[str, str]
    facts: Mapping[str, Any]
    sha256: str


@dataclass(frozen=True)
class Task:
    """One human task; `form` is its JSON Schema."""

    id: UUID
    process_id: UUID
    process_title: str
    key: str
    version: int
    element: str
    name: str
    title: str
    state: str
    roles: list[str]
    assignee: str | None
    assignee_name: str
    may_decide: bool
    data: Mapping[str, Any]
    form: Mapping[str, Any]
    created_at: datetime
    due_at: datetime | None
    completed_at: datetime | None
    completed_by: str | None
    completed_by_name: str
    decision: Mapping[str, Any] | None


@dataclass(frozen=True)
class HistoryEntry:
    """One line of a process's history."""

    at: datetime
    kind: str
    element: str
    element_name: str
    actor: str
    actor_name: str
    data: Mapping[str, Any]
