"""The elements that a diagram may hold; whatever else comes is refused by name.

What SpiffWorkflow does not run, or runs in another way than people would read it, is not here:
a diagram must never show what does not happen.
"""

from typing import Final

BPMN: Final = "http://www.omg.org/spec/BPMN/20100524/MODEL"
BPMN_DI: Final = "http://www.omg.org/spec/BPMN/20100524/DI"
DC: Final = "http://www.omg.org/spec/DD/20100524/DC"
DI: Final = "http://www.omg.org/spec/DD/20100524/DI"
SPIFF: Final = "http://spiffworkflow.org/bpmn/schema/1.0/core"
DDT: Final = "urn:theddt:flows:1"
DMN: Final = "https://www.omg.org/spec/DMN/20191111/MODEL/"
DMN_DI: Final = "https://www.omg.org/spec/DMN/20191111/DMNDI/"
DMN_DC: Final = "http://www.omg.org/spec/DMN/20180521/DC/"
DMN_DIAGRAM: Final = "http://www.omg.org/spec/DMN/20180521/DI/"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"

NODES: Final = frozenset(
    """
    startEvent endEvent userTask serviceTask scriptTask businessRuleTask sendTask receiveTask
    callActivity subProcess transaction exclusiveGateway parallelGateway inclusiveGateway
    eventBasedGateway intermediateCatchEvent intermediateThrowEvent boundaryEvent
    """.split()  # noqa: SIM905  # A list of forty quoted words reads worse.
)
"""What a token can stand on."""

BPMN_ELEMENTS: Final = NODES | frozenset(
    """
    definitions process documentation extensionElements incoming outgoing sequenceFlow
    conditionExpression timerEventDefinition timeDate timeDuration timeCycle message
    messageEventDefinition error errorEventDefinition escalation escalationEventDefinition
    cancelEventDefinition terminateEventDefinition multiInstanceLoopCharacteristics
    loopCardinality loopDataInputRef loopDataOutputRef inputDataItem outputDataItem
    completionCondition script laneSet lane flowNodeRef collaboration participant textAnnotation
    text association
    """.split()  # noqa: SIM905  # As above.
)
SPIFF_ELEMENTS: Final = frozenset(
    """
    serviceTaskOperator parameters parameter calledDecisionId messagePayload messageVariable
    """.split()  # noqa: SIM905  # As above.
)
DDT_ELEMENTS: Final = frozenset({"process", "assignment", "form"})
DI_ELEMENTS: Final = frozenset({"BPMNDiagram", "BPMNPlane", "BPMNShape", "BPMNEdge", "BPMNLabel"})
DMN_ELEMENTS: Final = frozenset(
    """
    definitions decision decisionTable input inputExpression text output rule inputEntry
    outputEntry description
    """.split()  # noqa: SIM905  # As above.
)

ALLOWED: Final = {
    BPMN: BPMN_ELEMENTS,
    BPMN_DI: DI_ELEMENTS,
    DC: frozenset({"Bounds"}),
    DI: frozenset({"waypoint"}),
    SPIFF: SPIFF_ELEMENTS,
    DDT: DDT_ELEMENTS,
}
"""What a .bpmn file may hold, by namespace."""

ALLOWED_DMN: Final = {
    DMN: DMN_ELEMENTS,
    DMN_DI: frozenset({"DMNDI", "DMNDiagram", "DMNShape"}),
    DMN_DC: frozenset({"Bounds"}),
}
"""What a .dmn file may hold, by namespace."""

OPERATIONS: Final[dict[str, frozenset[str]]] = {
    "pkakey.issue": frozenset({"request"}),
    "pkakey.refuse": frozenset({"request", "reason"}),
    "pkakey.revoke": frozenset({"serial_number", "reason"}),
    "pkakey.renew": frozenset({"serial_number"}),
    "pkakey.grant": frozenset({"pattern", "profile", "until", "team"}),
    "pkakey.act": frozenset({"act", "subject"}),
    "notify": frozenset({"to", "subject", "text"}),
    "webhook": frozenset({"target", "body"}),
    "escalate": frozenset({"task", "roles"}),
}
"""What a service task may do: the operation's name and the parameters that it needs."""
