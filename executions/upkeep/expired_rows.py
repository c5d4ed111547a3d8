"""Rows with a time of their own that is over: answers to idempotency keys, last writes of callers, secrets of runs,
records of upkeep and of the runs that it deleted."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from executions.audit import Through
from executions.conf import executions_settings
from executions.models import Deletion, UpkeepRun
from executions.querysets import DeletionQuerySet
from executions.secrets import retention
from ledgerkit.models import IdempotencyKey, LastWrite

from .run_retention import ACTOR
from .task import Progress, Result

PURGED_AT_ONCE = 1_000  # runs
DELETED_AT_ONCE = 5_000  # other rows


def plan_keys() -> Result:
    return Result(rows=IdempotencyKey.objects.expired().count())


def delete_keys(progress: Progress) -> Result:
    return _delete_in_batches(IdempotencyKey.objects.expired(), progress)


def plan_last_writes() -> Result:
    return Result(rows=LastWrite.objects.expired().count())


def delete_last_writes(progress: Progress) -> Result:
    return _delete_in_batches(LastWrite.objects.expired(), progress)


def plan_secrets() -> Result:
    return Result(rows=retention.runs_with_expired_secrets().count())


def purge_secrets(progress: Progress) -> Result:
    done = 0
    while purged := retention.purge(limit=PURGED_AT_ONCE):
        done += purged
        progress(done, done)
    return Result(rows=done)


def plan_records() -> Result:
    return Result(rows=UpkeepRun.objects.expired().count())


def delete_records(_progress: Progress) -> Result:
    return Result(rows=UpkeepRun.objects.expired().delete()[0])


def plan_deletion_records() -> Result:
    return Result(rows=_expired_deletions().count())


def delete_deletion_records(progress: Progress) -> Result:
    return _delete_in_batches(_expired_deletions(), progress)


def _delete_in_batches(expired: QuerySet[Any], progress: Progress) -> Result:
    """Delete the rows in statements that commit one by one. A row that is written meanwhile is compared again."""
    done = 0
    while deleted := expired.filter(pk__in=expired[:DELETED_AT_ONCE].values("pk")).delete()[0]:
        done += deleted
        progress(done, done)
    return Result(rows=done)


def _expired_deletions() -> DeletionQuerySet:
    """Return the expired records of runs that upkeep deleted: the database refuses to delete others."""
    if (days := executions_settings.DELETION_RECORD_DAYS) is None:
        return Deletion.objects.none()
    until = timezone.now() - timedelta(days=days)
    ours = Deletion.objects.filter(through=Through.IN_PROCESS, username=ACTOR, token_id=None)
    return ours.filter(happened_at__lt=until).order_by("happened_at", "pk")
