"""schemathesis reads the OpenAPI document and tries what it allows, and what it does not.

It checks for each answer: no 5xx, a status and media type that the document names, a body of the
documented shape, refusal of what breaks the schema, 405 for other methods, and that leaving the
token out or making it up is noticed.
"""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from pkakey.config.site import make_site
from pkakey.fronts.rest.openapi import document_bytes
from pkakey_engine.testing import make_csr
from schemathesis.specs.openapi.checks import (
    positive_data_acceptance,
    response_schema_conformance,
)

from PKaKey.server.tests.conftest import Platform
from PKaKey.server.tests.fronts.conftest import granted
from PKaKey.server.tests.fronts.rest.rest_client import HOST, RESTClient

pytestmark = pytest.mark.timeout(600)
EXAMPLES = 30
# Here a request of the right shape may still be refused: for its CSR, cursor or last day.
JUDGED = {
    "GET /api/v1/certificates/", "POST /api/v1/certificates/", "POST /api/v1/tokens/",
    "GET /api/v1/grants/",
}  # fmt: skip


@cache
def django_application() -> Any:
    # Made at the first request, when the platform's use cases are in their place.
    return make_site()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    answer: Iterable[bytes] = django_application()(environ, start_response)
    return answer


document: Any = schemathesis.openapi.from_dict(json.loads(document_bytes()[0]))
document.app = application


def headers_of(client: RESTClient) -> dict[str, str]:
    return {
        "Host": HOST,
        "X-Forwarded-Proto": "https",
        "Authorization": f"Bearer {client.token}",
    }


@document.parametrize()  # type: ignore[untyped-decorator]  # schemathesis has no types here.
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_operation_keeps_to_the_document(
    case: Any, officer: RESTClient, count: Callable[[], int]
) -> None:
    before = count()
    case.call_and_validate(
        excluded_checks=[positive_data_acceptance] if case.operation.label in JUDGED else [],
        headers=headers_of(officer),
    )
    # Whatever was sent as a CSR was none, so nothing may be stored.
    assert count() == before


def test_every_successful_answer_has_the_documented_shape(
    officer: RESTClient, platform: Platform
) -> None:
    def call(method: str, path: str, body: object = None, **parameters: str) -> Any:
        case = document[f"/api/v1/{path}"][method].Case(path_parameters=parameters)
        if body is not None:
            case.body, case.media_type = body, "application/json"
        answer = case.call(headers=headers_of(officer))
        assert 200 <= answer.status_code < 300, answer.text
        case.validate_response(answer, checks=[response_schema_conformance])
        return answer

    csr = make_csr(dns=["shape.example.test"]).decode()
    issued = call("POST", "certificates/", {"csr": csr, "profile": "tls-server"}).json()
    one = {"serial_number": issued["serial_number"]}
    call("GET", "certificates/{serial_number}/", **one)
    call("POST", "certificates/{serial_number}/revoke/", {"reason": "superseded"}, **one)
    call("GET", "certificates/{serial_number}/", **one)
    call("GET", "certificates/")
    call("GET", "certificates/{serial_number}/{form}", **one, form="der")
    call("GET", "authorities/")
    call("GET", "authorities/{authority_id}/", authority_id=str(platform.issuing_id))
    call("GET", "authorities/{authority_id}/{form}", authority_id=str(platform.root_id), form="pem")
    grant = {"grant_id": str(granted(platform, "*.shape.internal", made=datetime.now(tz=UTC)))}
    call("GET", "grants/")
    call("GET", "grants/{grant_id}/", **grant)
    call("POST", "grants/{grant_id}/withdraw/", {"reason": "as agreed"}, **grant)
    call("GET", "grants/{grant_id}/", **grant)
    call("GET", "profiles/")
    call("GET", "profiles/{name}/", name="tls-server")
    made = call("POST", "tokens/", {"name": "shape", "scopes": ["certificates:read"]}).json()
    call("GET", "tokens/")
    call("DELETE", "tokens/{token_id}/", token_id=made["id"])
