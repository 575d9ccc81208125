"""Texts of small diagrams for tests: elements one after the other, each with its place drawn."""

from typing import Final

_HEAD: Final = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
  xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI"
  xmlns:dc="http://www.omg.org/spec/DD/20100524/DC"
  xmlns:di="http://www.omg.org/spec/DD/20100524/DI" xmlns:ddt="urn:theddt:flows:1"
  xmlns:spiffworkflow="http://spiffworkflow.org/bpmn/schema/1.0/core"
  id="Definitions" targetNamespace="urn:theddt:flows">
"""
_STARTERS: Final = "pki-requester pki-officer pki-admin"

Element = tuple[str, str, str]
"""A tag, an id, and what the element holds."""


def linear(key: str, *elements: Element, messages: str = "", business_key: str = "") -> str:
    """Return a diagram that goes from a start through these elements to an end.

    `messages` are `message` elements; `business_key` is an expression.
    """
    nodes = [("startEvent", "Begun", ""), *elements, ("endEvent", "Over", "")]
    last = len(nodes) - 1
    process, drawn = "", ""
    for index, (tag, name, inner) in enumerate(nodes):
        incoming = f"<incoming>Flow{index}</incoming>" if index else ""
        outgoing = f"<outgoing>Flow{index + 1}</outgoing>" if index < last else ""
        # The element's own extensions come before its flows, all else after them.
        extensions, rest = ("", inner)
        if inner.startswith("<extensionElements>"):
            extensions, rest = (inner, "")
        process += (
            f'<{tag} id="{name}" name="{name}">{extensions}{incoming}{outgoing}{rest}</{tag}>'
        )
        drawn += (
            f'<bpmndi:BPMNShape id="{name}_di" bpmnElement="{name}">'
            f'<dc:Bounds x="{index * 150}" y="100" width="100" height="80"/></bpmndi:BPMNShape>'
        )
        if index:
            before = nodes[index - 1][1]
            process += f'<sequenceFlow id="Flow{index}" sourceRef="{before}" targetRef="{name}"/>'
            drawn += (
                f'<bpmndi:BPMNEdge id="Flow{index}_di" bpmnElement="Flow{index}">'
                f'<di:waypoint x="{index * 150 - 50}" y="140"/>'
                f'<di:waypoint x="{index * 150}" y="140"/></bpmndi:BPMNEdge>'
            )
    named = f' key="{business_key}"' if business_key else ""
    return (
        f'{_HEAD}{messages}<process id="{key}" name="{key}" isExecutable="true">'
        f'<extensionElements><ddt:process starters="{_STARTERS}"{named}/></extensionElements>'
        f'{process}</process><bpmndi:BPMNDiagram id="Drawing">'
        f'<bpmndi:BPMNPlane id="Plane" bpmnElement="{key}">{drawn}</bpmndi:BPMNPlane>'
        "</bpmndi:BPMNDiagram></definitions>"
    )


def decision(name: str) -> Element:
    """Return a human task that officers decide."""
    return (
        "userTask", name,
        (
            f'<extensionElements><ddt:assignment roles="pki-officer" variable="{name.lower()}"/>'
            '<ddt:form>{"type": "object", "additionalProperties": false, '
            '"properties": {"outcome": {"type": "string", "maxLength": 20}}}</ddt:form>'
            "</extensionElements>"
        ),
    )  # fmt: skip


def script(name: str, text: str) -> Element:
    """Return a script task."""
    return ("scriptTask", name, f"<script>{text}</script>")


def message(name: str) -> str:
    """Return a `message` element."""
    return f'<message id="{name}" name="{name}"/>'


def throw(name: str, message: str, payload: str) -> Element:
    """Return an event that sends this message; what it carries is an expression."""
    return ("intermediateThrowEvent", name, _event(message, "messagePayload", payload))


def catch(name: str, message: str, variable: str) -> Element:
    """Return an event that waits for this message and keeps what it carries."""
    return ("intermediateCatchEvent", name, _event(message, "messageVariable", variable))


def _event(message: str, tag: str, text: str) -> str:
    return (
        f'<messageEventDefinition messageRef="{message}"><extensionElements>'
        f"<spiffworkflow:{tag}>{text}</spiffworkflow:{tag}>"
        "</extensionElements></messageEventDefinition>"
    )
