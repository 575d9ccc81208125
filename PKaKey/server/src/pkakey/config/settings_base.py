"""Django's settings that need no environment; `settings` and `settings_test` add the rest."""

from typing import Any

from csp.constants import NONE, SELF

from pkakey.fronts.rest.settings import (  # Settings are read by name.
    REST_FRAMEWORK,  # noqa: F401
    SPECTACULAR_SETTINGS,  # noqa: F401
)

DEBUG = False
# One line for each request; only a running platform writes them.
ACCESS_LOG = False
ROOT_URLCONF = "pkakey.config.urls"
WSGI_APPLICATION = "pkakey.config.wsgi.application"
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# A command or a job cannot import `config`: it finds its use cases by this path.
PKAKEY_SERVICES = "pkakey.config.wiring.services"

STORE_APPS = [
    "pkakey.store.accounts",
    "pkakey.store.namespaces",
    "pkakey.store.profiles",
    "pkakey.store.authorities",
    "pkakey.store.tokens",
    "pkakey.store.audit",
    "pkakey.store.outbox",
    "pkakey.store.certificates",
    "pkakey.store.requests",
]
INSTALLED_APPS = [
    *STORE_APPS,
    "pkakey.fronts.command",
    "pkakey.fronts.oidc",
    "pkakey.fronts.portal",
    "wagtail.users",
    "wagtail.snippets",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.search",
    "wagtail.sites",
    "wagtail.admin",
    "wagtail",
    "modelcluster",
    "taggit",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.idp.oidc",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "csp",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "pkakey.config.middleware.RequestMiddleware",
    "csp.middleware.CSPMiddleware",
    "pkakey.config.middleware.LooserPolicyForEditors",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "pkakey.fronts.portal.middleware.PasswordChangeRequired",
]

# For requests that bring their own credentials (`config.site`): no session, no forms, no pages.
MACHINE_MIDDLEWARE = [
    "pkakey.config.middleware.RequestMiddleware",
    "pkakey.config.middleware.StrictestPolicy",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "pkakey.fronts.portal.context.portal",
            ]
        },
    }
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# Sign-in: people come from the platform's own directory; nobody signs up.
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
ACCOUNT_ADAPTER = "pkakey.fronts.portal.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_USER_MODEL_USERNAME_FIELD = "username"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_PASSKEY_SIGNUP_ENABLED = False
MFA_TOTP_ISSUER = "theDDT"
# Natively PKaKey is the OIDC provider; `config.relying` turns that round for containers.
IDP_OIDC_ADAPTER = "pkakey.fronts.oidc.issuing.ProviderAdapter"
IDP_OIDC_ACCESS_TOKEN_FORMAT = "jwt"  # noqa: S105  # A format's name.
IDP_OIDC_ACCESS_TOKEN_EXPIRES_IN = 5 * 60
IDP_OIDC_REFRESH_TOKEN_EXPIRES_IN = 10 * 60 * 60
IDP_OIDC_DCR_ENABLED = False
SOCIALACCOUNT_ADAPTER = "pkakey.fronts.oidc.relying.SocialAccountAdapter"
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {}
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
# An address never joins an account: only the provider's subject does.
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/portal/"
LOGOUT_REDIRECT_URL = "/"

SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
SESSION_COOKIE_NAME = "__Host-theddt-session"
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
CSRF_COOKIE_NAME = "__Host-theddt-csrf"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
# The gateway ends TLS and sets this header on every request; the web process listens on loopback.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
# HSTS and the redirect to HTTPS are the gateway's.
SECURE_HSTS_SECONDS = 0
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008"]

CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        # Swagger's and allauth's own style sheets hold small pictures as data.
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
# Wagtail's admin has inline styles and scripts (its date pickers, its editor); only below /cms/.
CMS_CONTENT_SECURITY_POLICY: dict[str, list[str]] = {
    "script-src": [SELF, "'unsafe-inline'"],
    "style-src": [SELF, "'unsafe-inline'"],
    "img-src": [SELF, "data:", "blob:"],
    "frame-src": [SELF],
    "frame-ancestors": [SELF],
}

STATIC_URL = "/static/"
MEDIA_URL = "/media/"
WAGTAIL_SITE_NAME = "theDDT"
WAGTAILADMIN_BASE_URL = "https://pkakey.theddt.localhost:8443"
WAGTAIL_ENABLE_UPDATE_CHECK = False
WAGTAIL_GRAVATAR_PROVIDER_URL = None
WAGTAIL_PASSWORD_MANAGEMENT_ENABLED = False
WAGTAIL_EMAIL_MANAGEMENT_ENABLED = False
WAGTAIL_PASSWORD_RESET_ENABLED = False
WAGTAILADMIN_LOGIN_URL = "account_login"
WAGTAILSEARCH_BACKENDS = {"default": {"BACKEND": "wagtail.search.backends.database"}}
WAGTAILEMBEDS_FINDERS: list[dict[str, Any]] = []
WAGTAILDOCS_EXTENSIONS = ["pdf", "txt", "pem", "cer", "crl"]
TAGGIT_CASE_INSENSITIVE = True
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
