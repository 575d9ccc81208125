"""A diagram drawn as SVG from its own layout, with the tokens' places marked.

Colours are classes only (`flow-…`): the page's style sheet decides them for light, dark and print.
A small style inside makes the picture readable where there is none. Every text is escaped.
"""

import textwrap
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from koolflows.engine import safe_xml
from koolflows.engine.vocabulary import BPMN, BPMN_DI, DC, DI, NODES

MARGIN: Final = 24
LINE: Final = 14
MAX_LINES: Final = 4
_STYLE: Final = """
.flow-picture{font:12px system-ui,sans-serif}
.flow-picture .flow-shape{fill:#fff;stroke:#3b4252;stroke-width:1.5}
.flow-picture .flow-edge{fill:none;stroke:#3b4252;stroke-width:1.3}
.flow-picture .flow-arrow,.flow-picture .flow-mark{fill:#3b4252}
.flow-picture .flow-line{fill:none;stroke:#3b4252;stroke-width:1.3}
.flow-picture .flow-text{fill:#1b1f27;text-anchor:middle}
.flow-picture .flow-text{paint-order:stroke;stroke:#fff;stroke-width:3}
.flow-picture .flow-passed .flow-shape{stroke:#2f7d4f;stroke-width:2.2}
.flow-picture .flow-here .flow-shape{fill:#fff1c2;stroke:#a15c00;stroke-width:3}
.flow-picture .flow-token{fill:#a15c00}
@media (prefers-color-scheme:dark){
.flow-picture .flow-shape{fill:#232936;stroke:#aab4c5}
.flow-picture .flow-edge,.flow-picture .flow-line{stroke:#aab4c5}
.flow-picture .flow-arrow,.flow-picture .flow-mark{fill:#aab4c5}
.flow-picture .flow-text{fill:#eef1f6;stroke:#232936}
.flow-picture .flow-passed .flow-shape{stroke:#6fce95}
.flow-picture .flow-here .flow-shape{fill:#4a3708;stroke:#ffc45c}
.flow-picture .flow-token{fill:#ffc45c}}
""".replace("\n", "")


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2


def draw(
    content: str,
    *,
    here: Collection[str] = (),
    passed: Collection[str] = (),
    title: str = "",
    styled: bool = True,
) -> str:
    """Return the picture of a .bpmn file: `here` are the tokens' places, `passed` what they left.

    `title` is the accessible name; the description tells in words where the tokens stand.
    """
    root = safe_xml.parse(content.encode(), "diagram.bpmn")
    nodes = _nodes(root)
    boxes = dict(_boxes(root))
    parts = [*_edges(root), *_shapes(nodes, boxes, set(here), set(passed))]
    drawn = [box for name, box in boxes.items() if name in nodes]
    left = min((box.x for box in drawn), default=0) - MARGIN
    top = min((box.y for box in drawn), default=0) - MARGIN
    right = max((box.x + box.width for box in drawn), default=100) + MARGIN
    bottom = max((box.y + box.height for box in drawn), default=100) + MARGIN + LINE
    process = root.find(f"{{{BPMN}}}process")
    name = title or (process.get("name") if process is not None else "") or "Process"
    described = _description(nodes, here, passed)
    size = f'viewBox="{left:g} {top:g} {right - left:g} {bottom - top:g}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="flow-picture" role="img" {size} '
        f'width="{right - left:g}" height="{bottom - top:g}" '
        'aria-labelledby="flow-title flow-description">'
        f'<title id="flow-title">{escape(name)}</title>'
        f'<desc id="flow-description">{escape(described)}</desc>'
        + (f"<style>{_STYLE}</style>" if styled else "")
        + '<defs><marker id="flow-end" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        'markerHeight="7" orient="auto-start-reverse"><path class="flow-arrow" '
        'd="M0 0L10 5L0 10z"/></marker></defs>' + "".join(parts) + "</svg>"
    )


def _description(nodes: dict[str, Any], here: Collection[str], passed: Collection[str]) -> str:
    def names(ids: Collection[str]) -> str:
        found = dict.fromkeys(_name(nodes[one]) for one in ids if one in nodes)
        return ", ".join(name for name in found if name)

    standing = names(here)
    told = f"The process stands at: {standing}." if standing else "No token is in the diagram."
    left = names(passed)
    return f"{told} Passed: {left}." if left else told


def _name(node: Any) -> str:  # noqa: ANN401  # lxml ships no types.
    return str(node.get("name") or "")


def _nodes(root: Any) -> dict[str, Any]:  # noqa: ANN401  # As above.
    wanted = {f"{{{BPMN}}}{name}" for name in NODES}
    return {node.get("id"): node for node in root.iter() if node.tag in wanted}


def _boxes(root: Any) -> Iterator[tuple[str, _Box]]:  # noqa: ANN401  # As above.
    for shape in root.iter(f"{{{BPMN_DI}}}BPMNShape"):
        bounds = shape.find(f"{{{DC}}}Bounds")
        if bounds is not None:
            x, y, width, height = (
                _number(bounds.get(name)) for name in ("x", "y", "width", "height")
            )
            yield shape.get("bpmnElement"), _Box(x, y, width, height)


def _number(text: str | None) -> float:
    try:
        value = float(text or 0)
    except ValueError:
        return 0.0
    return min(max(value, -20_000.0), 20_000.0) if value == value else 0.0  # noqa: PLR0124  # NaN.


