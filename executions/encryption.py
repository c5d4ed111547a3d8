"""Encryption of a run's secret values, and how long they are kept: until the run can write nothing more that may
contain them.

They are in the run's own row, `encrypted_secrets`: NULL where the run has none, DELETED once they were purged.
"""

import json
import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import lru_cache, reduce
from operator import or_
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from django.apps import apps
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from ledgerkit.conf import ledgerkit_settings

from .conf import executions_settings, secrets_keys
from .secrets import Scrubber
from .states import ExecutionStatus

DELETED = ""  # in place of the encrypted text, which is never empty
PURGED_AT_ONCE = 100
PURGE_EVERY = 60  # seconds, of one process

logger = logging.getLogger(__name__)


def _kept_for() -> dict[ExecutionStatus, timedelta]:
    """Return how long the secrets of a run are kept once it has ended in a state: for late lines, or for a retry."""
    grace = timedelta(seconds=executions_settings.SECRETS_GRACE_SECONDS)
    failed = timedelta(seconds=executions_settings.SECRETS_FAILED_SECONDS)
    return {ExecutionStatus.COMPLETED: grace, ExecutionStatus.CANCELLED: grace, ExecutionStatus.FAILED: failed}


def has_expired(status: str, ended_at: datetime | None) -> bool:
    """Return whether the time to keep the secrets of such a run has passed."""
    kept_for = _kept_for().get(ExecutionStatus(status))
    return kept_for is not None and ended_at is not None and ended_at < timezone.now() - kept_for


def run_rows(using: str | None = None) -> Any:
    """Return all runs, by a queryset whose changes make no new version of a row."""
    return apps.get_model("executions.WorkflowExecution")._base_manager.using(using)


def runs_with_expired_secrets(using: str | None = None) -> Any:
    """Return the runs whose secrets are kept although their time has passed."""
    ended = [Q(status=status, ended_at__lt=Now() - kept_for) for status, kept_for in _kept_for().items()]
    return run_rows(using).filter(reduce(or_, ended), encrypted_secrets__gt=DELETED)


def purge(using: str | None = None, limit: int | None = None) -> int:
    """Delete the secrets of expired runs and return how many runs there were. Others may do the same meanwhile."""
    due = runs_with_expired_secrets(using)
    with transaction.atomic(using=due.db):
        locked = due.order_by().select_for_update(skip_locked=True, no_key=True)
        pks = list(locked.values_list("pk", flat=True)[:limit])
        _scrubber.cache_clear()
        return int(due.filter(pk__in=pks).update(encrypted_secrets=DELETED)) if pks else 0


def purge_occasionally(using: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
    """A few of other runs, after a verb has ended one: at most once a minute in one process. Never raises."""
    global _purged_at  # noqa: PLW0603  # of the process, as its name says
    if clock() - _purged_at < PURGE_EVERY:
        return
    _purged_at = clock()
    try:
        purge(using, PURGED_AT_ONCE)
    except DatabaseError as error:
        logger.warning("Expired secrets could not be deleted: %s. manage.py purge_secrets tries again.", error)


_purged_at = -float(PURGE_EVERY)


def load_scrubber(sealed: str) -> Scrubber:
    """Raises InvalidToken where no key of the settings decrypts it."""
    return _scrubber(sealed, _keys(), extra_keys())


@lru_cache(64)
def _scrubber(sealed: str, keys: tuple[str, ...], extra: tuple[str, ...]) -> Scrubber:
    """No two encryptions are equal: the text itself is the version of the row."""
    return Scrubber(_decrypt_values(sealed, keys), extra)


def encrypt(values: Iterable[str]) -> str:
    return _fernet(_keys()).encrypt(json.dumps(sorted(values)).encode()).decode()


def decrypt(sealed: str) -> frozenset[str]:
    """Raises InvalidToken where no key of the settings decrypts it."""
    return _decrypt_values(sealed, _keys())


def _decrypt_values(sealed: str, keys: tuple[str, ...]) -> frozenset[str]:
    return frozenset(json.loads(_fernet(keys).decrypt(sealed)))


@lru_cache(8)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def _keys() -> tuple[str, ...]:
    return secrets_keys()


def extra_keys() -> tuple[str, ...]:
    """Names of keys whose values are secret too, beside those that are known."""
    return tuple(ledgerkit_settings.SECRET_KEYS_EXTRA)
