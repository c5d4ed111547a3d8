"""Settings: the environment is read on top by a few loud helpers, then come Django, DRF and the ledger's own."""

import os
import sys
from pathlib import Path
from typing import Any

from django.utils.csp import CSP
from django.utils.translation import gettext_lazy as _

from local_postgres.ownership import OWNER
from local_postgres.socket_path import socket_dir
from pastetrader.secret_key import read_or_make

from . import env

BASE_DIR = Path(__file__).resolve().parent.parent
LOCAL_DIR = Path(env.text("PASTETRADER_LOCAL", str(BASE_DIR / ".local"))).resolve()
COMMAND = sys.argv[1] if len(sys.argv) > 1 and Path(sys.argv[0]).name == "manage.py" else Path(sys.argv[0]).name

# --- Django -----------------------------------------------------------------
DEBUG = env.flag("PASTETRADER_DEBUG")
SECRET_KEY = env.text("SECRET_KEY") or read_or_make(LOCAL_DIR / "secret_key")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_extensions",
    "ledgerkit",
    "pastetrader",
    "pastetrader.demo",
    "workflows",
    "executions",
    "tokens",
]

MIDDLEWARE = [
    "pastetrader.middleware.KeptByNobody",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "pastetrader.middleware.RefuseNul",
    "pastetrader.middleware.StaticFiles",
    "pastetrader.middleware.Packed",
    "pastetrader.middleware.VisibleSigns",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "pastetrader.middleware.Language",
    "ledgerkit.time_zones.TimeZone",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "executions.middleware.ActorMiddleware",
    "pastetrader.middleware.BusyDatabase",
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
            "builtins": ["ledgerkit.templatetags.zones"],
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
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_NAME = "pastetrader_language"
LANGUAGE_COOKIE_AGE = 31_536_000  # seconds: a year
LANGUAGE_COOKIE_SAMESITE = "Lax"
# One way to write a moment, in both languages and on Django's own pages too: with seconds, and in an order that sorts.
FORMAT_MODULE_PATH = ["pastetrader.formats"]

# --- Static files -----------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = LOCAL_DIR / "static"
WHITENOISE_ALLOW_ALL_ORIGINS = False
# Pages name nothing else, and what is not kept need not be packed either.
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "pastetrader.storage.HashedFiles"},
}

# --- Database ---------------------------------------------------------------
STATEMENT_TIMEOUT_MS = env.number("DATABASE_STATEMENT_TIMEOUT_MS", 30_000)
POOL = {
    "min_size": env.number("DATABASE_POOL_MIN", 1, most=1000),
    "max_size": env.number("DATABASE_POOL_MAX", 8, least=1, most=1000),
    "timeout": env.number("DATABASE_POOL_TIMEOUT", 10, least=1),
}
env.refuse_more(("DATABASE_POOL_MIN", POOL["min_size"]), ("DATABASE_POOL_MAX", POOL["max_size"]))
EMBEDDED_DIR = LOCAL_DIR / "postgres"


def _embedded() -> dict[str, Any]:
    return {
        "NAME": "pastetrader",
        "USER": OWNER,
        "HOST": str(socket_dir(EMBEDDED_DIR)),
        "OPTIONS": {},
        "EMBEDDED": {"data_dir": EMBEDDED_DIR, "durable": env.flag("PASTETRADER_DURABLE", default=True)},
    }


def _database() -> dict[str, Any]:
    chosen = env.database("DATABASE_URL") if env.text("DATABASE_URL") else _embedded()
    ours = {
        "pool": POOL,
        "application_name": f"pastetrader {COMMAND}"[:63],
        "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS}",
    }
    return {
        **chosen,
        "ENGINE": "local_postgres",
        "OPTIONS": ours | chosen["OPTIONS"],
        "CONN_HEALTH_CHECKS": True,
    }


DATABASES = {"default": _database()}
# For the one connection of each process that hears what is written: past a pooler, which would let others have it.
DATABASE_LISTENER = env.database("DATABASE_LISTEN_URL") if env.text("DATABASE_LISTEN_URL") else None

# --- Security ---------------------------------------------------------------
# Plain http is for 127.0.0.1. Behind a proxy that speaks https, PASTETRADER_HTTPS=1 closes every other door.
HTTPS = env.flag("PASTETRADER_HTTPS")
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
LANGUAGE_COOKIE_SECURE = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = env.number("PASTETRADER_HSTS_SECONDS", 31_536_000) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
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

