"""SpiffWorkflow's parser and serialiser, with our service tasks and timers in them."""

import copy
import json
from typing import Any, Final

from SpiffWorkflow.bpmn import BpmnWorkflow
from SpiffWorkflow.bpmn.parser.BpmnParser import full_tag
from SpiffWorkflow.bpmn.serializer.config import (
    CycleTimerEventDefinition,
    DurationTimerEventDefinition,
    TimeDateEventDefinition,
)
from SpiffWorkflow.bpmn.serializer.default.event_definition import (
    TimerConditionalEventDefinitionConverter,
)
from SpiffWorkflow.bpmn.serializer.default.workflow import BpmnWorkflowConverter
from SpiffWorkflow.bpmn.serializer.workflow import BpmnWorkflowSerializer
from SpiffWorkflow.bpmn.specs.defaults import BoundaryEvent, IntermediateCatchEvent
from SpiffWorkflow.bpmn.specs.mixins.multiinstance_task import LoopTask
from SpiffWorkflow.dmn.engine.DMNEngine import DMNEngine
from SpiffWorkflow.dmn.specs.model import HitPolicy
from SpiffWorkflow.spiff.parser.event_parsers import (
    SpiffBoundaryEventParser,
    SpiffIntermediateCatchEventParser,
)
from SpiffWorkflow.spiff.parser.process import VALIDATOR, SpiffBpmnParser
from SpiffWorkflow.spiff.parser.task_spec import ServiceTaskParser, SpiffTaskParser
from SpiffWorkflow.spiff.serializer.config import SPIFF_CONFIG, ServiceTaskConverter
from SpiffWorkflow.spiff.serializer.task_spec import SpiffMultiInstanceConverter
from SpiffWorkflow.spiff.specs.defaults import (
    BusinessRuleTask,
    ParallelMultiInstanceTask,
    SequentialMultiInstanceTask,
    ServiceTask,
)

from koolflows.engine.errors import StepFailed
from koolflows.engine.timers import CycleTimer, DateTimer, DurationTimer

MAX_INSTANCES: Final = 200


class WaitingServiceTask(ServiceTask):
    """A service task that waits: the worker does it, and tells the outcome later."""

    def _execute(self, task: Any) -> None:  # noqa: ANN401  # Spiff's task.
        parameters = {name: found["value"] for name, found in self.evaluate_params(task).items()}
        task._set_internal_data(parameters=parameters)  # noqa: SLF001  # Spiff's way to keep it.
        # None: the task is STARTED, neither done nor failed.


def _bounded(cardinality: Any, task: Any) -> None:  # noqa: ANN401  # Spiff's task.
    if not isinstance(cardinality, int) or not 1 <= cardinality <= MAX_INSTANCES:
        raise StepFailed(
            "instances.bounds",
            f"A repeated task stands 1 to {MAX_INSTANCES} times; {str(cardinality)[:40]} came.",
            element=task.task_spec.bpmn_id or "",
        )


class _Tidy:
    """Keeps one instance's item out of the data that all share, where it would stop the next."""

    def create_child(self, my_task: Any, item: Any, key_or_index: Any = None) -> None:  # noqa: ANN401
        if my_task.internal_data.get("merged"):
            self._forget_item(my_task)
        super().create_child(my_task, item, key_or_index)  # type: ignore[misc]

    def merge_child(self, workflow: Any, child: Any) -> None:  # noqa: ANN401  # Spiff's objects.
        super().merge_child(workflow, child)  # type: ignore[misc]
        self._forget_item(child.parent)

    def _forget_item(self, task: Any) -> None:  # noqa: ANN401  # As above.
        item = getattr(self, "input_item", None)
        if item is not None:
            task.data.pop(item.bpmn_id, None)


class BoundedParallel(_Tidy, ParallelMultiInstanceTask):
    """Several at once, so many at most."""

    def create_children(self, my_task: Any) -> None:  # noqa: ANN401  # Spiff's task.
        """Look at the number before anything is made."""
        _bounded(_count(self, my_task), my_task)
        super().create_children(my_task)


class BoundedSequential(_Tidy, SequentialMultiInstanceTask):
    """One after another, so many at most."""

    def _update_hook(self, my_task: Any) -> Any:  # noqa: ANN401  # As the base class.
        my_task._inherit_data()  # noqa: SLF001  # As the base class does first.
        _bounded(_count(self, my_task), my_task)
        return super()._update_hook(my_task)


def _count(spec: Any, task: Any) -> Any:  # noqa: ANN401  # Spiff's.
    if spec.data_input is not None:
        return len(spec.data_input.get(task))
    return task.workflow.script_engine.evaluate(task, spec.cardinality)


class DecisionEngine(DMNEngine):
    """Decides by a table, and holds UNIQUE to its word: SpiffWorkflow takes the first that fits."""

    def decide(self, task: Any) -> Any:  # noqa: ANN401  # Spiff's task and rules.
        """Return the rules that fit (DMN 1.3 section 8.2.8); raises `StepFailed` for too many."""
        if self.decision_table.hit_policy != HitPolicy.UNIQUE.value:
            return super().decide(task)
        every = copy.copy(self.decision_table)
        every.hit_policy = HitPolicy.COLLECT.value
        rules = DMNEngine(every).decide(task)
        if len(rules) > 1:
            named = ", ".join(repr(rule.id) for rule in rules[:5])
            raise StepFailed(
                "decision.not-unique",
                f"The rules {named} fit at once; the table's hit policy UNIQUE wants one at most.",
                element=task.task_spec.bpmn_id or "",
            )
        return rules


