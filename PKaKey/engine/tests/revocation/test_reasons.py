from collections.abc import Callable

import pytest
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.revocation import (
    RevocationReason,
    check_revocation_reason,
    parse_revocation_reason,
)

Expect = Callable[[Refusal, Callable[[], object]], Refused]


def test_each_reason_is_known_by_its_rfc_5280_name_and_number() -> None:
    codes = {reason.value: reason.code for reason in RevocationReason}
    assert codes == {
        "unspecified": 0,
        "keyCompromise": 1,
        "cACompromise": 2,
        "affiliationChanged": 3,
        "superseded": 4,
        "cessationOfOperation": 5,
        "certificateHold": 6,
        "privilegeWithdrawn": 9,
        "aACompromise": 10,
    }
    assert all(parse_revocation_reason(name).value == name for name in codes)


@pytest.mark.parametrize(
    "text",
    ["", "keycompromise", "KEY_COMPROMISE", "1", " keyCompromise", "removeFromCRL", "x" * 99],
)
def test_an_unknown_reason_is_refused_with_the_known_ones(text: str, refused: Expect) -> None:
    error = refused(Refusal.REVOCATION_REASON_UNKNOWN, lambda: parse_revocation_reason(text))
    assert "keyCompromise" in error.detail


@pytest.mark.parametrize("is_authority", [True, False])
@pytest.mark.parametrize(
    "reason", [RevocationReason.CERTIFICATE_HOLD, RevocationReason.AA_COMPROMISE]
)
def test_a_reason_that_is_not_offered_is_refused(
    reason: RevocationReason,
    is_authority: bool,  # noqa: FBT001 - a row's field.
    refused: Expect,
) -> None:
    refused(
        Refusal.REVOCATION_REASON_NOT_ALLOWED,
        lambda: check_revocation_reason(reason, is_authority=is_authority),
    )


def test_ca_compromise_is_for_authorities_only(refused: Expect) -> None:
    check_revocation_reason(RevocationReason.CA_COMPROMISE, is_authority=True)
    refused(
        Refusal.REVOCATION_REASON_NOT_ALLOWED,
        lambda: check_revocation_reason(RevocationReason.CA_COMPROMISE, is_authority=False),
    )


def test_the_usual_reasons_are_for_everyone() -> None:
    for reason in (RevocationReason.KEY_COMPROMISE, RevocationReason.SUPERSEDED):
        for is_authority in (True, False):
            check_revocation_reason(reason, is_authority=is_authority)
