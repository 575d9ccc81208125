"""schemathesis reads KoolFlows' OpenAPI document and tries what it allows, and what it does not.

It checks for each answer: no 5xx, a status and media type that the document names, a body of the
documented shape, and that leaving the token out or making it up is noticed.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

pytestmark = pytest.mark.timeout(600)
EXAMPLES = 25


@cache
def django_application() -> Any:
    from koolflows.config.wsgi import application as made

    return made


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    answer: Iterable[bytes] = django_application()(environ, start_response)
    return answer


def document_text() -> bytes:
    from koolflows.fronts.rest.openapi import _document

    return _document()[0]


document: Any = schemathesis.openapi.from_dict(json.loads(document_text()))
document.app = application


@document.parametrize()  # type: ignore[untyped-decorator]  # schemathesis has no types here.
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_operation_keeps_to_the_document(case: Any, shipped: Any, issuer: Any) -> None:
    token = issuer.token(
        now=datetime.now(tz=UTC), audience="koolflows", sub="dora", name="Dora",
        roles=["pki-admin", "pki-officer"],
    )  # fmt: skip
    case.call_and_validate(
        # A request of the right shape names a process, task or diagram that is not there, mostly.
        excluded_checks=[positive_data_acceptance],
        headers={
            "Host": "flows.theddt.localhost",
            "X-Forwarded-Proto": "https",
            "Authorization": f"Bearer {token}",
        },
    )
