"""People: created by an administrator with a one-time password."""

import secrets
from datetime import datetime

from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group
from django.db import transaction

from pkakey.services.errors import Conflict, NotFound
from pkakey.services.namespace_walk import each_namespace
from pkakey.services.principals import PERMISSIONS_OF_ROLE, Principal, system_principal
from pkakey.services.records import record
from pkakey.store.accounts.models import User
from pkakey.store.context import acting_as
from pkakey.store.namespaces.models import Membership
from pkakey.store.reading import rows

ONE_TIME_PASSWORD_BYTES = 15


def create_user(
    *,
    username: str,
    email: str,
    roles: list[str],
    namespace: str,
    now: datetime,
    password: str | None = None,
) -> str:
    """Create a person who belongs to the namespace, and return the one-time password.

    Raises `NotFound("namespace")`, `Conflict("user.exists")` and `Conflict("user.role")`.
    """
    unknown = [role for role in roles if role not in PERMISSIONS_OF_ROLE]
    if unknown:
        raise Conflict(
            "user.role",
            f"There is no role {', '.join(unknown)}; choose from {', '.join(PERMISSIONS_OF_ROLE)}.",
        )
    principal = _system_of(namespace)
    one_time = password or secrets.token_urlsafe(ONE_TIME_PASSWORD_BYTES)
    with acting_as(principal):
        if User.objects.filter(username=username).exists():
            raise Conflict("user.exists", f"There is a user {username!r} already.")
        user = User.objects.create_user(
            username=username, email=email, password=one_time, must_change_password=True
        )
        user.groups.set(Group.objects.filter(name__in=roles))
        EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
        Membership.objects.create(namespace_id=principal.namespace_id, user=user, created_at=now)
        record(
            principal=principal,
            now=now,
            action="user.created",
            target=str(user.pk),
            details={"username": username, "roles": sorted(roles)},
        )
    return one_time


def reset_password(*, username: str, now: datetime) -> str:
    """Give a person a new one-time password and return it; raises `NotFound("user")`.

    Their sessions end, since a session holds a hash of the password it was made with.
    """
    one_time = secrets.token_urlsafe(ONE_TIME_PASSWORD_BYTES)
    with transaction.atomic():
        user = User.objects.select_for_update().filter(username=username).first()
        if user is None:
            raise NotFound("user")
        user.set_password(one_time)
        user.must_change_password = True
        user.save(update_fields=["password", "must_change_password"])
        for namespace_id, slug, *_ in rows("SELECT * FROM pki.principal_of_user(%s)", [user.pk]):
            principal = system_principal(namespace_id=namespace_id, namespace=slug, name="people")
            with acting_as(principal):
                record(
                    principal=principal,
                    now=now,
                    action="user.password-reset",
                    target=str(user.pk),
                    details={"username": username},
                )
    return one_time


def _system_of(namespace: str) -> Principal:
    for principal in each_namespace("people"):
        if principal.namespace == namespace:
            return principal
    raise NotFound("namespace")
