"""Every path of every shipped diagram, run as people and the worker run it."""

from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest

DIAGRAMS = Path(__file__).parents[1] / "diagrams"


def request(**more: Any) -> dict[str, Any]:
    return {
        "request": {
            "id": str(uuid4()),
            "sha256": "ab" * 32,
            "profile": "tls-server",
            "names": ["www.example.test"],
            "validity_days": 40,
            "wildcard": False,
            **more,
        }
    }


def refused_outside(code: str = "policy.refused") -> Exception:
    from koolflows.services.outside import RefusedOutside

    return RefusedOutside(code, "PKaKey says no.")


class TestOneOfficer:
    KEY = "certificate-approval-one"

    def test_an_approved_request_is_issued(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, request())
        shipped.decide(process, "approve")
        shipped.work()
        assert shipped.outcome(process) == ("completed", "OneIssued")
        (effect,) = shipped.other_side.of("pkakey.issue")
        assert effect.parameters["request"]["sha256"] == "ab" * 32
        assert effect.process["path"] == ["OneStart", "OneApprove", "OneDecided"]
        assert [one["subject"] for one in effect.process["deciders"]] == ["otto"]

    def test_a_refused_request_is_told_to_pkakey_with_the_reason(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, request())
        shipped.decide(process, {"outcome": "refuse", "reason": "unknown host"})
        shipped.work()
        assert shipped.outcome(process) == ("completed", "OneRefused")
        assert shipped.other_side.of("pkakey.refuse")[0].parameters["reason"] == "unknown host"

    def test_what_pkakey_refuses_is_not_issued(self, shipped: Any) -> None:
        shipped.other_side.answers["pkakey.issue"] = refused_outside()
        process = shipped.start(self.KEY, request())
        shipped.decide(process, "approve")
        shipped.work()
        assert shipped.outcome(process) == ("completed", "OneNotIssued")

    def test_the_officers_are_reminded_three_times_and_then_it_expires(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, request())
        for _ in range(5):
            shipped.later(days=1, minutes=1)
        assert len(shipped.other_side.of("notify")) == 3
        shipped.later(days=10)
        assert shipped.outcome(process) == ("completed", "OneExpired")
        assert len(shipped.other_side.of("pkakey.refuse")) == 1
        assert shipped.task(process) is None


class TestFourEyes:
    KEY = "certificate-approval-four-eyes"

    def test_two_different_officers_approve(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, request())
        shipped.decide(process, "approve", by="otto")
        shipped.decide(process, "approve", by="olga")
        shipped.work()
        assert shipped.outcome(process) == ("completed", "FourIssued")

    def test_the_same_officer_cannot_approve_twice(self, shipped: Any) -> None:
        from koolflows.services.errors import NotPermitted

        process = shipped.start(self.KEY, request())
        shipped.decide(process, "approve", by="otto")
        with pytest.raises(NotPermitted) as refusal:
            shipped.decide(process, "approve", by="otto")
        assert refusal.value.code == "task.own-request"

    @pytest.mark.parametrize("decisions", [["refuse"], ["approve", "refuse"]])
    def test_one_refusal_ends_it(self, shipped: Any, decisions: list[str]) -> None:
        process = shipped.start(self.KEY, request())
        for officer, decision in zip(["otto", "olga"], decisions, strict=False):
            shipped.decide(process, decision, by=officer)
        shipped.work()
        assert shipped.outcome(process) == ("completed", "FourRefused")
        assert shipped.other_side.of("pkakey.issue") == []

    @pytest.mark.parametrize("first", [False, True])
    def test_without_a_decision_it_expires(self, shipped: Any, *, first: bool) -> None:
        process = shipped.start(self.KEY, request())
        if first:
            shipped.decide(process, "approve")
        shipped.later(days=15)
        assert shipped.outcome(process) == ("completed", "FourExpired")

    def test_what_pkakey_refuses_is_not_issued(self, shipped: Any) -> None:
        shipped.other_side.answers["pkakey.issue"] = refused_outside()
        process = shipped.start(self.KEY, request())
        shipped.decide(process, "approve", by="otto")
        shipped.decide(process, "approve", by="olga")
        shipped.work()
        assert shipped.outcome(process) == ("completed", "FourNotIssued")


