"""Django's settings for a running platform, from the environment (`config.env.Env`).

With `PKAKEY_MIGRATING` (set by `config.manage` for the commands that change tables) the database
is opened as its owner; every other process opens it as its own role.
"""

import os
from datetime import UTC, datetime

from pkakey.config.databases import database
from pkakey.config.env import Env
from pkakey.config.logs import configure_logs
from pkakey.config.metrics import keep_metrics
from pkakey.config.relying import relying_settings
from pkakey.config.settings_base import *  # noqa: F403  # Settings modules are layered so.
from pkakey.config.settings_base import SESSION_COOKIE_NAME  # noqa: F401

ENV = Env.load()
# Before anything that counts is imported.
keep_metrics(ENV)
ACCESS_LOG = True
SECRET_KEY = ENV.secret_key
# What was signed under the key before stays good for as long as a session may last.
SECRET_KEY_FALLBACKS = ENV.secret_key_fallbacks(datetime.now(UTC))
# Read at the start: a list that cannot be read must not fail open at the first request.
ENV.weak_keys  # noqa: B018  # Read for its errors.
DEBUG = ENV.debug
if DEBUG and not os.environ.get("PKAKEY_DEVELOPMENT"):
    raise RuntimeError(
        "PKAKEY_DEBUG shows the inside of the platform to visitors. Unset it; on a developer's "
        "own machine set PKAKEY_DEVELOPMENT=1 beside it."
    )
DATABASES = {"default": database(ENV, migrating=bool(os.environ.get("PKAKEY_MIGRATING")))}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": ENV.redis_url_with_password,
        "KEY_PREFIX": "pkakey",
    }
}
PUBLIC_HOST = f"pkakey.{ENV.domain}"
_port = "" if ENV.https_port == 443 else f":{ENV.https_port}"  # noqa: PLR2004
PUBLIC_URL = f"https://{PUBLIC_HOST}{_port}"
ALLOWED_HOSTS = [PUBLIC_HOST, ENV.domain, "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL, f"https://{ENV.domain}{_port}"]
ALLOWED_HOSTS += [name.strip() for name in ENV.internal_hosts.split(",") if name.strip()]
WAGTAILADMIN_BASE_URL = PUBLIC_URL
STATIC_ROOT = ENV.static_root
MEDIA_ROOT = ENV.media_root or ""
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
if ENV.oidc_issuer is not None:
    globals().update(
        relying_settings(
            issuer=ENV.oidc_issuer,
            client_id=ENV.oidc_client_id,
            client_secret=ENV.oidc_client_secret,
        )
    )
LOGGING_CONFIG = None
configure_logs(ENV.log_level)
