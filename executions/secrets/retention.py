"""Retention of the secrets of runs: until the run can store no more text that may contain them.

They are stored in `encrypted_secrets` of the run's own row: NULL if the run has none, DELETED after they were purged.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from django.apps import apps
from django.db import DatabaseError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from executions.conf import executions_settings
from executions.states import ExecutionStatus

from . import encryption

if TYPE_CHECKING:
    from executions.models import WorkflowExecution

DELETED = ""  # value of encrypted_secrets after a purge; an encrypted text is never empty
PURGED_AT_ONCE = 100
PURGE_EVERY = 60  # seconds, in one process

logger = logging.getLogger(__name__)


def _kept_for() -> dict[ExecutionStatus, timedelta]:
    """Return the retention of secrets after a run has ended, by its status."""
    grace = timedelta(seconds=executions_settings.SECRETS_GRACE_SECONDS)
    failed = timedelta(seconds=executions_settings.SECRETS_FAILED_SECONDS)
    return {ExecutionStatus.COMPLETED: grace, ExecutionStatus.CANCELLED: grace, ExecutionStatus.FAILED: failed}


def has_expired(status: str, ended_at: datetime | None) -> bool:
    """Return whether the retention of the secrets of such a run has passed."""
    kept_for = _kept_for().get(ExecutionStatus(status))
    return kept_for is not None and ended_at is not None and ended_at < timezone.now() - kept_for


def run_rows(using: str | None = None) -> "QuerySet[WorkflowExecution]":
    """Return a queryset of all runs. Its updates do not increment the row's version."""
    return apps.get_model("executions.WorkflowExecution")._base_manager.using(using)


def runs_with_expired_secrets(using: str | None = None) -> "QuerySet[WorkflowExecution]":
    """Return the runs whose secrets are stored although their retention has passed."""
    ended = [Q(status=status, ended_at__lt=Now() - kept_for) for status, kept_for in _kept_for().items()]
    return run_rows(using).filter(reduce(or_, ended), encrypted_secrets__gt=DELETED)


def purge(using: str | None = None, limit: int | None = None) -> int:
    """Delete the secrets of expired runs. Return the number of runs. Safe to run concurrently."""
    due = runs_with_expired_secrets(using)
    with transaction.atomic(using=due.db):
        locked = due.order_by().select_for_update(skip_locked=True, no_key=True)
        pks = list(locked.values_list("pk", flat=True)[:limit])
        encryption.forget_scrubbers()
        return int(due.filter(pk__in=pks).update(encrypted_secrets=DELETED)) if pks else 0


def purge_occasionally(using: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
    """Purge some expired secrets, at most once a minute in one process. Called after a run has ended. Never raises."""
    global _purged_at  # noqa: PLW0603  # the time of the last purge in this process
    if clock() - _purged_at < PURGE_EVERY:
        return
    _purged_at = clock()
    try:
        purge(using, PURGED_AT_ONCE)
    except DatabaseError as error:
        logger.warning("Expired secrets could not be deleted: %s. manage.py purge_secrets tries again.", error)


_purged_at = -float(PURGE_EVERY)