class TestByRisk:
    KEY = "certificate-approval-by-risk"

    def test_a_small_risk_needs_no_human(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, request(validity_days=30))
        shipped.work()
        assert shipped.outcome(process) == ("completed", "RiskIssued")

    def test_a_small_risk_that_pkakey_refuses_is_not_issued(self, shipped: Any) -> None:
        shipped.other_side.answers["pkakey.issue"] = refused_outside()
        process = shipped.start(self.KEY, request(validity_days=30))
        shipped.work()
        assert shipped.outcome(process) == ("completed", "RiskNotIssued")

    @pytest.mark.parametrize(
        "facts", [{"validity_days": 100}, {"names": [f"h{n}.example.test" for n in range(11)]}]
    )
    def test_a_middling_risk_needs_one_officer(self, shipped: Any, facts: dict[str, Any]) -> None:
        process = shipped.start(self.KEY, request(**facts))
        shipped.decide(process, "approve", element="OneApprove")
        shipped.work()
        assert shipped.outcome(process) == ("completed", "RiskOneDone")
        assert len(shipped.other_side.of("pkakey.issue")) == 1

    @pytest.mark.parametrize("facts", [{"validity_days": 365}, {"wildcard": True}])
    def test_a_great_risk_needs_two(self, shipped: Any, facts: dict[str, Any]) -> None:
        process = shipped.start(self.KEY, request(**facts))
        shipped.decide(process, "approve", by="otto", element="FourFirst")
        shipped.decide(process, "approve", by="olga", element="FourSecond")
        shipped.work()
        assert shipped.outcome(process) == ("completed", "RiskTwoDone")


class TestNamespaceGrant:
    KEY = "namespace-grant"

    def grant(self) -> dict[str, Any]:
        return {
            "team": "x",
            "pattern": "*.x.internal",
            "profile": "tls-server",
            "until": "2030-01-01T00:00:00+00:00",
            "purpose": "our test hosts",
        }

    def test_an_approved_grant_is_recorded_and_told(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, self.grant())
        shipped.decide(process, "approve")
        shipped.work()
        assert shipped.outcome(process) == ("completed", "Granted")
        assert shipped.other_side.of("pkakey.grant")[0].parameters["pattern"] == "*.x.internal"
        assert len(shipped.other_side.of("notify")) == 1

    def test_a_refused_grant_changes_nothing(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, self.grant())
        shipped.decide(process, "refuse")
        shipped.work()
        assert shipped.outcome(process) == ("completed", "GrantRefused")
        assert shipped.other_side.asked == []

    def test_a_grant_that_pkakey_refuses_is_not_recorded(self, shipped: Any) -> None:
        shipped.other_side.answers["pkakey.grant"] = refused_outside()
        process = shipped.start(self.KEY, self.grant())
        shipped.decide(process, "approve")
        shipped.work()
        assert shipped.outcome(process) == ("completed", "GrantNotRecorded")

    def test_a_grant_that_nobody_decides_expires(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, self.grant())
        shipped.later(days=31)
        assert shipped.outcome(process) == ("completed", "GrantExpired")


class TestRevocation:
    KEY = "revocation-request"

    def ask(self, reason: str) -> dict[str, Any]:
        return {"serial_number": "0a1b", "reason": reason, "explanation": "It was lost."}

    def test_a_compromised_key_waits_for_nobody(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, self.ask("keyCompromise"))
        shipped.work()
        assert shipped.outcome(process) == ("completed", "Revoked")
        assert shipped.other_side.of("pkakey.revoke")[0].parameters["serial_number"] == "0a1b"

    @pytest.mark.parametrize(
        ("decision", "end"), [("approve", "Revoked"), ("refuse", "RevokeRefused")]
    )
    def test_anything_else_is_decided(self, shipped: Any, decision: str, end: str) -> None:
        process = shipped.start(self.KEY, self.ask("superseded"))
        shipped.decide(process, decision)
        shipped.work()
        assert shipped.outcome(process) == ("completed", end)

    def test_a_late_decision_is_escalated_to_administrators(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, self.ask("superseded"))
        assert shipped.task(process).roles == ["pki-officer"]
        shipped.later(days=2, minutes=1)
        assert shipped.task(process).roles == ["pki-officer", "pki-admin"]
        assert "escalated" in shipped.kinds(process)
        shipped.decide(process, "approve", by="anna", roles=("pki-admin",))
        shipped.work()
        assert shipped.outcome(process) == ("completed", "Revoked")

    def test_what_pkakey_refuses_is_not_revoked(self, shipped: Any) -> None:
        shipped.other_side.answers["pkakey.revoke"] = refused_outside("revocation.already")
        process = shipped.start(self.KEY, self.ask("keyCompromise"))
        shipped.work()
        assert shipped.outcome(process) == ("completed", "NotRevoked")


