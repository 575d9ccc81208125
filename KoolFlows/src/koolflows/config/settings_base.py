"""Django's settings that need no environment; `settings` and `settings_test` add the rest."""

from typing import Any

from koolflows.fronts.rest.openapi_settings import SPECTACULAR_SETTINGS  # noqa: F401  # By name.

DEBUG = False
ROOT_URLCONF = "koolflows.config.urls"
WSGI_APPLICATION = "koolflows.config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# A command or a job cannot import `config`: it finds its use cases by this path.
KOOLFLOWS_SERVICES = "koolflows.config.wiring.services"

STORE_APPS = [
    "koolflows.store.definitions",
    "koolflows.store.instances",
    "koolflows.store.tasks",
    "koolflows.store.jobs",
    "koolflows.store.history",
]
INSTALLED_APPS = [
    *STORE_APPS,
    "koolflows.fronts.command",
    "rest_framework",
    "drf_spectacular",
    "django.contrib.postgres",
]
MIDDLEWARE = [
    "koolflows.config.middleware.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
TEMPLATES: list[dict[str, Any]] = [
    {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
]
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
# HSTS and the redirect to HTTPS are the gateway's.
SECURE_HSTS_SECONDS = 0
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
SILENCED_SYSTEM_CHECKS = ["security.W003", "security.W004", "security.W008"]
REST_FRAMEWORK: dict[str, Any] = {
    # Our endpoints set everything themselves; this closes any other view.
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    # No table of people here: who asks is known by a token alone.
    "UNAUTHENTICATED_USER": None,
}