# Proxies between clients and this server: so many addresses at the end of X-Forwarded-For were written by them.
PROXIES = env.number("PASTETRADER_PROXIES", 1 if HTTPS else 0, most=10)
# Wrong passwords that are taken before others are refused: of a name from an address, of an address, of a name. 0: any.
LOGIN_FAILURES = env.number("LOGIN_FAILURES", 10, most=10_000)
LOGIN_FAILURES_ADDRESS = env.number("LOGIN_FAILURES_ADDRESS", 50, most=10_000)
LOGIN_FAILURES_NAME = env.number("LOGIN_FAILURES_NAME", 100, most=10_000)
LOGIN_WAIT_SECONDS = env.number("LOGIN_WAIT_SECONDS", 900, least=1, most=86_400)
# Passwords that are checked at once, each of which keeps a processor busy; the rest of the processors is for others.
LOGINS_AT_ONCE = env.number("LOGINS_AT_ONCE", max(1, (os.cpu_count() or 1) // 2), least=1, most=1_000)
# Wrong tokens that are taken from an address.
TOKEN_FAILURES = env.number("TOKEN_FAILURES", 30, most=10_000)
TOKEN_WAIT_SECONDS = env.number("TOKEN_WAIT_SECONDS", 60, least=1, most=86_400)

# Seconds that a client may take: to send headers, a body, the next request; and to read on.
TIMEOUT_HEADERS = env.number("TIMEOUT_HEADERS", 10, least=1, most=3_600)
TIMEOUT_BODY = env.number("TIMEOUT_BODY", 60, least=1, most=3_600)
TIMEOUT_IDLE = env.number("TIMEOUT_IDLE", 5, least=1, most=3_600)
TIMEOUT_UNREAD = env.number("TIMEOUT_UNREAD", 60, least=1, most=3_600)
# Connections that are open at once, of all clients and of one address, streams not counted. 0: any number.
CONNECTIONS = env.number("CONNECTIONS", 2_000, most=1_000_000)
CONNECTIONS_PER_ADDRESS = env.number("CONNECTIONS_PER_ADDRESS", 1_000, most=1_000_000)

DATA_UPLOAD_MAX_MEMORY_SIZE = env.number("MAX_BODY_BYTES", 10_000_000, least=1_000)
# Values of JSON, objects and lists included: empty lists by the million are a few kilobytes of gzip.
MAX_BODY_ELEMENTS = env.number("MAX_BODY_ELEMENTS", 500_000, least=1_000)

# --- Logging ----------------------------------------------------------------
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
OUR_LEVEL = {"level": env.choice("LOG_LEVEL", "INFO", LEVELS)}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "pastetrader.log_format.Line",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        }
    },
    "filters": {"client_faults": {"()": "pastetrader.log_format.ClientFaults"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["client_faults"]},
    },
    "root": {"handlers": ["stderr"], "level": env.choice("LOG_LEVEL", "WARNING", LEVELS)},
    "loggers": dict.fromkeys(("pastetrader", "workflows", "executions", "tokens"), OUR_LEVEL),
}

# --- REST framework ---------------------------------------------------------
# Requests of one token, or of one session's user. They are counted in the cache, and so by each process for itself.
THROTTLES = {"read": env.rate("THROTTLE_READ"), "write": env.rate("THROTTLE_WRITE")}
# Nothing else is kept there: one entry for each caller and kind of request.
LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
CACHES = {
    "default": {"BACKEND": LOCMEM, "OPTIONS": {"MAX_ENTRIES": 10_000}},
    "failures": {"BACKEND": LOCMEM, "LOCATION": "failures", "OPTIONS": {"MAX_ENTRIES": 100_000}},
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "tokens.authentication.TokenAuthentication",
        "tokens.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["tokens.permissions.ScopePermission"],
    "DEFAULT_THROTTLE_CLASSES": [
        f"tokens.throttling.{kind.title()}Throttle" for kind, rate in THROTTLES.items() if rate
    ],
    "DEFAULT_THROTTLE_RATES": THROTTLES,
    "DEFAULT_PAGINATION_CLASS": "ledgerkit.rest.pagination.KeysetPagination",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["executions.api.parsers.StorableJSONParser"],
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "executions.api.errors.exception_handler_with_problems",
    "DEFAULT_SCHEMA_CLASS": "executions.api.schema.auto_schema.LedgerAutoSchema",
}
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "PasteTrader executions",
    "VERSION": "1",
    "DESCRIPTION": (
        "The execution ledger: engines report runs of workflows, dashboards read them.\n\n"
        "Every refusal is `application/problem+json` (RFC 9457), a method that an address does not have (405) and a "
        "failure of ours (500) included. Lists are paged by cursor: follow `next`. A parameter that is unknown, empty "
        "or given twice is 400. A body may be packed (`Content-Encoding: gzip`). A field that a "
        "call does not take is 400; an update of a workflow ignores read-only ones. No document may hold the character "
        "NUL, and none is nested deeper than 64 levels."
    ),
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "ExecutionStatus": "executions.states.ExecutionStatus",
        "TriggerType": "executions.states.TriggerType",
        "LogLevel": "executions.states.LogLevel",
        "NodeType": "workflows.models.NodeType",
    },
    "AUTHENTICATION_WHITELIST": [
        "tokens.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "executions.api.schema.postprocessing.complete",
    ],
}

