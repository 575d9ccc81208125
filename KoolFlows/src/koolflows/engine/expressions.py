"""Expressions and scripts of a diagram, in a restricted environment.

`simpleeval` walks the syntax tree: there is no import, no definition, no loop. This adds what a
shared service needs: attributes read dictionaries only (no attribute of any Python object can be
reached), every operator is bounded, and steps and time are counted over a whole advance.
A script is a list of assignments, one name each.
"""

import ast
import operator
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

from simpleeval import EvalWithCompoundTypes, InvalidExpression
from SpiffWorkflow.bpmn.script_engine import PythonScriptEngine
from SpiffWorkflow.bpmn.script_engine.python_environment import BasePythonScriptEngineEnvironment

from koolflows.engine.errors import FlowError, StepFailed

MAX_CHARACTERS: Final = 4096
MAX_STEPS: Final = 20_000
MAX_SECONDS: Final = 2.0
MAX_TEXT: Final = 100_000
MAX_ITEMS: Final = 10_000
MAX_BITS: Final = 256

_Number = int | float


def _sized(value: Any) -> Any:  # noqa: ANN401  # Any JSON value.
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise StepFailed("expression.too-large", f"A number of more than {MAX_BITS} bits came out.")
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise StepFailed("expression.too-large", "A text of more than 100,000 characters came out.")
    if isinstance(value, list | tuple | dict | set) and len(value) > MAX_ITEMS:
        raise StepFailed("expression.too-large", "A list of more than 10,000 items came out.")
    return value


def _numbers(act: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def bounded(left: Any, right: Any) -> Any:  # noqa: ANN401  # Checked here.
        if not isinstance(left, int | float) or not isinstance(right, int | float):
            raise StepFailed("expression.type", "This operator takes two numbers.")
        return _sized(act(left, right))

    return bounded


def _add(left: Any, right: Any) -> Any:  # noqa: ANN401  # As Python's own.
    return _sized(left + right)


_OPERATORS: Final[dict[type[ast.AST], Callable[..., Any]]] = {
    ast.Add: _add,
    ast.Sub: _numbers(operator.sub),
    ast.Mult: _numbers(operator.mul),
    ast.Div: _numbers(operator.truediv),
    ast.FloorDiv: _numbers(operator.floordiv),
    ast.Mod: _numbers(operator.mod),
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Gt: operator.gt,
    ast.Lt: operator.lt,
    ast.GtE: operator.ge,
    ast.LtE: operator.le,
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.In: lambda item, box: operator.contains(box, item),
    ast.NotIn: lambda item, box: not operator.contains(box, item),
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}


def _get(box: Mapping[str, Any], key: str, default: Any = None) -> Any:  # noqa: ANN401  # JSON.
    if not isinstance(box, dict):
        raise StepFailed("expression.type", "get() reads an object.")
    return box.get(key, default)


def _shifted(moment: str, days: float) -> str:
    return (datetime.fromisoformat(moment) + timedelta(days=days)).isoformat()


_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "abs": abs,
    "all": all,
    "any": any,
    "days_after": _shifted,
    "endswith": lambda text, end: str(text).endswith(str(end)),
    "float": float,
    "get": _get,
    "int": int,
    "len": len,
    "lower": lambda text: str(text).lower(),
    "max": max,
    "min": min,
    "round": round,
    "startswith": lambda text, start: str(text).startswith(str(start)),
    "str": str,
    "sum": sum,
}
FUNCTION_NAMES: Final = frozenset(_FUNCTIONS) | {"now"}

_ALLOWED_NODES: Final = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.BinOp, ast.UnaryOp, ast.IfExp, ast.Dict,
    ast.Set, ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.comprehension, ast.Compare,
    ast.Call, ast.keyword, ast.Constant, ast.Attribute, ast.Subscript, ast.Slice, ast.Name,
    ast.List, ast.Tuple, ast.Load, ast.Store,
    *_OPERATORS,
)  # fmt: skip


class Budget:
    """What one advance may spend on expressions: steps and seconds, together."""

    def __init__(self, *, steps: int = MAX_STEPS, seconds: float = MAX_SECONDS) -> None:
        self._left = steps
        self._end = time.monotonic() + seconds

    def spend(self) -> None:
        """Take one step; raises `StepFailed` when nothing is left."""
        self._left -= 1
        if self._left < 0 or time.monotonic() > self._end:
            raise StepFailed(
                "expression.too-long",
                f"The expressions of this step took more than {MAX_STEPS} steps or "
                f"{MAX_SECONDS:g} s.",
            )


class _Evaluator(EvalWithCompoundTypes):
    """simpleeval without Python's attributes, and with a budget."""

    def __init__(self, names: dict[str, Any], now: datetime, budget: Budget) -> None:
        functions = {**_FUNCTIONS, "now": now.isoformat}
        super().__init__(operators=_OPERATORS, functions=functions, names=names)
        for name in ("list", "tuple", "dict", "set"):
            self.functions.pop(name, None)
        for node in (ast.JoinedStr, ast.FormattedValue, ast.Import, ast.Assign, ast.AugAssign):
            self.nodes.pop(node, None)
        self._budget = budget

    def _eval(self, node: ast.AST) -> Any:  # noqa: ANN401  # As the base class.
        self._budget.spend()
        return _sized(super()._eval(node))

    def _eval_attribute(self, node: ast.Attribute) -> Any:  # noqa: ANN401  # As the base class.
        box = self._eval(node.value)
        if not isinstance(box, dict):
            raise StepFailed("expression.type", f"'.{node.attr}' reads an object, and none came.")
        if node.attr not in box:
            raise StepFailed("expression.unknown-name", f"There is no '{node.attr}' in it.")
        return box[node.attr]

    def _eval_call(self, node: ast.Call) -> Any:  # noqa: ANN401  # As the base class.
        if not isinstance(node.func, ast.Name):
            raise StepFailed("expression.forbidden", "Only the named functions can be called.")
        return super()._eval_call(node)


