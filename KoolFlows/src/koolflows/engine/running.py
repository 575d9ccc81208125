"""One process, moved one input at a time: no database, no clock, no service is touched here.

`Run` is made by `start` or `load`, takes one input (`complete`, `finish`, `fail`, `deliver`, or
nothing for timers), and says afterwards what it waits for and which steps it took. Whoever calls
keeps the outcome whole or not at all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from SpiffWorkflow.bpmn import BpmnEvent, BpmnWorkflow
from SpiffWorkflow.bpmn.specs.defaults import BoundaryEvent
from SpiffWorkflow.bpmn.specs.event_definitions.multiple import MultipleEventDefinition
from SpiffWorkflow.exceptions import SpiffWorkflowException
from SpiffWorkflow.spiff.specs.defaults import UserTask
from SpiffWorkflow.spiff.specs.event_definitions import (
    ErrorEventDefinition,
    MessageEventDefinition,
)
from SpiffWorkflow.util.task import TaskState

from koolflows.engine.errors import FlowError, StepFailed
from koolflows.engine.expressions import ScriptEngine
from koolflows.engine.forms import check_data
from koolflows.engine.specs import Compiled, WaitingServiceTask, restored, state_text
from koolflows.engine.timers import next_due

MAX_STEPS: Final = 500
MAX_TASKS: Final = 5000
MAX_STATE_CHARACTERS: Final = 1024 * 1024


@dataclass(frozen=True)
class WaitingTask:
    """A token that stands on a task: who or what has to act."""

    id: UUID
    element: str
    data: Mapping[str, Any]
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One element that a token left, in order."""

    element: str
    at: datetime


@dataclass(frozen=True)
class Thrown:
    """A message that the process sent to others."""

    name: str
    payload: Mapping[str, Any]