# --- The ledger -------------------------------------------------------------
# Days of log lines that one partition holds, and how many such partitions are made ahead of time.
WORKFLOWS_MAX_NODES = env.number("WORKFLOWS_MAX_NODES", 5_000, least=1)
WORKFLOWS_MAX_EDGES = env.number("WORKFLOWS_MAX_EDGES", 20_000, least=1)

EXECUTIONS_LOG_PARTITION_DAYS = env.number("EXECUTIONS_LOG_PARTITION_DAYS", 7, least=1, most=366)
EXECUTIONS_LOG_PARTITIONS_AHEAD = env.number("EXECUTIONS_LOG_PARTITIONS_AHEAD", 8, least=1, most=520)
# Bytes of UTF-8 of one text: what is longer is cut, with a mark. The database holds the most that each may be.
EXECUTIONS_MAX_MESSAGE_BYTES = env.number("EXECUTIONS_MAX_MESSAGE_BYTES", 65_536, least=1_024, most=65_536)
EXECUTIONS_MAX_ERROR_BYTES = env.number("EXECUTIONS_MAX_ERROR_BYTES", 65_536, least=1_024, most=1_048_576)
EXECUTIONS_MAX_TRACEBACK_BYTES = env.number("EXECUTIONS_MAX_TRACEBACK_BYTES", 262_144, least=1_024, most=1_048_576)
EXECUTIONS_MAX_REASON_BYTES = env.number("EXECUTIONS_MAX_REASON_BYTES", 4_096, least=256, most=65_536)
# Bytes of one JSON document, as JSON in UTF-8: a larger one is refused.
EXECUTIONS_MAX_DOCUMENT_BYTES = env.number("EXECUTIONS_MAX_DOCUMENT_BYTES", 1_048_576, least=1_024)
# Bytes of the texts and documents of one page, however many rows were asked for: the next page goes on behind them.
EXECUTIONS_MAX_PAGE_BYTES = env.number("EXECUTIONS_MAX_PAGE_BYTES", 4_194_304, least=65_536)
# A line's partition follows from the time inside its id: how far back that may lie when a caller of the API chose it.
EXECUTIONS_LOG_ID_DAYS = env.number("EXECUTIONS_LOG_ID_DAYS", 90, least=1, most=3650)
# Streams that may be open at once, of one user and of all, in each process.
EXECUTIONS_STREAMS_PER_USER = env.number("EXECUTIONS_STREAMS_PER_USER", 20, least=1)
EXECUTIONS_STREAMS = env.number("EXECUTIONS_STREAMS", 500, least=1)
# Keys that name a secret, beside those that executions/secrets.py knows.
EXECUTIONS_SECRET_KEYS_EXTRA = env.words("EXECUTIONS_SECRET_KEYS_EXTRA")
# What a run's secrets are encrypted with, so that they are found in what it says: the first encrypts, each decrypts.
EXECUTIONS_SECRETS_KEYS = env.fernet_keys("EXECUTIONS_SECRETS_KEYS") or [
    env.fernet_key_from(read_or_make(LOCAL_DIR / "secrets_key"))
]
# Secrets of one run, characters of one of them and of all: every text of the run is searched for each.
EXECUTIONS_SECRETS_MAX = env.number("EXECUTIONS_SECRETS_MAX", 500, least=1, most=5_000)
EXECUTIONS_SECRETS_MAX_LENGTH = env.number("EXECUTIONS_SECRETS_MAX_LENGTH", 8_192, least=6, most=65_536)
EXECUTIONS_SECRETS_MAX_CHARACTERS = env.number("EXECUTIONS_SECRETS_MAX_CHARACTERS", 65_536, least=6, most=1_000_000)
# Seconds that they are kept after a run was completed or cancelled, for late lines; and after it failed, for a retry.
EXECUTIONS_SECRETS_GRACE_SECONDS = env.number("EXECUTIONS_SECRETS_GRACE_SECONDS", 3_600)
EXECUTIONS_SECRETS_FAILED_SECONDS = env.number("EXECUTIONS_SECRETS_FAILED_SECONDS", 604_800)
