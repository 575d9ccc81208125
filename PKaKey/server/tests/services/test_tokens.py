"""API tokens and people."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pkakey.services.errors import Conflict, NotFound, NotPermitted, Unauthenticated


def authenticate(platform: Any, token: str, now: datetime | None = None) -> Any:
    return platform.services.authenticate_token(token, now or platform.now)


def test_a_token_proves_its_scopes_in_its_namespace(platform: Any) -> None:
    new = platform.token("certificates:read", "certificates:issue")
    holder = authenticate(platform, new.token)
    assert (holder.kind, holder.id, holder.namespace) == ("token", str(new.id), "default")
    assert holder.can("certificates:issue")
    assert not holder.can("certificates:revoke")
    assert platform.issue(principal=holder).serial_number


def test_only_a_digest_is_kept(platform: Any, admin_connection: Any) -> None:
    new = platform.token("certificates:read")
    row = admin_connection.execute("SELECT * FROM tokens_token WHERE id = %s", [new.id]).fetchone()
    assert len(new.token) == 47
    assert new.token not in repr(row)
    assert new.token[4:] not in repr(row)


@pytest.mark.parametrize(
    "came",
    ["", "ddt_", "x" * 47, "ddt_" + "A" * 43, "ddt_" + "A" * 42, "ddt_" + "A" * 44, "\x00" * 47],
)
def test_what_is_no_token_of_ours_is_unknown(platform: Any, came: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        authenticate(platform, came)
    assert caught.value.reason == "token.unknown"


def test_an_expired_token_is_told_so_even_when_it_was_just_used(platform: Any) -> None:
    new = platform.token("certificates:read", expires_at=platform.now + timedelta(minutes=1))
    authenticate(platform, new.token)
    authenticate(platform, new.token, platform.now + timedelta(seconds=59))
    with pytest.raises(Unauthenticated) as caught:
        authenticate(platform, new.token, platform.now + timedelta(minutes=1))
    assert caught.value.reason == "token.expired"


def test_a_revoked_token_reads_nothing_though_another_process_remembers_it(
    platform: Any, admin_connection: Any
) -> None:
    from pkakey.selectors import certificates

    new = platform.token("certificates:read")
    holder = authenticate(platform, new.token)
    admin_connection.execute("UPDATE tokens_token SET revoked_at = now()")
    with pytest.raises(Unauthenticated) as caught:
        certificates.list_certificates(holder, now=platform.now)
    assert caught.value.reason == "token.revoked"


def test_a_revoked_token_is_told_so(platform: Any) -> None:
    new = platform.token("certificates:read")
    authenticate(platform, new.token)
    for _ in range(2):
        platform.services.revoke_token(principal=platform.admin, token_id=new.id, now=platform.now)
    with pytest.raises(Unauthenticated) as caught:
        authenticate(platform, new.token)
    assert caught.value.reason == "token.revoked"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"scopes": []}, "token.scope"),
        ({"scopes": ["certificates:everything"]}, "token.scope"),
        ({"name": ""}, "token.name"),
        ({"name": "a\x00b"}, "token.name"),
        ({"name": "x" * 256}, "token.name"),
        ({"expires_in": timedelta(0)}, "token.expiry"),
        ({"expires_in": timedelta(days=-1)}, "token.expiry"),
        ({"expires_in": timedelta(days=367)}, "token.expiry"),
    ],
)
def test_a_token_that_makes_no_sense_is_not_created(
    platform: Any, admin_connection: Any, options: dict[str, Any], code: str
) -> None:
    before = admin_connection.execute("SELECT count(*) FROM tokens_token").fetchone()
    with pytest.raises(Conflict) as caught:
        platform.services.create_token(
            principal=platform.admin,
            name=options.get("name", "a token"),
            scopes=options.get("scopes", ["certificates:read"]),
            expires_at=platform.now + options.get("expires_in", timedelta(days=1)),
            now=platform.now,
        )
    assert caught.value.code == code
    assert admin_connection.execute("SELECT count(*) FROM tokens_token").fetchone() == before


def test_nobody_hands_on_what_they_do_not_have(platform: Any) -> None:
    requester = platform.principal("pki-requester")
    platform.token("certificates:issue", principal=requester)
    with pytest.raises(NotPermitted, match="certificates:revoke"):
        platform.token("certificates:revoke", principal=requester)


def test_a_requester_neither_sees_nor_revokes_the_tokens_of_others(platform: Any) -> None:
    from pkakey.selectors import tokens

    new = platform.token("certificates:read")
    other = replace(platform.principal("pki-requester"), id="99")
    assert tokens.list_tokens(other) == ()
    with pytest.raises(NotFound):
        platform.services.revoke_token(principal=other, token_id=new.id, now=platform.now)
    assert new.id in {item.id for item in tokens.list_tokens(platform.admin)}


def test_a_token_of_another_namespace_is_not_found(platform: Any) -> None:
    new = platform.token("certificates:read")
    for token_id in (new.id, uuid4()):
        with pytest.raises(NotFound):
            platform.services.revoke_token(
                principal=platform.guest, token_id=token_id, now=platform.now
            )


def test_a_person_acts_in_their_namespaces_with_their_roles(platform: Any) -> None:
    from pkakey.store.accounts.models import User

    password = platform.services.create_user(
        username="eve",
        email="eve@example.test",
        roles=["pki-officer"],
        namespace="guest",
        now=platform.now,
    )
    user = User.objects.get(username="eve")
    assert user.must_change_password
    assert user.check_password(password)
    principal = platform.services.principal_of_user(user_id=user.pk)
    assert (principal.namespace, principal.roles) == ("guest", {"pki-officer"})
    # A namespace that they do not belong to is not theirs for the asking.
    asked = platform.services.principal_of_user(user_id=user.pk, namespace_id=platform.namespace_id)
    assert asked.namespace == "guest"


def test_who_belongs_to_no_namespace_or_is_not_active_acts_nowhere(platform: Any) -> None:
    from pkakey.store.accounts.models import User

    lonely = User.objects.create_user("lonely")
    with pytest.raises(NotPermitted):
        platform.services.principal_of_user(user_id=lonely.pk)
    admin = User.objects.get(username="admin")
    admin.is_active = False
    admin.save()
    with pytest.raises(NotPermitted):
        platform.services.principal_of_user(user_id=admin.pk)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"username": "admin"}, Conflict),
        ({"roles": ["root"]}, Conflict),
        ({"namespace": "nowhere"}, NotFound),
    ],
)
def test_a_person_that_makes_no_sense_is_not_created(
    platform: Any, changes: dict[str, Any], error: type[Exception]
) -> None:
    from pkakey.store.accounts.models import User

    before = User.objects.count()
    wanted = {
        "username": "mallory",
        "email": "m@example.test",
        "roles": ["pki-admin"],
        "namespace": "default",
        "now": platform.now,
    }
    with pytest.raises(error):
        platform.services.create_user(**(wanted | changes))
    assert User.objects.count() == before


def test_a_reset_password_must_be_changed(platform: Any) -> None:
    from pkakey.store.accounts.models import User

    password = platform.services.reset_password(username="admin", now=platform.now)
    admin = User.objects.get(username="admin")
    assert admin.check_password(password)
    assert admin.must_change_password
    with pytest.raises(NotFound):
        platform.services.reset_password(username="nobody", now=platform.now)
