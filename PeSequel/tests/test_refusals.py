"""What the real PostgREST refuses: tokens, writes, schemas and internals."""

import base64
import hmac
import json
import time
from typing import Any

import pytest

VIEWS = [
    "certificates", "authorities", "profiles", "requests", "revocations", "audit_entries",
    "expiring", "algorithms", "daily_counts", "freshness",
]  # fmt: skip


def test_without_a_token_nothing_is_shown(data_api: Any) -> None:
    for path in ["/", *(f"/{view}" for view in VIEWS), "/rpc/search_by_name?name=example"]:
        answer = data_api.get(path, token="")
        assert answer.status_code == 401, path
        assert "token" in answer.json()["message"]
        assert "example" not in answer.text


def unsigned(data_api: Any) -> str:
    _, body, _ = data_api.signer.token().split(".")
    head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    return f"{head}.{body}."


def signed_with_the_public_key(data_api: Any) -> str:
    """Return the classic confusion: HS256 with the public key as the secret."""
    _, body, _ = data_api.signer.token().split(".")
    said = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"ours","typ":"JWT"}').rstrip(b"=")
    head = said.decode()
    mac = hmac.digest(data_api.signer.jwks().encode(), f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def test_a_token_without_or_with_a_foreign_signature_is_refused(
    data_api: Any, stranger: Any
) -> None:
    good = data_api.signer.token()
    head, body, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["namespace"] = "guest"
    other = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    for token in (
        unsigned(data_api),
        signed_with_the_public_key(data_api),
        stranger.token(),
        f"{head}.{other}.{signature}",
        f"{head}.{body}.",
        "not-a-token",
        "a.b.c",
    ):
        answer = data_api.get("/certificates", token=token)
        assert answer.status_code == 401, token
        assert "CN=" not in answer.text
    assert data_api.get("/certificates", token=good).status_code == 200


NOW = int(time.time())
BAD_CLAIMS = [
    pytest.param({"exp": NOW - 3600}, 401, id="expired"),
    pytest.param({"exp": None}, 401, id="never expires"),
    pytest.param({"nbf": NOW + 3600}, 401, id="not valid yet"),
    pytest.param({"iat": NOW + 3600}, 401, id="from the future"),
    pytest.param({"iss": "https://evil.example"}, 401, id="foreign issuer"),
    pytest.param({"iss": None}, 401, id="no issuer"),
    pytest.param({"iss": "https://pkakey.theddt.test:8443/"}, 401, id="almost the issuer"),
    pytest.param({"aud": "pkakey"}, 401, id="foreign audience"),
    pytest.param({"aud": None}, 401, id="no audience"),
    pytest.param({"aud": []}, 401, id="empty audience"),
    pytest.param({"aud": ["pkakey", "koolflows"]}, 401, id="foreign audiences"),
    pytest.param({"aud": "pesequel pkakey"}, 401, id="two audiences in one text"),
    pytest.param({"sub": None}, 403, id="nobody"),
    pytest.param({"sub": ""}, 403, id="an empty subject"),
    pytest.param({"namespace": None}, 403, id="no namespace"),
    pytest.param({"namespace": ""}, 403, id="empty namespace"),
    pytest.param({"namespace": ["default"]}, 403, id="a list of namespaces"),
    pytest.param({"namespace": "default' OR '1'='1"}, 403, id="SQL in the namespace"),
    pytest.param({"roles": []}, 403, id="no role and no data:read"),
    pytest.param({"roles": None}, 403, id="no roles at all"),
    pytest.param({"roles": ["db-admin"]}, 403, id="db-admin reads no certificates"),
    pytest.param({"roles": ["content-editor"]}, 403, id="content-editor"),
    pytest.param({"roles": "pki"}, 403, id="part of a role"),
    pytest.param({"roles": {"pki-admin": True}}, 403, id="roles as an object"),
    pytest.param({"roles": [], "scope": "certificates:issue"}, 403, id="a scope of another kind"),
    pytest.param({"scope": "certificates:issue"}, 403, id="a person's role, but a narrower scope"),
    pytest.param({"roles": [], "scope": "xdata:read"}, 403, id="almost data:read"),
    pytest.param({"roles": [], "scope": {"data:read": 1}}, 403, id="scope as an object"),
    pytest.param({"roles": ["db-admin"], "scope": "data:read"}, 403, id="scope beyond the role"),
    pytest.param({"role": "web_anon"}, 401, id="the anonymous role"),
    pytest.param({"role": "postgres"}, 403, id="the superuser"),
    pytest.param({"role": "inventory_owner"}, 403, id="the owner of the tables"),
    pytest.param({"role": "api_owner"}, 403, id="the owner of the views"),
    pytest.param({"role": "authenticator"}, 403, id="the authenticator itself"),
    pytest.param({"role": "inventory_writer"}, 403, id="the relay's role"),
    pytest.param({"role": "people_auditor"}, 403, id="the role of people in SQL"),
    pytest.param({"role": "web_user; SET ROLE postgres"}, 403, id="SQL in the role"),
]


@pytest.mark.parametrize(("changes", "status"), BAD_CLAIMS)
def test_a_token_that_says_too_little_or_the_wrong_thing_is_refused(
    data_api: Any, changes: dict[str, Any], status: int
) -> None:
    answer = data_api.get("/certificates", token=data_api.signer.token(**changes))
    if "role" in changes and changes["role"] != "web_anon":
        # PostgreSQL itself refuses to become that role.
        assert answer.status_code in {400, 401, 403, 404}, answer.text
    elif changes == {"role": "web_anon"}:
        assert answer.status_code in {401, 403}, answer.text
    else:
        assert answer.status_code == status, answer.text
    assert "CN=" not in answer.text


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_nothing_can_be_written(data_api: Any, view: str, method: str) -> None:
    token = data_api.signer.token(roles=["pki-admin"])
    path = f"/{view}?namespace=eq.default" if method in {"PATCH", "DELETE"} else f"/{view}"
    answer = data_api.call(method, path, token=token, body={"namespace": "default"})
    assert answer.status_code in {400, 405}, answer.text


@pytest.mark.parametrize("schema", ["inventory", "gate", "public", "pg_catalog", "pg_temp", "x"])
def test_other_schemas_cannot_be_asked_for(data_api: Any, schema: str) -> None:
    answer = data_api.get("/certificate", Accept_Profile=schema)
    assert answer.status_code == 406, answer.text
    answer = data_api.call("POST", "/rpc/reset", body={}, Content_Profile=schema)
    assert answer.status_code == 406, answer.text


@pytest.mark.parametrize(
    "function",
    [
        "deliver", "reset", "matching", "state", "hex", "check_request", "check_claims", "claims",
        "namespace", "reads_all", "new_schema", "lock_key", "set_config", "pg_read_file",
        "pg_sleep", "pg_terminate_backend", "lo_import", "guard_team_table", "refuse",
    ],
)  # fmt: skip
def test_internal_functions_cannot_be_called(data_api: Any, function: str) -> None:
    answer = data_api.call("POST", f"/rpc/{function}", body={})
    assert answer.status_code == 404, answer.text


def test_the_tables_behind_the_views_are_not_there(data_api: Any) -> None:
    for table in ("certificate", "authority", "audit_entry", "progress", "secret", "issuer"):
        assert data_api.get(f"/{table}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "?select=*,inventory(*)",
        "?select=certificate_id,secret",
        "?order=nothing.desc",
        "?serial_number=xx.1",
        "?not_after=gte.yesterday-ish-or-so",
        "?limit=-1",
        "?select=count()",
        "?and=(serial_number.eq",
        "?certificate_id=eq.1;DROP TABLE inventory.certificate",
    ],
)
def test_a_question_that_makes_no_sense_is_told_so(data_api: Any, query: str) -> None:
    answer = data_api.get(f"/certificates{query}")
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["message"]
    again = data_api.get("/certificates?limit=1")
    assert again.status_code == 200, again.text


