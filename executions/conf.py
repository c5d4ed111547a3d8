"""The setting `EXECUTIONS`, with a default for every key: an installed app works with none of them set."""

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.utils.encoding import force_bytes

from ledgerkit.conf import AppSettings, Number, Setting

ACTOR = "executions.middleware.ActorMiddleware"
FERNET_KEY = re.compile("[A-Za-z0-9_-]{43}=")


class FernetKeys(Setting[Sequence[str]]):
    """Keys as `Fernet.generate_key()` makes them."""

    def fault(self, value: Any) -> str:
        if super().fault(value) or not all(isinstance(key, str) and FERNET_KEY.fullmatch(key) for key in value):
            return "must be a list of Fernet keys"
        return ""


class ExecutionsSettings(AppSettings):
    # Days of log lines in one partition, and how many partitions are made ahead of time.
    LOG_PARTITION_DAYS = Number(7, least=1, most=366)
    LOG_PARTITIONS_AHEAD = Number(8, least=1, most=520)
    # Bytes of UTF-8 of one text: a longer one is cut, with a mark. The database holds at most these maxima.
    MAX_MESSAGE_BYTES = Number(65_536, least=1_024, most=65_536)
    MAX_ERROR_BYTES = Number(65_536, least=1_024, most=1_048_576)
    MAX_TRACEBACK_BYTES = Number(262_144, least=1_024, most=1_048_576)
    MAX_REASON_BYTES = Number(4_096, least=256, most=65_536)
    # The partition of a line follows from the time inside its id: how old that may be if a caller of the API chose it.
    LOG_ID_DAYS = Number(90, least=1, most=3650)
    # Streams open at once, of one user and of all, in each process.
    STREAMS_PER_USER = Number(20, least=1)
    STREAMS = Number(500, least=1)
    # The address, as in DATABASES, of the LISTEN connection of each process, if "default" leads to a pooler.
    LISTENER_DATABASE = Setting[dict[str, Any]]({})
    # What encrypts the secrets of a run while it can still write: the first encrypts, each decrypts.
    SECRETS_KEYS = FernetKeys([])
    # Secrets of one run, characters of one of them and of all: every text of the run is searched for each.
    SECRETS_MAX = Number(500, least=1, most=5_000)
    SECRETS_MAX_LENGTH = Number(8_192, least=6, most=65_536)
    SECRETS_MAX_CHARACTERS = Number(65_536, least=6, most=1_000_000)
    # Seconds that they are kept after a run completed or was cancelled, for late lines; after it failed, for a retry.
    SECRETS_GRACE_SECONDS = Number(3_600)
    SECRETS_FAILED_SECONDS = Number(604_800)


executions_settings = ExecutionsSettings("EXECUTIONS")


def secrets_keys() -> tuple[str, ...]:
    """Return SECRETS_KEYS; if unset, keys made of SECRET_KEY and SECRET_KEY_FALLBACKS."""
    if keys := executions_settings.SECRETS_KEYS:
        return tuple(keys)
    return tuple(fernet_key_from(text) for text in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


def fernet_key_from(text: str | bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(b"executions secrets " + force_bytes(text)).digest()).decode()


def check_middleware(**_kwargs: Any) -> list[checks.CheckMessage]:
    if ACTOR in settings.MIDDLEWARE:
        return []
    return [checks.Warning(f"{ACTOR} is not in MIDDLEWARE: the admin's changes name no user.", id="executions.W002")]


def check_secrets_keys(**_kwargs: object) -> list[checks.CheckMessage]:
    """Warn, in `check --deploy`, where the secrets of runs have no key of their own."""
    if executions_settings.SECRETS_KEYS:
        return []
    return [
        checks.Warning(
            "EXECUTIONS['SECRETS_KEYS'] is not set: the secrets of runs are encrypted with a key made of SECRET_KEY.",
            hint="Make one with: python -c 'from cryptography.fernet import Fernet; "
            "print(Fernet.generate_key().decode())'",
            id="executions.W001",
        )
    ]
