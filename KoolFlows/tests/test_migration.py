"""Running processes and a newer diagram: they stay, or move after a check that says why not."""

from pathlib import Path
from typing import Any

import pytest

SHIPPED = Path(__file__).parents[1] / "diagrams"
KEY = "namespace-grant"
DATA = {
    "team": "default", "pattern": "*.x.internal", "profile": "tls-client",
    "until": "2027-01-01T00:00:00Z", "purpose": "the team's own hosts",
}  # fmt: skip


def diagram(**changes: str) -> str:
    text = (SHIPPED / f"{KEY}.bpmn").read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture
def running(flows: Any) -> tuple[Any, Any]:
    flows.deploy(diagram())
    return flows, flows.start(KEY, DATA)


def operator(flows: Any) -> Any:
    return flows.person("dora", "pki-admin")


LATER = {"'Granted: ' + pattern": "'From today on: ' + pattern"}
THERE = {'roles="pki-officer pki-admin" variable': 'roles="pki-admin" variable'}


def test_a_running_process_stays_on_its_version_until_it_is_moved(running: Any) -> None:
    flows, process = running
    assert flows.deploy(diagram(**LATER))[1] == 2
    assert flows.process(process).version == 1
    flows.decide(process, "approve")
    flows.work()
    (told,) = flows.other_side.of("notify")
    assert told.parameters["subject"] == "Granted: *.x.internal"
    newer = flows.start(KEY, DATA)
    assert flows.process(newer).version == 2


def test_it_moves_when_only_its_future_differs_and_the_history_says_so(running: Any) -> None:
    flows, process = running
    flows.deploy(diagram(**LATER))
    asked = {"principal": operator(flows), "instance_id": process, "number": 2, "now": flows.now}
    assert flows.services.check_migration(**asked) == []
    assert flows.process(process).version == 1
    task = flows.task(process).pk
    flows.services.migrate(**asked)
    assert flows.process(process).version == 2
    assert flows.task(process).pk == task
    assert flows.kinds(process).count("migrated") == 1
    flows.decide(process, "approve")
    flows.work()
    (told,) = flows.other_side.of("notify")
    assert told.parameters["subject"] == "From today on: *.x.internal"
    assert flows.outcome(process) == ("completed", "Granted")


def test_it_goes_on_where_the_newer_diagram_has_another_step(running: Any) -> None:
    flows, process = running
    flows.deploy(diagram(GrantTell="GrantWrite", GrantRecord="GrantKeep"))
    flows.services.migrate(principal=operator(flows), instance_id=process, number=2, now=flows.now)
    flows.decide(process, "approve")
    flows.work()
    assert flows.outcome(process) == ("completed", "Granted")
    path = flows.process(process).path
    assert "GrantWrite" in path
    assert "GrantTell" not in path


def test_its_timers_go_on_after_the_move_and_fire_once(running: Any) -> None:
    flows, process = running
    flows.deploy(diagram(**LATER))
    flows.services.migrate(principal=operator(flows), instance_id=process, number=2, now=flows.now)
    flows.later(days=31)
    flows.later(days=31)
    assert flows.outcome(process) == ("completed", "GrantExpired")
    history = flows.kinds(process)
    assert history.count("completed") == 1


def test_what_it_passed_or_stands_on_must_not_differ(running: Any) -> None:
    from koolflows.engine.errors import StepFailed

    flows, process = running
    flows.deploy(diagram(**THERE))
    asked = {"principal": operator(flows), "instance_id": process, "number": 2, "now": flows.now}
    (reason,) = flows.services.check_migration(**asked)
    assert "Decide on the grant" in reason
    with pytest.raises(StepFailed, match="Decide on the grant"):
        flows.services.migrate(**asked)
    assert flows.process(process).version == 1
    assert "migrated" not in flows.kinds(process)


def test_only_an_operator_moves_and_only_to_what_is_there(running: Any) -> None:
    from koolflows.store.errors import Conflict, NotFound, NotPermitted

    flows, process = running
    asked = {"instance_id": process, "now": flows.now}
    with pytest.raises(NotPermitted):
        flows.services.migrate(principal=flows.person("otto"), number=1, **asked)
    with pytest.raises(Conflict):
        flows.services.migrate(principal=operator(flows), number=1, **asked)
    with pytest.raises(NotFound):
        flows.services.migrate(principal=operator(flows), number=9, **asked)


def test_what_is_over_does_not_move(running: Any) -> None:
    from koolflows.store.errors import Conflict

    flows, process = running
    flows.deploy(diagram(**LATER))
    flows.decide(process, "refuse")
    with pytest.raises(Conflict):
        flows.services.migrate(
            principal=operator(flows), instance_id=process, number=2, now=flows.now
        )