class TestActivation:
    KEY = "ca-activation"
    ASK: ClassVar = {"authority": "0b0c", "name": "Issuing CA 2", "holders": 3}

    def agree(self, shipped: Any, process: Any, *holders: str) -> None:
        for holder in holders:
            shipped.decide(process, "approve", by=holder, element="CaAgree")

    def test_so_many_holders_agree_and_the_ceremony_is_confirmed(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, self.ASK)
        self.agree(shipped, process, "hans", "hilde")
        shipped.work()
        assert shipped.other_side.asked == []
        self.agree(shipped, process, "horst")
        shipped.work()
        shipped.decide(process, "approve", element="CaConfirm")
        shipped.work()
        assert shipped.outcome(process) == ("completed", "CaActive")
        acts = [effect.parameters["act"] for effect in shipped.other_side.of("pkakey.act")]
        assert acts == ["activate-authority"]

    def test_no_holder_counts_twice(self, shipped: Any) -> None:
        from koolflows.services.errors import NotPermitted

        process = shipped.start(self.KEY, self.ASK)
        self.agree(shipped, process, "hans")
        with pytest.raises(NotPermitted):
            self.agree(shipped, process, "hans")

    def test_one_refusal_ends_it(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, self.ASK)
        self.agree(shipped, process, "hans")
        shipped.decide(process, "refuse", by="hilde")
        shipped.work()
        assert shipped.outcome(process) == ("completed", "CaRefused")
        assert shipped.other_side.asked == []

    def test_a_ceremony_that_is_not_confirmed_is_undone(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, self.ASK)
        self.agree(shipped, process, "hans", "hilde", "horst")
        shipped.work()
        shipped.decide(process, "refuse", element="CaConfirm")
        shipped.work()
        assert shipped.outcome(process) == ("completed", "CaUndone")
        acts = [effect.parameters["act"] for effect in shipped.other_side.of("pkakey.act")]
        assert acts == ["activate-authority", "deactivate-authority"]

    def test_what_pkakey_refuses_is_not_activated(self, shipped: Any) -> None:
        shipped.other_side.answers["pkakey.act"] = refused_outside()
        process = shipped.start(self.KEY, self.ASK)
        self.agree(shipped, process, "hans", "hilde", "horst")
        shipped.work()
        assert shipped.outcome(process) == ("completed", "CaNotActivated")

    def test_without_enough_holders_it_expires(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, self.ASK)
        self.agree(shipped, process, "hans")
        shipped.later(days=8)
        assert shipped.outcome(process) == ("completed", "CaExpired")


class TestProfileChange:
    KEY = "profile-change"
    ASK: ClassVar = {
        "profile": "tls-server",
        "document": '{"name": "tls-server"}',
        "why": "Shorter.",
    }

    def test_an_officer_reviews_and_an_administrator_approves(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, self.ASK)
        shipped.decide(process, "approve", by="otto", roles=("pki-officer",))
        shipped.decide(process, "approve", by="anna", roles=("pki-admin",))
        shipped.work()
        assert shipped.outcome(process) == ("completed", "ProfileChanged")
        (effect,) = shipped.other_side.of("pkakey.act")
        assert effect.parameters["subject"]["profile"] == "tls-server"

    @pytest.mark.parametrize(
        ("decisions", "end"),
        [(["refuse"], "ProfileNotReviewed"), (["approve", "refuse"], "ProfileRefused")],
    )
    def test_either_may_refuse(self, shipped: Any, decisions: list[str], end: str) -> None:
        process = shipped.start(self.KEY, self.ASK)
        for person, decision in zip(["otto", "anna"], decisions, strict=False):
            shipped.decide(process, decision, by=person)
        shipped.work()
        assert shipped.outcome(process) == ("completed", end)

    def test_what_pkakey_refuses_is_not_changed(self, shipped: Any) -> None:
        shipped.other_side.answers["pkakey.act"] = refused_outside("profile.malformed")
        process = shipped.start(self.KEY, self.ASK)
        shipped.decide(process, "approve", by="otto")
        shipped.decide(process, "approve", by="anna")
        shipped.work()
        assert shipped.outcome(process) == ("completed", "ProfileNotChanged")