def _edges(root: Any) -> Iterator[str]:  # noqa: ANN401  # As above.
    flows = {flow.get("id"): flow for flow in root.iter(f"{{{BPMN}}}sequenceFlow")}
    for edge in root.iter(f"{{{BPMN_DI}}}BPMNEdge"):
        flow = flows.get(edge.get("bpmnElement"))
        points = [
            (_number(point.get("x")), _number(point.get("y")))
            for point in edge.findall(f"{{{DI}}}waypoint")
        ]
        if flow is None or len(points) < 2:  # noqa: PLR2004  # A line has two ends.
            continue
        line = " ".join(f"{x:g},{y:g}" for x, y in points)
        yield f'<polyline class="flow-edge" points="{line}" marker-end="url(#flow-end)"/>'
        if flow.get("name"):
            (x, y), (next_x, next_y) = points[0], points[1]
            yield _text([_name(flow)], (x + next_x) / 2, (y + next_y) / 2 - 6)


def _text(lines: list[str], x: float, y: float) -> str:
    spans = "".join(
        f'<tspan x="{x:g}" dy="{0 if index == 0 else LINE}">{escape(line)}</tspan>'
        for index, line in enumerate(lines)
    )
    return f'<text class="flow-text" x="{x:g}" y="{y:g}">{spans}</text>'


def _shapes(
    nodes: dict[str, Any], boxes: dict[str, _Box], here: set[str], passed: set[str]
) -> Iterator[str]:
    # Large ones first: what is inside of a sub-process is drawn upon it.
    for name in sorted(nodes, key=lambda one: -_area(boxes.get(one))):
        box = boxes.get(name)
        if box is None:
            continue
        node = nodes[name]
        kind = str(node.tag).rpartition("}")[2]
        classes = ["flow-node", f"flow-{kind}"]
        classes += ["flow-here"] if name in here else []
        classes += ["flow-passed"] if name in passed else []
        token = ""
        if name in here:
            token = f'<circle class="flow-token" cx="{box.x:g}" cy="{box.y:g}" r="7"/>'
        yield (
            f'<g class="{" ".join(classes)}" data-element={quoteattr(name)}>'
            f"{_shape(node, kind, box)}{token}</g>"
        )


def _area(box: _Box | None) -> float:
    return box.width * box.height if box else 0


def _shape(node: Any, kind: str, box: _Box) -> str:  # noqa: ANN401  # As above.
    x, y = box.middle
    if kind.endswith("Event"):
        radius = min(box.width, box.height) / 2
        rings = f'<circle class="flow-shape" cx="{x:g}" cy="{y:g}" r="{radius:g}"/>'
        if kind not in {"startEvent", "endEvent"}:
            rings += f'<circle class="flow-line" cx="{x:g}" cy="{y:g}" r="{radius - 4:g}"/>'
        if kind == "endEvent":
            rings += f'<circle class="flow-line" cx="{x:g}" cy="{y:g}" r="{radius - 2:g}"/>'
        # Several may sit on one boundary, side by side.
        room = 44 if kind == "boundaryEvent" else 90
        below = _text(_wrapped(_name(node), room), x, box.y + box.height + LINE)
        return rings + _sign(node, x, y) + below
    if kind.endswith("Gateway"):
        right, bottom = box.x + box.width, box.y + box.height
        points = f"{x:g},{box.y:g} {right:g},{y:g} {x:g},{bottom:g} {box.x:g},{y:g}"
        signs = {"parallelGateway": "+", "inclusiveGateway": "O", "eventBasedGateway": "*"}
        sign = _text([signs.get(kind, "X")], x, y + 5)
        above = _text(_wrapped(_name(node), 110), x, box.y - 8)
        return f'<polygon class="flow-shape" points="{points}"/>{sign}{above}'
    rectangle = (
        f'<rect class="flow-shape" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" '
        f'height="{box.height:g}" rx="8"/>'
    )
    if kind in {"subProcess", "transaction"}:
        return rectangle + _text([_name(node)], x, box.y + LINE + 2)
    lines = _wrapped(_name(node), box.width)
    marks = {"userTask": "☺", "serviceTask": "⚙", "scriptTask": "≡", "businessRuleTask": "▤",
             "sendTask": "✉", "receiveTask": "✉", "callActivity": "⊞"}  # fmt: skip
    mark = (
        f'<text class="flow-mark" x="{box.x + 6:g}" y="{box.y + 15:g}">{marks.get(kind, "")}</text>'
    )
    first = y - (len(lines) - 1) * LINE / 2 + 4
    repeated = ""
    if node.find(f"{{{BPMN}}}multiInstanceLoopCharacteristics") is not None:
        repeated = _text(["|||"], x, box.y + box.height - 4)
    return rectangle + mark + _text(lines, x, first) + repeated


def _sign(node: Any, x: float, y: float) -> str:  # noqa: ANN401  # As above.
    signs = {"timerEventDefinition": "◷", "messageEventDefinition": "✉",
             "errorEventDefinition": "ϟ", "escalationEventDefinition": "▲",
             "cancelEventDefinition": "✕", "terminateEventDefinition": "●"}  # fmt: skip
    for child in node:
        sign = signs.get(str(child.tag).rpartition("}")[2])
        if sign:
            return _text([sign], x, y + 5)
    return ""


def _wrapped(text: str, width: float) -> list[str]:
    # About 6.5 units a letter of this size.
    letters = max(7, round(width / 6.5))
    lines = textwrap.wrap(text, letters)[:MAX_LINES]
    return lines or [""]
