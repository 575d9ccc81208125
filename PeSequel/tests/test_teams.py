"""A team's own schema: its tables and functions are in the API at once, for its namespace only."""

import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pesequel.errors import TroubleError
from pesequel.teams import new_schema
from psycopg import errors, sql

PASSWORD = "for-tests-only"
GUIDE = Path(__file__).parents[2] / "docs" / "data-api.md"


def examples(language: str) -> str:
    """Return what the guide shows in this language."""
    blocks = re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert blocks
    return "\n".join(blocks)


@pytest.fixture(scope="module")
def turn(database_admin_url: str) -> Iterator[None]:
    """Let one worker at once have teams: their roles belong to the whole server."""
    with psycopg.connect(database_admin_url, autocommit=True) as admin:
        admin.execute("SELECT pg_advisory_lock(hashtext('the tests of teams'))")
        yield


@pytest.fixture(scope="module")
def teams(
    turn: None, data_api: Any, data_dsn: Callable[[str], str]
) -> Iterator[Callable[[str], str]]:
    """Two teams: `fleet` of the namespace default, `lab` of guest; how each signs in to SQL."""
    database = psycopg.conninfo.conninfo_to_dict(data_api.admin_url)["dbname"]
    for team, namespace in (("fleet", "default"), ("lab", "guest")):
        new_schema(
            data_api.admin_url,
            team=team,
            namespace=namespace,
            password=PASSWORD,
            database=str(database),
        )
    with psycopg.connect(data_dsn("team_fleet"), autocommit=True) as fleet:
        fleet.execute(examples("sql"))
    with psycopg.connect(data_dsn("team_lab"), autocommit=True) as lab:
        lab.execute("CREATE TABLE lab.sample (id integer PRIMARY KEY)")
        lab.execute("INSERT INTO lab.sample VALUES (1)")
    yield lambda team: data_dsn(f"team_{team}")
    with psycopg.connect(data_api.admin_url, autocommit=True) as admin:
        for team in ("fleet", "lab"):
            name = sql.Identifier(team)
            owner = sql.Identifier(f"team_{team}")
            admin.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(name))
            admin.execute(sql.SQL("DROP OWNED BY {}").format(owner))
            admin.execute(sql.SQL("DROP ROLE {}").format(owner))


def answer(
    data_api: Any,
    path: str,
    schema: str,
    *,
    method: str = "GET",
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    **claims: Any,
) -> Any:
    """Ask until PostgREST has heard of the new schema, and of the table it is asked about."""
    token = data_api.signer.token(roles=["pki-requester"], **claims)
    sent = {**(headers or {}), ("Accept_Profile" if method == "GET" else "Content_Profile"): schema}
    deadline = time.monotonic() + 30
    while True:
        got = data_api.call(method, path, token=token, body=body, **sent)
        if got.status_code not in {404, 406} or time.monotonic() > deadline:
            return got
        time.sleep(0.1)


def test_a_table_and_a_function_have_an_api_at_once(data_api: Any, teams: Any) -> None:
    hosts = answer(data_api, "/host?order=name", "fleet")
    assert hosts.status_code == 200, hosts.text
    assert [row["name"] for row in hosts.json()] == ["mail.example.test", "www.example.test"]
    found = answer(data_api, "/rpc/hosts_of?contact=ada", "fleet")
    assert found.json() == [{"name": "www.example.test", "contact": "ada"}]
    row = {"name": "new.example.test", "contact": "ada"}
    made = answer(data_api, "/host", "fleet", method="POST", body=row)
    assert made.status_code == 201, made.text
    gone = answer(data_api, "/host?name=eq.new.example.test", "fleet", method="DELETE")
    assert gone.status_code == 204, gone.text


def test_two_teams_cannot_see_each_other(data_api: Any, teams: Any) -> None:
    ours = answer(data_api, "/sample", "lab", namespace="guest")
    assert ours.json() == [{"id": 1}]
    assert answer(data_api, "/sample", "lab").status_code == 403
    assert answer(data_api, "/host", "fleet", namespace="guest").status_code == 403
    with (
        psycopg.connect(teams("lab")) as lab,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        lab.execute("SELECT * FROM fleet.host")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM inventory.certificate",
        "SELECT * FROM api.certificates",
        "SELECT * FROM gate.secret",
        "SET ROLE postgres",
        "SET ROLE api_owner",
        "CREATE TABLE api.mine (id integer)",
        "CREATE TABLE public.mine (id integer)",
        "CREATE VIEW fleet.all_hosts AS SELECT * FROM fleet.host",
        "SELECT gate.new_schema('other', 'guest')",
    ],
)
def test_a_team_stays_in_its_schema(teams: Any, statement: str) -> None:
    with (
        psycopg.connect(teams("fleet")) as fleet,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        fleet.execute(statement)


def test_row_level_security_stays_even_when_a_policy_is_added(data_api: Any, teams: Any) -> None:
    with psycopg.connect(teams("fleet")) as fleet:
        fleet.execute("CREATE POLICY open ON fleet.host FOR ALL TO PUBLIC USING (true)")
        fleet.execute("SET LOCAL row_security = on")
        restrictive = fleet.execute(
            "SELECT polpermissive FROM pg_policy WHERE polname = 'own_namespace' "
            "AND polrelid = 'fleet.host'::regclass"
        ).fetchone()
        fleet.rollback()
    assert restrictive == (False,)


@pytest.mark.parametrize(
    "team", ["api", "gate", "inventory", "pg_x", "A", "a-b", "1a", "", "x" * 41]
)
def test_a_bad_name_is_refused_with_a_sentence(data_api: Any, team: str) -> None:
    database = str(psycopg.conninfo.conninfo_to_dict(data_api.admin_url)["dbname"])
    with pytest.raises(TroubleError, match=r"cannot be called .* 1 to 40"):
        new_schema(
            data_api.admin_url,
            team=team,
            namespace="default",
            password=PASSWORD,
            database=database,
        )


def test_an_unknown_namespace_and_a_schema_of_another_are_refused(
    data_api: Any, teams: Any
) -> None:
    database = str(psycopg.conninfo.conninfo_to_dict(data_api.admin_url)["dbname"])
    for team, namespace, said in (
        ("other", "nowhere", "knows no namespace"),
        ("fleet", "guest", "belongs to another namespace"),
    ):
        with pytest.raises(TroubleError, match=said):
            new_schema(
                data_api.admin_url,
                team=team,
                namespace=namespace,
                password=PASSWORD,
                database=database,
            )


def test_every_request_that_the_guide_shows_is_answered(data_api: Any, teams: Any) -> None:
    asked = 0
    for line in examples("sh").splitlines():
        words = shlex.split(line)
        address = next((word for word in words if word.startswith("$DATA/")), None)
        if address is None:
            continue
        pairs = pairwise(words)
        given = [word.split(": ", 1) for option, word in pairs if option == "-H"]
        headers = {name.replace("-", "_"): value for name, value in given if "$" not in value}
        answered = answer(
            data_api,
            address.removeprefix("$DATA"),
            headers.pop("Accept_Profile", "api"),
            headers=headers,
        )
        assert answered.status_code in {200, 206}, (line, answered.text)
        asked += 1
    assert asked >= 5
