"""Django's settings for tests and tools; needs no environment.

THEDDT_TEST_DATABASE_URL may name a PostgreSQL server (as an administrator). The tests make their
own database on it and connect to that as `koolflows_web`, as the running web process does.
"""

import os

from koolflows.config.databases import test_database
from koolflows.config.logs import configure_logs
from koolflows.config.settings_base import *  # noqa: F403  # Settings modules are layered so.

SECRET_KEY = "for tests only, and as long as a real one has to be, but public"  # noqa: S105
DATABASES = {
    "default": test_database(
        os.environ.get("THEDDT_TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1/postgres"),
        name=f"test_koolflows_{os.getpid()}",
    )
}
PUBLIC_HOST = "flows.theddt.localhost"
PUBLIC_URL = f"https://{PUBLIC_HOST}:8443"
ALLOWED_HOSTS = [PUBLIC_HOST, "testserver", "localhost", "127.0.0.1"]
LOGGING_CONFIG = None
configure_logs("WARNING")
