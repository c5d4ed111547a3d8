"""Settings, from environment variables; an invalid value stops the program. First Django's, then those of REST
framework and of the ledger."""

import sys
from pathlib import Path
from typing import Any

from django.utils.csp import CSP
from django.utils.translation import gettext_lazy as _

from alerts.conf import AlertsSettings
from executions.conf import ExecutionsSettings, fernet_key_from
from ledgerkit.conf import LedgerkitSettings
from local_postgres.ownership import OWNER
from local_postgres.server import EmbeddedConnection
from local_postgres.socket_path import socket_dir
from pastetrader.connection_options import connection_options
from pastetrader.logging_config import logging_config
from pastetrader.metrics_folder import make_folder
from pastetrader.pool_check import check_open
from pastetrader.prefix_patterns import probe_pattern
from pastetrader.secret_key import read_or_make
from tokens.conf import TokensSettings
from workflows.conf import WorkflowsSettings

from . import env

BASE_DIR = Path(__file__).resolve().parent.parent
LOCAL_DIR = Path(env.text("PASTETRADER_LOCAL", str(BASE_DIR / ".local"))).resolve()
COMMAND = sys.argv[1] if len(sys.argv) > 1 and Path(sys.argv[0]).name == "manage.py" else Path(sys.argv[0]).name

# --- Django -----------------------------------------------------------------
DEBUG = env.flag("PASTETRADER_DEBUG")
SECRET_KEY = env.text("SECRET_KEY") or read_or_make(LOCAL_DIR / "secret_key")
ALLOWED_HOSTS = env.text_list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
FORCE_SCRIPT_NAME = env.path_prefix("FORCE_SCRIPT_NAME") or None  # where a proxy serves the site, such as /ledger
TRUST_FORWARDED_PREFIX = env.flag("PASTETRADER_FORWARDED_PREFIX")  # or the proxy names it in each request
CSRF_TRUSTED_ORIGINS = env.text_list("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "ledgerkit",
    "pastetrader",
    "pastetrader.demo",
    "workflows",
    "executions",
    "alerts",
    "tokens",
    # After the apps, whose translations come first then.
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_extensions",
]

MIDDLEWARE = [
    "pastetrader.metrics.MetricsMiddleware",
    "executions.middleware.ActorMiddleware",  # early: every response and line of the log has the request's id
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "pastetrader.middleware.StaticFilesMiddleware",
    "pastetrader.middleware.PageMiddleware",
    "pastetrader.middleware.RefusalMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "ledgerkit.replica_middleware.ReplicaMiddleware",
]

ROOT_URLCONF = "pastetrader.urls"
WSGI_APPLICATION = "pastetrader.wsgi.application"
ASGI_APPLICATION = "pastetrader.asgi.application"
TEST_RUNNER = "pastetrader.test_runner.PytestRunner"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.csp",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

USE_TZ = True
TIME_ZONE = env.zone("TIME_ZONE", "UTC")
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("ko", _("Korean"))]
LOCALE_PATHS = [BASE_DIR / "pastetrader" / "locale"]  # before the apps' and Django's
LANGUAGE_COOKIE_NAME = "pastetrader_language"
LANGUAGE_COOKIE_AGE = 31_536_000  # seconds: a year
LANGUAGE_COOKIE_SAMESITE = "Lax"
# One way to write a moment, in both languages and on Django's own pages too: with seconds, and in an order that sorts.
FORMAT_MODULE_PATH = ["pastetrader.formats"]

# --- Static files -----------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = LOCAL_DIR / "static"
WHITENOISE_ALLOW_ALL_ORIGINS = False
# Pages name only files with a hash in their names; others need not be kept or compressed.
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "pastetrader.static_storage.StaticFilesStorage"},
}

# --- Database ---------------------------------------------------------------
STATEMENT_TIMEOUT_MS = env.number("DATABASE_STATEMENT_TIMEOUT_MS", 30_000)
type Parameters = dict[str, Any]  # of a database or a pool
POOL: Parameters = {
    "min_size": env.number("DATABASE_POOL_MIN", 1, most=1000),
    "max_size": env.number("DATABASE_POOL_MAX", 8, least=1, most=1000),
    "timeout": env.number("DATABASE_POOL_TIMEOUT", 10, least=1),
    # Seconds, in which the pauses between two tries double; the next request begins anew. By default they double for
    # five minutes: after an outage of one minute the service would be back half a minute later.
    "reconnect_timeout": 4,
    "check": check_open,
    "connection_class": EmbeddedConnection,  # an ordinary one with DATABASE_URL
}
env.refuse_more(("DATABASE_POOL_MIN", POOL["min_size"]), ("DATABASE_POOL_MAX", POOL["max_size"]))
PREPARED_AFTER = 3  # executions of a statement by one connection
EMBEDDED_DIR = LOCAL_DIR / "postgres"


