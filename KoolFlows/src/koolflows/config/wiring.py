"""Binds the use cases to what they need from outside; the only place that knows both."""

from functools import cache
from pathlib import Path

from django.conf import settings
from theddt_identity import KeySet, PublicKeys, TrustedIssuer, Verifier, keys_at, keys_in_file

from koolflows.config.env import Env
from koolflows.services import Services
from koolflows.services.outside import Outside, Perform
from koolflows.services.to_people import Mail, Notices, Webhooks
from koolflows.services.to_pkakey import ToPKaKey


@cache
def services() -> Services:
    """Return this process's use cases; connections are opened at their first use."""
    env: Env | None = getattr(settings, "ENV", None)
    if env is None:
        # Tests and tools hand in their own; by these nobody gets in and nothing goes out.
        nobody = TrustedIssuer("urn:nobody", KeySet({}))
        return Services(Outside({}), Verifier(audience="koolflows", issuers=[nobody]))
    return Services(_outside(env), _verifier(env))


def _verifier(env: Env) -> Verifier:
    return Verifier(
        audience=env.oidc_audience,
        issuers=[TrustedIssuer(name, _keys(name, at)) for name, at in env.trusted_issuers.items()],
    )


def _keys(issuer: str, place: str) -> PublicKeys:
    return keys_in_file(issuer, Path(place)) if place.startswith("/") else keys_at(issuer, place)


def _outside(env: Env) -> Outside:
    performers: dict[str, Perform] = {}
    webhooks = None
    if env.webhooks and env.webhook_secret_file is not None:
        webhooks = Webhooks(env.webhooks, env.webhook_secret_file.read_text().strip())
        performers["webhook"] = webhooks
    mail = None
    if env.smtp_url and env.mail_to:
        mail = Mail(env.smtp_url, env.mail_from, tuple(env.mail_to.split()))
    notices = webhooks if "notices" in env.webhooks else None
    performers["notify"] = Notices(notices, mail)
    if env.pkakey_url and env.service_key_file is not None:
        performers["pkakey"] = ToPKaKey(env.pkakey_url, env.service_key_file.read_text().strip())
    return Outside(performers, notifies=bool(notices or mail))
