"""People who sign in at the provider (Keycloak): made, kept in step, and signed out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group
from django.contrib.sessions.backends.cached_db import SessionStore
from django.core.cache import cache
from django.db import transaction
from django.db.models import QuerySet
from theddt_identity import Caller, KeysUnavailable, TokenRefused, verify_logout_token

from pkakey.services.callers import PROVIDER, api_verifier, client_verifier, verify
from pkakey.services.errors import NotFound, ServiceUnavailable, Unauthenticated
from pkakey.services.namespace_walk import each_namespace
from pkakey.services.outside import Outside, SignInProvider
from pkakey.services.principals import PERMISSIONS_OF_ROLE, Principal
from pkakey.services.records import record
from pkakey.store.accounts.models import SignIn, User
from pkakey.store.context import acting_as
from pkakey.store.namespaces.models import Membership
from pkakey.store.reading import rows


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A person who was let in; `created` says whether they were new."""

    user_id: int
    created: bool


def verify_sign_in(outside: Outside, *, access_token: str, id_token: str, now: datetime) -> Caller:
    """Return who signed in, after both tokens were checked and speak of the same person.

    Raises `Unauthenticated` and `ServiceUnavailable`.
    """
    provider = _provider(outside)
    caller = verify(api_verifier(outside), access_token, now)
    try:
        _, claims = client_verifier(provider).verified(id_token, now=now)
    except TokenRefused as error:
        raise Unauthenticated(error.code) from None
    except KeysUnavailable as error:
        raise ServiceUnavailable("sign-in service", str(error)) from error
    if (
        caller.issuer != provider.issuer
        or caller.client_id != provider.client_id
        or claims.get("sub") != caller.subject
        or claims.get("iss") != provider.issuer
    ):
        raise Unauthenticated("jwt.claims")
    return caller


def admit(caller: Caller, *, now: datetime) -> SignedIn:
    """Make or find the person, and give them exactly the roles and namespace that the token says.

    Raises `NotFound("namespace")` when the namespace does not exist here.
    """
    home = _home(caller)
    with acting_as(home):
        user, created = _person(caller)
        user.email = caller.email
        user.set_unusable_password()
        user.must_change_password = False
        user.save()
        _keep_address(user)
        before = set(user.groups.values_list("name", flat=True))
        wanted = {role for role in caller.roles if role in PERMISSIONS_OF_ROLE}
        user.groups.set(Group.objects.filter(name__in=wanted))
        Membership.objects.get_or_create(
            namespace_id=home.namespace_id, user=user, defaults={"created_at": now}
        )
        if created or before != wanted:
            record(
                principal=home,
                now=now,
                action="user.created" if created else "user.roles-changed",
                target=str(user.pk),
                details={"username": user.username, "roles": sorted(wanted), "by": PROVIDER},
            )
    _leave_others(user, home, now)
    return SignedIn(user_id=user.pk, created=created)


def _home(caller: Caller) -> Principal:
    for principal in each_namespace("sign-in"):
        if principal.namespace == caller.namespace:
            return principal
    raise NotFound("namespace")


def _person(caller: Caller) -> tuple[User, bool]:
    account = (
        SocialAccount.objects.filter(provider=PROVIDER, uid=caller.subject)
        .select_related("user")
        .first()
    )
    name = caller.username[:150]
    namesake = User.objects.select_for_update().filter(username=name).first()
    if account is not None:
        if account.user != namesake:
            # Renamed there. Who has the name here bears another one by now, or is gone.
            if namesake is not None:
                _take_name_from(namesake)
            account.user.username = name
        return account.user, False
    if namesake is not None:
        if not SocialAccount.objects.filter(user=namesake).exists():
            # Made here before people signed in there: names are the provider's to give.
            SocialAccount.objects.create(user=namesake, provider=PROVIDER, uid=caller.subject)
            return namesake, False
        _take_name_from(namesake)
    user = User.objects.create_user(username=name, email=caller.email)
    SocialAccount.objects.create(user=user, provider=PROVIDER, uid=caller.subject)
    return user, True


def _take_name_from(user: User) -> None:
    """Put another name to this account, and end its sessions: the provider gave its name away.

    Who was only renamed there signs in again and gets the new name.
    """
    user.username = f"{user.username[:120]}~{user.pk}"
    user.save(update_fields=["username"])
    subjects = SocialAccount.objects.filter(user=user, provider=PROVIDER).values_list("uid")
    _end(SignIn.objects.filter(subject__in=subjects))


def _keep_address(user: User) -> None:
    EmailAddress.objects.filter(user=user).exclude(email=user.email).delete()
    if user.email and not EmailAddress.objects.filter(email__iexact=user.email).exists():
        EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)


def _leave_others(user: User, home: Principal, now: datetime) -> None:
    """Take the person out of every other namespace: a token names one."""
    for namespace_id, slug, *_ in rows("SELECT * FROM pki.principal_of_user(%s)", [user.pk]):
        if namespace_id == home.namespace_id:
            continue
        other = Principal(
            kind="system", id="sign-in", name="sign-in", namespace_id=namespace_id, namespace=slug
        )
        with acting_as(other):
            Membership.objects.filter(namespace_id=namespace_id, user=user).delete()
            record(
                principal=other,
                now=now,
                action="user.left",
                target=str(user.pk),
                details={"username": user.username, "by": PROVIDER},
            )


def remember(*, session_key: str, caller: Caller, now: datetime, lasts: timedelta) -> None:
    """Note that this session hangs on that sign-in; drop what has ended."""
    with transaction.atomic():
        SignIn.objects.filter(expires_at__lt=now).delete()
        SignIn.objects.update_or_create(
            session_key=session_key,
            defaults={
                "subject": caller.subject,
                "provider_session": caller.session_id,
                "expires_at": now + lasts,
            },
        )


def end_sign_ins(outside: Outside, *, logout_token: str, now: datetime) -> int:
    """End the sessions that a logout token names, and return how many there were.

    Raises `Unauthenticated` for a token that is no good or came before, and `ServiceUnavailable`.
    """
    try:
        said = verify_logout_token(client_verifier(_provider(outside)), logout_token, now=now)
    except TokenRefused as error:
        raise Unauthenticated(error.code) from None
    except KeysUnavailable as error:
        raise ServiceUnavailable("sign-in service", str(error)) from error
    until = int((said.remember_until - now).total_seconds()) + 1
    if not cache.add(f"logout-token:{said.token_id}", 1, until):
        raise Unauthenticated("token.replayed")
    found = (
        SignIn.objects.filter(provider_session=said.session_id)
        if said.session_id
        else SignIn.objects.filter(subject=said.subject)
    )
    if said.session_id and said.subject:
        found = found.filter(subject=said.subject)
    return _end(found)


def _end(sign_ins: QuerySet[SignIn]) -> int:
    keys = list(sign_ins.values_list("session_key", flat=True))
    for key in keys:
        SessionStore(key).delete()
    SignIn.objects.filter(session_key__in=keys).delete()
    return len(keys)


def sign_out_url(outside: Outside, *, id_token: str) -> str:
    """Return where the browser ends the provider's session, and comes back to the front page."""
    provider = _provider(outside)
    query = {
        "client_id": provider.client_id,
        "post_logout_redirect_uri": f"{outside.public_url}/",
    }
    if id_token:
        query["id_token_hint"] = id_token
    return f"{provider.end_session_url}?{urlencode(query)}"


def _provider(outside: Outside) -> SignInProvider:
    if outside.sign_in is None:
        raise NotFound("sign-in provider")
    return outside.sign_in
