"""Timers that take the time as an argument, in place of SpiffWorkflow's, which read the clock."""

from datetime import datetime, timedelta
from typing import Any, Final

from SpiffWorkflow.bpmn.specs.event_definitions.multiple import MultipleEventDefinition
from SpiffWorkflow.bpmn.specs.event_definitions.timer import (
    CycleTimerEventDefinition,
    DurationTimerEventDefinition,
    TimeDateEventDefinition,
    TimerEventDefinition,
)
from SpiffWorkflow.util.task import TaskState

from koolflows.engine.errors import StepFailed

MAX_CYCLES: Final = 100
SHORTEST_CYCLE: Final = timedelta(seconds=1)
LONGEST: Final = timedelta(days=3660)


def _now(task: Any) -> datetime:  # noqa: ANN401  # Spiff's task.
    moment: datetime = task.workflow.script_engine.environment.now
    return moment


def _expression(definition: Any, task: Any) -> str:  # noqa: ANN401  # Spiff's.
    return str(task.workflow.script_engine.evaluate(task, definition.expression))


def _refuse(task: Any, value: str, what: str) -> StepFailed:  # noqa: ANN401  # Spiff's task.
    return StepFailed(
        "timer.malformed",
        f"'{value[:80]}' is no {what} of ISO 8601 within {LONGEST.days} days.",
        element=task.task_spec.bpmn_id or "",
    )


def _duration(task: Any, value: str, start: datetime) -> timedelta:  # noqa: ANN401
    return span_of(value, start, task.task_spec.bpmn_id or "")


class DurationTimer(DurationTimerEventDefinition):
    """Fires when a span has passed since the token came."""

    def has_fired(self, my_task: Any) -> bool:  # noqa: ANN401  # Spiff's task.
        """Return whether it is due; remembers when that is."""
        due = my_task._get_internal_data("event_value")  # noqa: SLF001  # Spiff's way to keep it.
        now = _now(my_task)
        if due is None:
            due = (now + _duration(my_task, _expression(self, my_task), now)).isoformat()
            my_task._set_internal_data(event_value=due)  # noqa: SLF001  # As above.
        return _fire_when_due(my_task, due, now)


class DateTimer(TimeDateEventDefinition):
    """Fires at a moment."""

    def has_fired(self, my_task: Any) -> bool:  # noqa: ANN401  # Spiff's task.
        """Return whether it is due; remembers when that is."""
        due = my_task._get_internal_data("event_value")  # noqa: SLF001  # As above.
        now = _now(my_task)
        if due is None:
            value = _expression(self, my_task)
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                raise _refuse(my_task, value, "moment") from None
            if moment.tzinfo is None or moment - now > LONGEST:
                raise _refuse(my_task, value, "moment with its offset from UTC")
            due = moment.isoformat()
            my_task._set_internal_data(event_value=due)  # noqa: SLF001  # As above.
        return _fire_when_due(my_task, due, now)


def _fire_when_due(task: Any, due: str, now: datetime) -> bool:  # noqa: ANN401  # Spiff's task.
    if datetime.fromisoformat(due) <= now:
        task._set_internal_data(event_fired=True)  # noqa: SLF001  # As above.
    return bool(task._get_internal_data("event_fired", False))  # noqa: FBT003, SLF001  # As above.


class CycleTimer(CycleTimerEventDefinition):
    """Fires again and again: `R3/P1D` is three times, a day apart."""

    def cycle_complete(self, my_task: Any) -> bool:  # noqa: ANN401  # Spiff's task.
        """Return whether it fires now, at most once a call, however late the call is."""
        event = my_task._get_internal_data("event_value")  # noqa: SLF001  # As above.
        now = _now(my_task)
        if event is None:
            event = self._first(my_task, now)
        ready = False
        if event["cycles"] == 0:
            my_task.internal_data.pop("event_value", None)
            my_task.internal_data["event_fired"] = True
            return False
        due = datetime.fromisoformat(event["next"])
        if due <= now:
            span = timedelta(seconds=event["duration"])
            missed = max(0, int((now - due) / span))
            event = {
                **event,
                "next": (due + span * (missed + 1)).isoformat(),
                "cycles": event["cycles"] - 1,
            }
            ready = True
        my_task._set_internal_data(event_value=event)  # noqa: SLF001  # As above.
        return ready

    def _first(self, task: Any, now: datetime) -> dict[str, Any]:  # noqa: ANN401  # Spiff's task.
        value = _expression(self, task).upper()
        count, _, span_text = value.partition("/")
        number = count.removeprefix("R")
        if not count.startswith("R") or not number.isdecimal() or "/" in span_text:
            raise _refuse(task, value, "repetition such as R3/P1D")
        span = _duration(task, span_text, now)
        if not 1 <= int(number) <= MAX_CYCLES or span < SHORTEST_CYCLE:
            raise _refuse(task, value, f"repetition of 1 to {MAX_CYCLES} times, 1 s or more apart,")
        return {
            "cycles": int(number),
            "next": (now + span).isoformat(),
            "duration": span.total_seconds(),
        }


def span_of(text: str, start: datetime, element: str) -> timedelta:
    """Return an ISO 8601 duration from a moment on; raises `StepFailed`."""
    try:
        parsed = TimerEventDefinition.parse_iso_duration(text)
        span: timedelta = TimerEventDefinition.get_timedelta_from_start(parsed, start)
    except Exception:  # noqa: BLE001  # The library raises a bare Exception.
        span = -LONGEST
    if not timedelta(0) <= span <= LONGEST:
        raise StepFailed(
            "timer.malformed",
            f"'{text[:80]}' is no duration of ISO 8601 within {LONGEST.days} days.",
            element=element,
        )
    return span


def next_due(task: Any) -> datetime | None:  # noqa: ANN401  # Spiff's task.
    """Return when a waiting event is due next, if it waits for a time."""
    definition = task.task_spec.event_definition
    if not isinstance(definition, TimerEventDefinition | MultipleEventDefinition):
        return None
    value = task._get_internal_data("event_value")  # noqa: SLF001  # As above.
    if isinstance(value, dict):
        return datetime.fromisoformat(value["next"]) if value["cycles"] else None
    return datetime.fromisoformat(value) if value and task.state == TaskState.WAITING else None