def _tree(text: str) -> ast.expr:
    if len(text) > MAX_CHARACTERS:
        raise FlowError(
            "expression.too-long",
            f"The expression has {len(text)} characters; at most {MAX_CHARACTERS} are read.",
        )
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise FlowError(
            "expression.malformed", f"'{text[:80]}' is no expression: {error}"
        ) from None
    for node in ast.walk(tree):
        _check_node(node)
    return tree.body


def _check_node(node: ast.AST) -> None:
    if not isinstance(node, _ALLOWED_NODES):
        raise FlowError(
            "expression.forbidden",
            f"{type(node).__name__} is not part of the language of expressions.",
        )
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    if name.startswith("_"):
        raise FlowError("expression.forbidden", f"'{name}': no name may begin with '_'.")
    if isinstance(node, ast.Call):
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        if called not in FUNCTION_NAMES:
            known = ", ".join(sorted(FUNCTION_NAMES))
            raise FlowError(
                "expression.forbidden", f"There is no function '{called}'. There are: {known}."
            )


def check_expression(text: str) -> None:
    """Raise `FlowError` when this is not an expression that may be evaluated."""
    _tree(text)


def check_unary_test(text: str) -> None:
    """Raise `FlowError` when this cannot stand in a cell of a decision table."""
    cell = text.replace("?", "value")
    try:
        check_expression(cell)
    except FlowError as error:
        if error.code != "expression.malformed":
            raise
        check_expression(f"value {cell}")


def statements(script: str) -> list[tuple[str, ast.expr]]:
    """Return a script's assignments; raises `FlowError` for whatever is none."""
    if len(script) > MAX_CHARACTERS:
        raise FlowError("expression.too-long", f"A script has at most {MAX_CHARACTERS} characters.")
    lines = (line.strip() for line in script.strip().splitlines())
    try:
        body = ast.parse("\n".join(lines)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise FlowError("expression.malformed", f"The script cannot be read: {error}") from None
    found = []
    for line in body:
        if not (
            isinstance(line, ast.Assign)
            and len(line.targets) == 1
            and isinstance(line.targets[0], ast.Name)
        ):
            raise FlowError(
                "expression.forbidden", "A script is a list of assignments such as `name = value`."
            )
        name = line.targets[0].id
        if name.startswith("_") or name in FUNCTION_NAMES:
            raise FlowError("expression.forbidden", f"'{name}' cannot be assigned to.")
        for node in ast.walk(line.value):
            _check_node(node)
        found.append((name, line.value))
    return found


class Environment(BasePythonScriptEngineEnvironment):
    """What SpiffWorkflow evaluates with: the restricted language, the time as an argument."""

    def __init__(self, now: datetime, budget: Budget | None = None) -> None:
        super().__init__()
        self.now = now
        self.budget = budget or Budget()

    def evaluate(
        self,
        expression: str,
        context: dict[str, Any],
        external_context: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401  # Any JSON value.
        """Return the value of an expression over the process's data."""
        return self._value(_tree(str(expression)), {**(external_context or {}), **context})

    def execute(
        self,
        script: str,
        context: dict[str, Any],
        external_context: Mapping[str, Any] | None = None,
    ) -> bool:
        """Do a script's assignments on the process's data."""
        for name, tree in statements(script):
            context[name] = self._value(tree, {**(external_context or {}), **context})
        return True

    def call_service(self, context: dict[str, Any], **_: Any) -> NoReturn:  # noqa: ANN401
        """Never: a service task waits for the worker."""
        raise StepFailed("expression.forbidden", f"No script calls a service ({len(context)}).")

    def _value(self, tree: ast.expr, names: dict[str, Any]) -> Any:  # noqa: ANN401  # JSON.
        evaluator = _Evaluator(names, self.now, self.budget)
        try:
            return evaluator.eval("", previously_parsed=tree)
        except InvalidExpression as error:
            raise StepFailed("expression.failed", str(error)[:300]) from None
        except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
            kind = type(error).__name__
            raise StepFailed("expression.failed", f"{kind}: {str(error)[:300]}") from None


class ScriptEngine(PythonScriptEngine):
    """Lets our errors through as they are, with the element's id."""

    def __init__(self, now: datetime) -> None:
        super().__init__(Environment(now))

    def evaluate(self, task: Any, expression: str, external_context: Any = None) -> Any:  # noqa: ANN401
        """Evaluate for a task; raises `StepFailed`."""
        try:
            return self.environment.evaluate(expression, task.data, external_context)
        except FlowError as error:
            raise _placed(error, task) from None

    def execute(self, task: Any, script: str, external_context: Any = None) -> Any:  # noqa: ANN401
        """Run a script for a task; raises `StepFailed`."""
        try:
            return self.environment.execute(script, task.data, external_context)
        except FlowError as error:
            raise _placed(error, task) from None


def _placed(error: FlowError, task: Any) -> StepFailed:  # noqa: ANN401  # Spiff's task.
    return StepFailed(error.code, error.detail, element=task.task_spec.bpmn_id or "")