def _embedded_database() -> Parameters:
    return {
        "NAME": "pastetrader",
        "USER": OWNER,
        "HOST": str(socket_dir(EMBEDDED_DIR)),
        "OPTIONS": {},
        "EMBEDDED": {"data_dir": EMBEDDED_DIR, "durable": env.flag("PASTETRADER_DURABLE", default=True)},
    }


def _database(chosen: Parameters, pool: Parameters) -> Parameters:
    ours: Parameters = {
        "pool": pool,
        "application_name": f"pastetrader {COMMAND}"[:63],
    }
    if env.flag("DATABASE_PREPARE", default=True):
        ours |= {"server_side_binding": True, "prepare_threshold": PREPARED_AFTER}
    return {
        **chosen,
        "ENGINE": "local_postgres",
        "OPTIONS": ours | connection_options(chosen["OPTIONS"], STATEMENT_TIMEOUT_MS),
        "CONN_HEALTH_CHECKS": True,
    }


def _replica(chosen: Parameters) -> Parameters:
    """Return the settings of a streaming replica. A request does not wait long for it, as there is the primary."""
    in_time = {"connect_timeout": "2", "tcp_user_timeout": "5000"}  # seconds, milliseconds
    options = {"OPTIONS": in_time | chosen["OPTIONS"], "TEST": {"MIRROR": "default"}}
    return _database(chosen | options, REPLICA_POOL)


DATABASES = {
    "default": _database(env.database("DATABASE_URL") if env.text("DATABASE_URL") else _embedded_database(), POOL)
}
REPLICA = "replica" if env.text("DATABASE_REPLICA_URL") else None
REPLICA_POOL = POOL | {"min_size": 0, "timeout": 1}
if REPLICA:
    DATABASES[REPLICA] = _replica(env.database("DATABASE_REPLICA_URL"))
    DATABASE_ROUTERS = ["executions.database_router.ReplicaRouter"]

# --- Security ---------------------------------------------------------------
# Plain http is for 127.0.0.1. Behind a proxy that terminates https, PASTETRADER_HTTPS=1 requires https everywhere.
HTTPS = env.flag("PASTETRADER_HTTPS")
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [probe_pattern(FORCE_SCRIPT_NAME or "", named_by_proxy=TRUST_FORWARDED_PREFIX)]
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
LANGUAGE_COOKIE_SECURE = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = env.number("PASTETRADER_HSTS_SECONDS", 31_536_000) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = LANGUAGE_COOKIE_PATH = FORCE_SCRIPT_NAME or "/"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
CSRF_FAILURE_VIEW = "pastetrader.error_views.csrf_failed"
SESSION_COOKIE_NAME = "pastetrader_session"
X_FRAME_OPTIONS = "DENY"
SECURE_CSP = {
    "default-src": [CSP.SELF],
    # The admin marks its own scripts and styles with the request's nonce.
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF, CSP.NONCE],
    "base-uri": [CSP.SELF],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "object-src": [CSP.NONE],
}

# Seconds that a client may take: to send headers, a body, the next request; and to read on.
TIMEOUT_HEADERS = env.number("TIMEOUT_HEADERS", 10, least=1, most=3_600)
TIMEOUT_BODY = env.number("TIMEOUT_BODY", 60, least=1, most=3_600)
TIMEOUT_IDLE = env.number("TIMEOUT_IDLE", 5, least=1, most=3_600)
TIMEOUT_UNREAD = env.number("TIMEOUT_UNREAD", 60, least=1, most=3_600)
# Connections that are open at once, of all clients and of one address, streams not counted. 0: any number.
CONNECTIONS = env.number("CONNECTIONS", 2_000, most=1_000_000)
CONNECTIONS_PER_ADDRESS = env.number("CONNECTIONS_PER_ADDRESS", 1_000, most=1_000_000)