class Run:
    """A process between two saved states."""

    def __init__(self, workflow: Any, now: datetime) -> None:  # noqa: ANN401  # Spiff's workflow.
        self._workflow = workflow
        self._now = now
        self._count = 0
        workflow.script_engine = ScriptEngine(now)
        self._before = {task.id for task in self._completed()}
        self.steps: list[Step] = []

    @classmethod
    def start(cls, compiled: Compiled, data: Mapping[str, Any], now: datetime) -> "Run":
        """Return a new process with this data, moved until it waits. Raises `StepFailed`."""
        workflow = BpmnWorkflow(compiled.spec, compiled.subprocess_specs)
        workflow.task_tree.data.update(check_data(data))
        run = cls(workflow, now)
        run._advance()
        return run

    @classmethod
    def load(cls, compiled: Compiled, state: str, now: datetime) -> "Run":
        """Return the process of a saved state."""
        return cls(restored(compiled, state), now)

    def complete(self, task_id: UUID, variable: str, values: Mapping[str, Any]) -> None:
        """Complete a human task with its form's values under its variable."""
        task = self._task(task_id, TaskState.READY)
        self._guarded(lambda: self._complete(task, variable, check_data(values), run=True))

    def finish(self, task_id: UUID, result: Mapping[str, Any]) -> None:
        """Complete a service task with its result."""
        task = self._task(task_id, TaskState.STARTED)
        variable = task.task_spec.result_variable
        self._guarded(lambda: self._complete(task, variable, check_data(result), run=False))

    def fail(self, task_id: UUID, code: str, detail: str) -> bool:
        """Tell that a service task cannot be done; return whether the diagram handles it."""
        task = self._task(task_id, TaskState.STARTED)
        event = BpmnEvent(
            ErrorEventDefinition(code, code=code),
            payload={"code": code, "detail": detail},
            target=task.workflow,
        )
        self._guarded(lambda: self._workflow.catch(event))
        # An instance of a repeated task is not cancelled but dropped with its siblings.
        return task_id not in {waiting.id for waiting in self.services()}

    def deliver(self, name: str, payload: Mapping[str, Any]) -> bool:
        """Deliver a message; return whether the process waited for it."""
        if name not in self.messages():
            return False
        event = BpmnEvent(MessageEventDefinition(name), payload=check_data(payload))
        self._guarded(lambda: self._workflow.catch(event))
        return True

    def tick(self) -> None:
        """Fire what is due."""
        self._guarded(lambda: None)

    def humans(self) -> list[WaitingTask]:
        """Return the human tasks that wait."""
        return [
            _waiting(task)
            for task in self._workflow.get_tasks(state=TaskState.READY)
            if isinstance(task.task_spec, UserTask)
        ]

    def services(self) -> list[WaitingTask]:
        """Return the service tasks that wait for the worker."""
        return [
            _waiting(task)
            for task in self._workflow.get_tasks(state=TaskState.STARTED)
            if isinstance(task.task_spec, WaitingServiceTask)
        ]

    def messages(self) -> set[str]:
        """Return the names of the messages that it waits for."""
        names: set[str] = set()
        for task in self._workflow.event_manager.tasks.values():
            definition = task.task_spec.event_definition
            inner = (
                definition.event_definitions
                if isinstance(definition, MultipleEventDefinition)
                else [definition]
            )
            names |= {each.name for each in inner if isinstance(each, MessageEventDefinition)}
        return names

    def thrown(self) -> list[Thrown]:
        """Return the messages that it sent since it was loaded, and forget them.

        Raises `StepFailed` for one that carries something other than names and values.
        """
        return [
            Thrown(event.event_definition.name, _carried(event))
            for event in self._workflow.get_events()
            if isinstance(event.event_definition, MessageEventDefinition)
        ]

    def due(self) -> datetime | None:
        """Return when its next timer is due."""
        moments = [next_due(task) for task in self._workflow.event_manager.tasks.values()]
        return min((moment for moment in moments if moment is not None), default=None)

    def places(self) -> list[str]:
        """Return the ids of the elements on which a token stands."""
        waiting = TaskState.READY | TaskState.WAITING | TaskState.STARTED
        found = (task.task_spec for task in self._workflow.get_tasks(state=waiting))
        # An event on a boundary only listens: the token stands on what it is attached to.
        return sorted(
            {spec.bpmn_id for spec in found if spec.bpmn_id and not isinstance(spec, BoundaryEvent)}
        )

    def path(self) -> list[str]:
        """Return the ids of the elements that tokens have left, in order."""
        return [task.task_spec.bpmn_id for task in self._completed()]

    def evaluate(self, expression: str, data: Mapping[str, Any]) -> Any:  # noqa: ANN401  # JSON.
        """Return the value of one of the diagram's own expressions."""
        return self._workflow.script_engine.environment.evaluate(expression, dict(data))

    @property
    def data(self) -> Mapping[str, Any]:
        """The data at the process's end, or at its start while it runs."""
        found: Mapping[str, Any] = self._workflow.data or self._workflow.task_tree.data
        return found

    @property
    def is_over(self) -> bool:
        """Whether no token is left."""
        return bool(self._workflow.is_completed())

    def outcome(self) -> str:
        """Return the id of the end event that was reached last; empty while it runs."""
        ends = [
            task.task_spec.bpmn_id
            for task in self._completed()
            if type(task.task_spec).__name__ == "EndEvent" and task.workflow is self._workflow
        ]
        return ends[-1] if ends and self.is_over else ""

    def dump(self) -> str:
        """Return the state as text; raises `StepFailed` when it outgrew its room."""
        text = state_text(self._workflow)
        if len(text) > MAX_STATE_CHARACTERS:
            raise StepFailed(
                "flow.too-large",
                f"The process's state has {len(text)} characters; {MAX_STATE_CHARACTERS} are kept.",
            )
        return text

    def _task(self, task_id: UUID, state: int) -> Any:  # noqa: ANN401  # Spiff's task.
        try:
            task = self._workflow.get_task_from_id(task_id)
        except SpiffWorkflowException:
            task = None
        if task is None or task.state != state:
            raise StepFailed("task.gone", "This task does not wait any more.")
        return task

    def _complete(self, task: Any, variable: str, values: dict[str, Any], *, run: bool) -> None:  # noqa: ANN401
        task.data[variable] = values
        if run:
            task.run()
        else:
            task.complete()

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except FlowError:
            raise
        except SpiffWorkflowException as error:
            raise _failed(error) from error
        self._advance()

    def _advance(self) -> None:
        try:
            self._workflow.do_engine_steps(will_complete_task=self._bound)
            # A timer that fired has moved a token: go on until nothing moves.
            while any(
                not task.task_spec.manual
                for task in self._workflow.get_tasks(state=TaskState.READY)
            ):
                self._workflow.do_engine_steps(will_complete_task=self._bound)
        except FlowError:
            raise
        except SpiffWorkflowException as error:
            raise _failed(error) from error
        except RecursionError:
            raise StepFailed("flow.endless", "The process goes round without an end.") from None
        self.steps = [
            Step(
                task.task_spec.bpmn_id,
                datetime.fromtimestamp(task.last_state_change, self._now.tzinfo),
            )
            for task in self._completed()
            if task.id not in self._before
        ]

    def _bound(self, _task: Any) -> None:  # noqa: ANN401  # Spiff's task.
        self._count += 1
        sizes = (
            len(part.tasks) for part in (self._workflow, *self._workflow.subprocesses.values())
        )
        if self._count > MAX_STEPS or sum(sizes) > MAX_TASKS:
            raise StepFailed(
                "flow.endless",
                f"The process took more than {MAX_STEPS} steps without waiting for anything, or "
                f"{MAX_TASKS} in all: its diagram seems to go round without an end.",
            )

    def _completed(self) -> list[Any]:
        found = [
            task
            for task in self._workflow.get_tasks(state=TaskState.COMPLETED)
            if getattr(task.task_spec, "bpmn_id", None)
        ]
        return sorted(found, key=lambda task: task.last_state_change)


def _waiting(task: Any) -> WaitingTask:  # noqa: ANN401  # Spiff's task.
    parameters = task._get_internal_data("parameters", {})  # noqa: SLF001  # Spiff's way to keep it.
    return WaitingTask(task.id, task.task_spec.bpmn_id, task.data, parameters)


def _carried(event: BpmnEvent) -> Mapping[str, Any]:
    payload = {} if event.payload is None else event.payload
    if not isinstance(payload, dict):
        raise StepFailed(
            "message.payload",
            f"The message '{event.event_definition.name}' carries a {type(payload).__name__}; it "
            "carries names and values: {'business_key': ..., ...}.",
        )
    return check_data(payload)


def _failed(error: SpiffWorkflowException) -> StepFailed:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, FlowError):
            return StepFailed(cause.code, cause.detail, element=cause.element)
        # SpiffWorkflow's decision tasks make an error of their own while they handle ours.
        cause = getattr(cause, "exception", None) or cause.__cause__ or cause.__context__
    spec = getattr(error, "task_spec", None)
    return StepFailed(
        "flow.step-failed", str(error)[:300], element=str(getattr(spec, "bpmn_id", "") or "")
    )
