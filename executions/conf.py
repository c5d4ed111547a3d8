"""The setting `EXECUTIONS`. Every key has a default, so an installed app works without it."""

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence

from django.conf import settings
from django.core import checks
from django.utils.encoding import force_bytes

from ledgerkit.conf import AppSettings, Number, OptionalNumber, Setting, Text

ACTOR = "executions.middleware.ActorMiddleware"
FERNET_KEY = re.compile("[A-Za-z0-9_-]{43}=")


class FernetKeys(Setting[Sequence[str]]):
    """A list of keys in the format of `Fernet.generate_key()`."""

    def fault(self, value: object) -> str:
        keys = value if isinstance(value, list | tuple) else [None]
        is_right = all(isinstance(key, str) and FERNET_KEY.fullmatch(key) for key in keys)
        return "" if is_right else "must be a list of Fernet keys"


class ExecutionsSettings(AppSettings):
    # Days of log lines in one partition, and how many partitions are created ahead of time.
    LOG_PARTITION_DAYS = Number(7, least=1, most=366)
    LOG_PARTITIONS_AHEAD = Number(8, least=1, most=520)
    # Days after which upkeep removes runs that ended, failed ones, and log lines. None: they are kept for ever.
    RUN_DAYS = OptionalNumber(180, least=1, most=36_500)
    FAILED_RUN_DAYS = OptionalNumber(365, least=1, most=36_500)
    LOG_DAYS = OptionalNumber(30, least=1, most=36_500)
    # The same for lines of debug and info, if they live shorter. None: as long as the others.
    DETAIL_LOG_DAYS = OptionalNumber(None, least=1, most=36_500)
    # Days after which upkeep forgets that it deleted a run. Deletions by others are never forgotten.
    DELETION_RECORD_DAYS = OptionalNumber(365, least=2, most=36_500)
    # Runs that upkeep deletes at once, and milliseconds that it waits before the next ones.
    UPKEEP_BATCH_RUNS = Number(500, least=1, most=10_000)
    UPKEEP_PAUSE_MS = Number(100, most=60_000)
    # Seconds between two upkeeps of `manage.py serve`, 0 for none, and those after which it is reported as late.
    UPKEEP_EVERY_SECONDS = Number(1_800, most=86_400)
    UPKEEP_LATE_SECONDS = Number(3_600, least=60)
    # Seconds without a heartbeat, log line or transition after which a running row is called silent. A run is late when
    # it has been running for so many percent of the 95th percentile of its workflow, and for so many seconds.
    SILENT_SECONDS = Number(3_600, least=60, most=31_536_000)
    LATE_PERCENT = Number(150, least=100, most=10_000)
    LATE_SECONDS = Number(60, most=31_536_000)
    # Seconds after which upkeep cancels a run that was never started. None: never.
    PENDING_EXPIRE_SECONDS = OptionalNumber(None, least=60, most=315_360_000)
    # Maximum bytes (UTF-8) of one text; a longer one is cut, with a mark. A CHECK in the database enforces `most`.
    MAX_MESSAGE_BYTES = Number(65_536, least=1_024, most=65_536)
    MAX_ERROR_BYTES = Number(65_536, least=1_024, most=1_048_576)
    MAX_TRACEBACK_BYTES = Number(262_144, least=1_024, most=1_048_576)
    MAX_REASON_BYTES = Number(4_096, least=256, most=65_536)
    # Maximum age in days of a log id that an API client chose: the time inside the id selects the partition.
    LOG_ID_DAYS = Number(90, least=1, most=3650)
    # Maximum of open streams, per user and in all, counted over all processes of `manage.py serve`.
    STREAMS_PER_USER = Number(20, least=1)
    STREAMS = Number(500, least=1)
    # Connection parameters, as in DATABASES, of the LISTEN connection, if "default" goes through a pooler.
    LISTENER_DATABASE = Setting[dict[str, object]]({})
    # Keys that encrypt the secrets of runs: the first encrypts, each of them decrypts.
    SECRETS_KEYS = FernetKeys([])
    # Maximum of secrets of one run, and of characters of one secret and of all. Every text is searched for all.
    SECRETS_MAX = Number(500, least=1, most=5_000)
    SECRETS_MAX_LENGTH = Number(8_192, least=6, most=65_536)
    SECRETS_MAX_CHARACTERS = Number(65_536, least=6, most=1_000_000)
    # Seconds that secrets are kept after a run completed or was cancelled (for late lines), and after it failed
    # (for a retry).
    SECRETS_GRACE_SECONDS = Number(3_600)
    SECRETS_FAILED_SECONDS = Number(604_800)
    # Name of the user who owns the workflows of Django's tasks (django.tasks); None: they are not recorded.
    RECORD_TASKS_AS = Text()
    # Folder, or URL of fsspec such as s3://bucket/ledger, of the archive; None: nothing is archived.
    ARCHIVE = Text()


executions_settings = ExecutionsSettings("EXECUTIONS")


def secrets_keys() -> tuple[str, ...]:
    """Return SECRETS_KEYS; if unset, keys made of SECRET_KEY and SECRET_KEY_FALLBACKS."""
    if keys := executions_settings.SECRETS_KEYS:
        return tuple(keys)
    return tuple(fernet_key_from(text) for text in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


def fernet_key_from(text: str | bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(b"executions secrets " + force_bytes(text)).digest()).decode()


def check_middleware(**_kwargs: object) -> list[checks.CheckMessage]:
    if ACTOR in settings.MIDDLEWARE:
        return []
    return [checks.Warning(f"{ACTOR} is not in MIDDLEWARE: the admin's changes name no user.", id="executions.W002")]


def check_secrets_keys(**_kwargs: object) -> list[checks.CheckMessage]:
    """Warn in `check --deploy` if EXECUTIONS["SECRETS_KEYS"] is not set."""
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