@pytest.mark.parametrize("name", ["", "  ", "ab", " ab ", "x" * 256])
def test_a_search_for_too_little_or_too_much_is_refused_with_a_sentence(
    data_api: Any, name: str
) -> None:
    answer = data_api.call("POST", "/rpc/search_by_name", body={"name": name})
    assert answer.status_code == 400, answer.text
    assert "3 to 255" in answer.json()["hint"]


@pytest.mark.parametrize("value", ["", "zz", "'; --", "%", "0x", "\u0000"[:0] + "é"])
def test_hex_that_is_none_finds_nothing(data_api: Any, value: str) -> None:
    for name, field in (
        ("serial_number", "serial_number"),
        ("fingerprint", "fingerprint"),
        ("key_id", "key_id"),
    ):
        answer = data_api.call("POST", f"/rpc/search_by_{name}", body={field: value})
        assert (answer.status_code, answer.json()) == (200, [])


def test_a_foreign_page_gets_no_leave_to_read(data_api: Any) -> None:
    answer = data_api.get("/certificates?limit=1", Origin="https://evil.example")
    assert "access-control-allow-origin" not in answer.headers
    own = data_api.get("/certificates?limit=1", Origin="https://pkakey.theddt.test:8443")
    assert own.headers["access-control-allow-origin"] == "https://pkakey.theddt.test:8443"
