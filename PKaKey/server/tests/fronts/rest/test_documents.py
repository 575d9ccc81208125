"""The API describes itself, to anyone, under the strict content security policy."""

import re

from django.contrib.staticfiles import finders

from PKaKey.server.tests.fronts.rest.rest_client import RESTClient


def test_the_openapi_document_is_public_and_of_version_3_1(anonymous: RESTClient) -> None:
    answer = anonymous.get("openapi.json")
    assert answer.status_code == 200
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/certificates/" in document["paths"]
    assert not [path for path in document["paths"] if not path.startswith("/api/v1/")]


def test_the_document_need_not_be_sent_twice(anonymous: RESTClient) -> None:
    tag = anonymous.get("openapi.json").headers["ETag"]
    again = anonymous.get("openapi.json", **{"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_every_operation_is_named_described_secured_and_has_its_problems(
    anonymous: RESTClient,
) -> None:
    document = anonymous.get("openapi.json").json()
    names = []
    for item in document["paths"].values():
        for operation in item.values():
            names.append(operation["operationId"])
            assert operation["description"]
            assert operation["security"] == [{"token": []}, {"session": []}]
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"]
    assert len(names) == len(set(names)) == 18


def test_the_docs_are_public_and_hold_no_inline_script_or_style(anonymous: RESTClient) -> None:
    answer = anonymous.get("docs/")
    assert answer.status_code == 200
    page = answer.content.decode()
    assert not re.search(r"<style|style=|<script>|\son\w+=", page)
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_the_docs_are_made_of_files_of_our_own(anonymous: RESTClient) -> None:
    page = anonymous.get("docs/").content.decode()
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert address.startswith("/")
        if address.startswith("/static/"):
            assert finders.find(address.removeprefix("/static/")), address
        else:
            assert anonymous.get(address.removeprefix("/api/v1/")).status_code == 200


def test_the_starting_script_names_the_document_and_asks_no_third_host(
    anonymous: RESTClient,
) -> None:
    answer = anonymous.get("docs/start.js")
    assert answer.headers["Content-Type"].startswith("text/javascript")
    script = answer.content.decode()
    assert '"url": "/api/v1/openapi.json"' in script
    assert '"validatorUrl": null' in script
    assert "//" not in script.replace('"/api', "")


def test_the_documents_cannot_be_changed(anonymous: RESTClient) -> None:
    for path in ("openapi.json", "docs/", "docs/start.js"):
        assert anonymous.send("POST", path).status_code == 405