DATA_UPLOAD_MAX_MEMORY_SIZE = env.number("MAX_BODY_BYTES", 10_000_000, least=1_000)

# --- Metrics ----------------------------------------------------------------
METRICS_TOKEN = env.token("METRICS_TOKEN")
if METRICS_TOKEN and COMMAND == "serve":
    make_folder()

# --- Traces: OpenTelemetry's own variables (pastetrader/tracing.py) ---------
TRACES = bool(env.text("OTEL_EXPORTER_OTLP_ENDPOINT") or env.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))

# --- Logging ----------------------------------------------------------------
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOG_FORMAT = env.choice("LOG_FORMAT", "TEXT", ("TEXT", "JSON")).lower()
LOG_LEVEL, OTHER_LEVEL = (env.choice("LOG_LEVEL", default, LEVELS) for default in ("INFO", "WARNING"))
LOGGING = logging_config(formatter=LOG_FORMAT, level=LOG_LEVEL, others=OTHER_LEVEL)

# --- REST framework ---------------------------------------------------------
# Counts of failures, and of requests where these are limited: an entry for each address, name or caller, and kind.
SHARED = {
    "BACKEND": "pastetrader.sqlite_cache.SQLiteCache",
    "LOCATION": str(LOCAL_DIR / "failures.sqlite3"),
    "OPTIONS": {"MAX_ENTRIES": 100_000},
}
IN_MEMORY = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
# The processes of `manage.py serve` count together; those of another server each for itself.
CACHES = {"default": IN_MEMORY, "failures": SHARED if COMMAND == "serve" else SHARED | IN_MEMORY}
# The views of the API set REST framework's settings themselves (tokens/base_views.py).
SPECTACULAR_SETTINGS = {"DEFAULT_GENERATOR_CLASS": "executions.api.schema.generator.LedgerSchemaGenerator"}

# --- The apps ---------------------------------------------------------------
# What each key means, and its default, is in conf.py of the app. Variables are named after the keys.
LEDGERKIT = {
    "PROBLEM_TYPE_PREFIX": "urn:pastetrader:problem:",
    **env.numbers(LedgerkitSettings, "EXECUTIONS_", but={"MAX_BODY_ELEMENTS", "REPLICA_MAX_LAG_SECONDS"}),
    "MAX_BODY_ELEMENTS": env.number("MAX_BODY_ELEMENTS", 500_000, least=1_000),
    "REPLICA": REPLICA,
    "REPLICA_MAX_LAG_SECONDS": env.number("DATABASE_REPLICA_MAX_LAG", 10, least=2, most=3_600),
    "API_PREFIX": "/api/",  # with what is beside v1/
    "SECRET_KEYS_EXTRA": tuple(env.text_list("EXECUTIONS_SECRET_KEYS_EXTRA")),
}
TOKENS = {
    **env.numbers(TokensSettings, "", but={"PROXIES"}),
    "PROXIES": env.number("PASTETRADER_PROXIES", 1 if HTTPS else 0, most=10),
    "THROTTLE_READ": env.rate("THROTTLE_READ"),
    "THROTTLE_WRITE": env.rate("THROTTLE_WRITE"),
    "CACHE": "failures",
}
WORKFLOWS = env.numbers(WorkflowsSettings, "WORKFLOWS_")
ALERTS = {
    **env.numbers(AlertsSettings, "ALERTS_"),
    "PRIVATE_ADDRESSES": env.flag("ALERTS_PRIVATE_ADDRESSES"),
    "SITE_URL": env.text("ALERTS_SITE_URL"),
}
MAILERS = env.mailers("EMAIL_URL", "smtp://localhost")
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "pastetrader@localhost")
EXECUTIONS = {
    **env.numbers(ExecutionsSettings, "EXECUTIONS_"),
    **env.optional_numbers(ExecutionsSettings, "EXECUTIONS_"),
    "SECRETS_KEYS": env.fernet_keys("EXECUTIONS_SECRETS_KEYS")
    or [fernet_key_from(read_or_make(LOCAL_DIR / "secrets_key"))],
    "RECORD_TASKS_AS": env.text("EXECUTIONS_RECORD_TASKS_AS") or None,
    "ARCHIVE": env.text("EXECUTIONS_ARCHIVE") or None,
    "LISTENER_DATABASE": env.database("DATABASE_LISTEN_URL") if env.text("DATABASE_LISTEN_URL") else {},
}