class _Timers:
    """Makes our timers where SpiffWorkflow's parser would make its own."""

    def parse_timer_event(self, event: Any) -> Any:  # noqa: ANN401  # lxml's element.
        found = super().parse_timer_event(event)  # type: ignore[misc]
        kinds = {
            TimeDateEventDefinition: DateTimer,
            DurationTimerEventDefinition: DurationTimer,
            CycleTimerEventDefinition: CycleTimer,
        }
        return kinds[type(found)](found.name, found.expression, description=found.description)


class _Boundary(_Timers, SpiffBoundaryEventParser):
    PARALLEL_MI_CLASS = BoundedParallel
    SEQUENTIAL_MI_CLASS = BoundedSequential


class _Catch(_Timers, SpiffIntermediateCatchEventParser):
    pass


# The loops' classes stand on the parser of each kind of task; this is their common root.
SpiffTaskParser.PARALLEL_MI_CLASS = BoundedParallel
SpiffTaskParser.SEQUENTIAL_MI_CLASS = BoundedSequential


class Parser(SpiffBpmnParser):
    """SpiffWorkflow's parser with its schema validation on."""

    OVERRIDE_PARSER_CLASSES = {  # noqa: RUF012  # As the base class declares it.
        **SpiffBpmnParser.OVERRIDE_PARSER_CLASSES,
        full_tag("serviceTask"): (ServiceTaskParser, WaitingServiceTask),
        full_tag("boundaryEvent"): (_Boundary, BoundaryEvent),
        full_tag("intermediateCatchEvent"): (_Catch, IntermediateCatchEvent),
    }

    def __init__(self) -> None:
        super().__init__(validator=VALIDATOR)


class _StateConverter(BpmnWorkflowConverter):
    """Leaves the specification out of a state: it is the version's, and never changes."""

    def to_dict(self, workflow: Any) -> dict[str, Any]:  # noqa: ANN401  # Spiff's workflow.
        kept = workflow.spec, workflow.subprocess_specs
        workflow.spec, workflow.subprocess_specs = None, {}
        try:
            state: dict[str, Any] = super().to_dict(workflow)
        finally:
            workflow.spec, workflow.subprocess_specs = kept
        return state


CONFIG: Final = {
    name: converter for name, converter in SPIFF_CONFIG.items()
    if name not in {ServiceTask, ParallelMultiInstanceTask, SequentialMultiInstanceTask}
} | {
    BpmnWorkflow: _StateConverter,
    WaitingServiceTask: ServiceTaskConverter,
    BoundedParallel: SpiffMultiInstanceConverter,
    BoundedSequential: SpiffMultiInstanceConverter,
    DateTimer: TimerConditionalEventDefinitionConverter,
    DurationTimer: TimerConditionalEventDefinitionConverter,
    CycleTimer: TimerConditionalEventDefinitionConverter,
}  # fmt: skip
REGISTRY: Final = BpmnWorkflowSerializer.configure(CONFIG)


class Compiled:
    """A version's specification, ready to run; shared by all instances, never changed."""

    def __init__(self, spec: Any, subprocess_specs: dict[str, Any]) -> None:  # noqa: ANN401
        self.spec = spec
        self.subprocess_specs = subprocess_specs
        for each in (spec, *subprocess_specs.values()):
            _connect_loops(each)
            _hold_decisions(each)

    def dump(self) -> str:
        """Return the specification as text."""
        return json.dumps(
            {
                "spec": REGISTRY.convert(self.spec),
                "subprocess_specs": {
                    name: REGISTRY.convert(spec) for name, spec in self.subprocess_specs.items()
                },
            }
        )

    @classmethod
    def load(cls, text: str) -> "Compiled":
        """Return what `dump` wrote."""
        parts = json.loads(text)
        return cls(
            REGISTRY.restore(parts["spec"]),
            {name: REGISTRY.restore(spec) for name, spec in parts["subprocess_specs"].items()},
        )


def _connect_loops(spec: Any) -> None:  # noqa: ANN401  # Spiff's specification.
    # SpiffWorkflow connects a loop to its inner task when it makes the first child; a restored
    # process, whose children are there already, would never hear of their end.
    for task_spec in spec.task_specs.values():
        if isinstance(task_spec, LoopTask):
            inner = spec.task_specs[task_spec.task_spec]
            if not inner.completed_event.is_connected(task_spec.merge_child):
                inner.completed_event.connect(task_spec.merge_child)


def _hold_decisions(spec: Any) -> None:  # noqa: ANN401  # As above.
    for task_spec in spec.task_specs.values():
        if isinstance(task_spec, BusinessRuleTask):
            task_spec.dmnEngine = DecisionEngine(task_spec.dmnEngine.decision_table)


def state_text(workflow: Any) -> str:  # noqa: ANN401  # Spiff's workflow.
    """Return a running process as text, without its specification."""
    return json.dumps(REGISTRY.convert(workflow), ensure_ascii=False)


def restored(compiled: Compiled, text: str) -> Any:  # noqa: ANN401  # Spiff's workflow.
    """Return the running process of a state that `state_text` wrote."""
    state = json.loads(text)
    state["spec"] = compiled.spec
    state["subprocess_specs"] = compiled.subprocess_specs
    return REGISTRY.restore(state)
