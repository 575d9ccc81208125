"""Django's settings for a running service, from the environment (`config.env.Env`).

With `KOOLFLOWS_MIGRATING` (set by `config.manage` for the commands that change tables) the
database is opened as its owner; every other process opens it as its own role.
"""

import os

from koolflows.config.databases import database
from koolflows.config.env import Env
from koolflows.config.logs import configure_logs
from koolflows.config.settings_base import *  # noqa: F403  # Settings modules are layered so.

ENV = Env.load()
SECRET_KEY = ENV.secret_key
DATABASES = {"default": database(ENV, migrating=bool(os.environ.get("KOOLFLOWS_MIGRATING")))}
PUBLIC_HOST = f"flows.{ENV.domain}"
_port = "" if ENV.https_port == 443 else f":{ENV.https_port}"  # noqa: PLR2004
PUBLIC_URL = f"https://{PUBLIC_HOST}{_port}"
ALLOWED_HOSTS = [PUBLIC_HOST, "koolflows", "localhost", "127.0.0.1", "[::1]"]
LOGGING_CONFIG = None
configure_logs(ENV.log_level)
