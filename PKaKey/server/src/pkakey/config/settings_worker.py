"""Django's settings for the worker: the use cases without the site, and 40 MB less."""

from pkakey.config.settings import *  # noqa: F403  # Settings modules are layered so.
from pkakey.config.settings_base import STORE_APPS

INSTALLED_APPS = [
    *STORE_APPS,
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.idp.oidc",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.postgres",
]
# Nothing is asked here, so there are no addresses and no pages to check.
ROOT_URLCONF = ""
TEMPLATES = []