class TestExpiryChase:
    KEY = "expiry-chase"

    def ask(self, shipped: Any, days: int = 30) -> dict[str, Any]:
        end = (shipped.now + timedelta(days=days)).isoformat()
        return {"serial_number": "0a", "name": "www", "owner": "rita", "not_after": end}

    @pytest.mark.parametrize(
        ("done", "end"), [("renewed", "ChaseRenewed"), ("not-needed", "ChaseNotNeeded")]
    )
    def test_somebody_says_what_was_done(self, shipped: Any, done: str, end: str) -> None:
        process = shipped.start(self.KEY, self.ask(shipped))
        shipped.work()
        shipped.decide(process, {"outcome": done}, by="rita")
        assert shipped.outcome(process) == ("completed", end)

    def test_a_renewal_that_pkakey_saw_ends_it(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, self.ask(shipped))
        shipped.work()
        shipped.services.deliver(
            principal=shipped.person("otto"),
            name="certificate.renewed",
            business_key="0a",
            payload={"serial_number": "0b"},
            message_id="event-1",
            now=shipped.now,
        )
        assert shipped.outcome(process) == ("completed", "ChaseSeenEnd")

    def test_it_reminds_escalates_opens_a_ticket_and_expires(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, self.ask(shipped))
        shipped.work()
        assert len(shipped.other_side.of("notify")) == 1
        for _ in range(2):
            shipped.later(days=7, minutes=1)
        assert len(shipped.other_side.of("notify")) == 3
        assert "pki-admin" in shipped.task(process).roles
        shipped.later(days=7, minutes=1)
        (ticket,) = shipped.other_side.of("webhook")
        assert ticket.parameters["target"] == "tickets"
        shipped.later(days=10)
        assert shipped.outcome(process) == ("completed", "ChaseExpired")
        assert len(shipped.other_side.of("notify")) == 4

    def test_a_ticket_that_cannot_be_opened_does_not_end_the_chase(self, shipped: Any) -> None:
        shipped.other_side.answers["webhook"] = refused_outside("webhook.unknown")
        process = shipped.start(self.KEY, self.ask(shipped))
        shipped.work()
        shipped.later(days=22)
        found = shipped.process(process)
        assert found.state == "running"
        assert "ChaseTicketFailed" in found.path


class TestDrill:
    KEY = "mass-replacement-drill"
    ASK: ClassVar = {"why": "A key leaked.", "serial_numbers": ["0a", "0b", "0c"]}

    def begin(self, shipped: Any) -> Any:
        process = shipped.start(self.KEY, self.ASK)
        shipped.decide(process, {"outcome": "begin", "reason": "yearly"})
        shipped.work()
        return process

    @pytest.mark.parametrize(
        ("result", "end"), [("passed", "DrillPassed"), ("failed", "DrillFailed")]
    )
    def test_every_certificate_is_replaced_and_it_is_reported(
        self, shipped: Any, result: str, end: str
    ) -> None:
        process = self.begin(shipped)
        renewed = [one.parameters["serial_number"] for one in shipped.other_side.of("pkakey.renew")]
        assert renewed == ["0a", "0b", "0c"]
        shipped.decide(process, {"outcome": result, "report": "It took two minutes."})
        assert shipped.outcome(process) == ("completed", end)

    def test_a_drill_can_be_called_off(self, shipped: Any) -> None:
        process = shipped.start(self.KEY, self.ASK)
        shipped.decide(process, {"outcome": "call-off", "reason": "holiday"})
        shipped.work()
        assert shipped.outcome(process) == ("completed", "DrillCalledOff")
        assert shipped.other_side.asked == []

    def test_a_certificate_that_cannot_be_replaced_stops_it(self, shipped: Any) -> None:
        shipped.other_side.answers["pkakey.renew"] = refused_outside("certificate.unknown")
        process = self.begin(shipped)
        assert shipped.outcome(process) == ("completed", "DrillStoppedEnd")
        assert (
            len([one for one in shipped.other_side.asked if one.operation == "pkakey.renew"]) == 1
        )


def test_deploying_the_shipped_diagrams_again_changes_nothing(shipped: Any) -> None:
    with shipped.as_role("koolflows_worker"):
        assert shipped.services.deploy_shipped(DIAGRAMS, now=shipped.now) == []
