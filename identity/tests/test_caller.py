"""What a token says about its caller, and what it may not say."""

from datetime import UTC, datetime
from typing import Any

import pytest
from theddt_identity import TokenRefused, caller_of
from theddt_identity.testing import Issuer

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


def claims(issuer: Issuer, **more: Any) -> dict[str, Any]:
    return issuer.claims(now=NOW, audience="pkakey", **more)


def test_a_missing_claim_gives_nothing(issuer: Issuer) -> None:
    names = ["roles", "namespace", "scope", "name", "email", "preferred_username", "azp", "sid"]
    caller = caller_of(claims(issuer, **dict.fromkeys(names)))
    assert caller.roles == caller.scopes == frozenset()
    assert caller.namespace is None
    assert caller.name == caller.username == caller.subject


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sub", None),
        ("sub", ""),
        ("sub", 5),
        ("sub", "x" * 256),
        ("sub", "line\nbreak"),
        ("preferred_username", ["ada"]),
        ("preferred_username", "a\u202eb"),
        ("name", {"a": 1}),
        ("email", "a\x00b"),
        ("namespace", ""),
        ("namespace", "Default"),
        ("namespace", "a" * 64),
        ("namespace", "-a"),
        ("namespace", "a;drop"),
        ("namespace", ["default"]),
        ("namespace", "default\n"),
        ("roles", "pki-admin"),
        ("roles", {"pki-admin": True}),
        ("roles", [5]),
        ("roles", [["pki-admin"]]),
        ("roles", ["pki admin"]),
        ("roles", ["x" * 65]),
        ("roles", [""]),
        ("roles", ["r"] * 101),
        ("scope", ["data:read"]),
        ("scope", 5),
        ("scope", "x" * 65),
        ("scope", "a " * 101),
    ],
)
def test_a_claim_of_another_form_is_refused_and_not_mended(
    issuer: Issuer, name: str, value: Any
) -> None:
    with pytest.raises(TokenRefused) as caught:
        caller_of(claims(issuer, **{name: value}))
    assert caught.value.code == "jwt.claims"


def test_scopes_are_words(issuer: Issuer) -> None:
    caller = caller_of(claims(issuer, scope="data:read  certificates:read"))
    assert caller.scopes == {"data:read", "certificates:read"}
