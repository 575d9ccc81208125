"""The shapes of what is sent and answered, for the OpenAPI document.

What comes is checked by `reading.Fields` and by the services; these say the same to clients.
"""

from rest_framework import serializers as s

STATES = ["running", "completed", "failed", "cancelled"]
BOXES = ["all", "mine", "group", "overdue"]


class Problem(s.Serializer[object]):
    """A problem document (RFC 9457)."""

    type = s.CharField()
    title = s.CharField()
    status = s.IntegerField()
    detail = s.CharField()
    code = s.CharField()
    instance = s.CharField()
    reference = s.CharField()
    errors = s.ListField(child=s.DictField(), required=False)  # type: ignore[assignment]  # The base class has the name.


class DeployDiagram(s.Serializer[object]):
    """A bundle of files by name: .bpmn and .dmn."""

    files = s.DictField(child=s.CharField())


class DiagramVersion(s.Serializer[object]):
    """One version of a diagram; `elements` tells each element's kind and name."""

    key = s.CharField()
    number = s.IntegerField()
    name = s.CharField()
    shared = s.BooleanField()
    sha256 = s.CharField()
    files = s.ListField(child=s.CharField())
    form = s.DictField(allow_null=True)
    starters = s.ListField(child=s.CharField())
    elements = s.DictField()
    deployed_by = s.CharField()
    deployed_at = s.DateTimeField()


class Diagrams(s.Serializer[object]):
    """A list of diagrams."""

    results = DiagramVersion(many=True)


class StartProcess(s.Serializer[object]):
    """What starts a process; `data` fits the diagram's own form, where it has one."""

    diagram = s.CharField(max_length=100)
    version = s.IntegerField(required=False, min_value=1)
    business_key = s.CharField(required=False, max_length=200)
    data = s.DictField(required=False)  # type: ignore[assignment]  # The base class has the name.


class Process(s.Serializer[object]):
    """One process."""

    id = s.UUIDField()
    diagram = s.CharField()
    version = s.IntegerField()
    name = s.CharField()
    title = s.CharField()
    business_key = s.CharField()
    state = s.ChoiceField(STATES)
    outcome = s.CharField()
    incident = s.DictField(allow_null=True)
    started_by = s.CharField()
    started_by_name = s.CharField()
    started_at = s.DateTimeField()
    ended_at = s.DateTimeField(allow_null=True)
    next_due_at = s.DateTimeField(allow_null=True)


class Place(s.Serializer[object]):
    """An element by its id and name."""

    element = s.CharField()
    name = s.CharField()


class ProcessDetail(Process):
    """One process with its data, where its tokens stand, and what they passed."""

    data = s.DictField()  # type: ignore[assignment]  # The base class has the name.
    places = Place(many=True)
    path = Place(many=True)
    sha256 = s.CharField()
    picture = s.URLField()


class Processes(s.Serializer[object]):
    """A page of processes."""

    next = s.CharField(allow_null=True)
    results = Process(many=True)


class HistoryEntry(s.Serializer[object]):
    """One line of a process's history."""

    at = s.DateTimeField()
    kind = s.CharField()
    element = s.CharField()
    element_name = s.CharField()
    actor = s.CharField()
    actor_name = s.CharField()
    data = s.DictField()  # type: ignore[assignment]  # The base class has the name.


class History(s.Serializer[object]):
    """A process's history, oldest first."""

    results = HistoryEntry(many=True)


class Reason(s.Serializer[object]):
    """Why."""

    reason = s.CharField(max_length=500)


class Migration(s.Serializer[object]):
    """The version to move to; with `check`, nothing is changed."""

    version = s.IntegerField(min_value=1)
    check_only = s.BooleanField(required=False)


class MigrationResult(s.Serializer[object]):
    """Whether the process can move, or has moved, and why it cannot."""

    possible = s.BooleanField()
    moved = s.BooleanField()
    reasons = s.ListField(child=s.CharField())


class Task(s.Serializer[object]):
    """One human task; `form` is the JSON Schema of its decision."""

    id = s.UUIDField()
    process = s.UUIDField()
    process_title = s.CharField()
    diagram = s.CharField()
    version = s.IntegerField()
    element = s.CharField()
    name = s.CharField()
    title = s.CharField()
    state = s.CharField()
    roles = s.ListField(child=s.CharField())
    assignee = s.CharField(allow_null=True)
    assignee_name = s.CharField()
    may_decide = s.BooleanField()
    data = s.DictField()  # type: ignore[assignment]  # The base class has the name.
    form = s.DictField()
    created_at = s.DateTimeField()
    due_at = s.DateTimeField(allow_null=True)
    completed_at = s.DateTimeField(allow_null=True)
    completed_by = s.CharField(allow_null=True)
    completed_by_name = s.CharField()
    decision = s.DictField(allow_null=True)


class Tasks(s.Serializer[object]):
    """A page of tasks."""

    next = s.CharField(allow_null=True)
    results = Task(many=True)


class Decision(s.Serializer[object]):
    """The values of the task's form."""

    values = s.DictField()


class Decided(s.Serializer[object]):
    """The process that went on."""

    process = s.UUIDField()


class Delegation(s.Serializer[object]):
    """To whom a task is handed over; without `to`, back to the group."""

    to = s.CharField(required=False, max_length=128)
    to_name = s.CharField(required=False, max_length=200)
    reason = s.CharField(max_length=500)


class Message(s.Serializer[object]):
    """A message for the process with this key; the same Idempotency-Key again changes nothing."""

    name = s.CharField(max_length=100)
    business_key = s.CharField(max_length=200)
    payload = s.DictField(required=False)
