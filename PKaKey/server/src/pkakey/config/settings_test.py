"""Django's settings for tests and tools; needs no environment.

THEDDT_TEST_DATABASE_URL may name a PostgreSQL server (as an administrator). The tests make their
own database on it and connect to that as `pkakey_web`, as the running web process does.
"""

import os
from pathlib import Path
from tempfile import gettempdir

from pkakey.config.databases import test_database
from pkakey.config.logs import configure_logs
from pkakey.config.settings_base import *  # noqa: F403  # Settings modules are layered so.

SECRET_KEY = "for tests only, and as long as a real one has to be, but public"  # noqa: S105
DATABASES = {
    "default": test_database(
        os.environ.get("THEDDT_TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1/postgres"),
        name=f"test_pkakey_{os.getpid()}",
    )
}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
PUBLIC_HOST = "pkakey.theddt.localhost"
PUBLIC_URL = f"https://{PUBLIC_HOST}:8443"
ALLOWED_HOSTS = [PUBLIC_HOST, "testserver", "localhost", "127.0.0.1"]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
STATIC_ROOT = str(Path(gettempdir()) / "theddt-test-static")
MEDIA_ROOT = str(Path(gettempdir()) / "theddt-test-media")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# A fast hasher: tests create many people.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGGING_CONFIG = None
configure_logs("WARNING")
