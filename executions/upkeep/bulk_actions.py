"""Bulk actions: their work, and the removal of old ones."""

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from executions.bulk.runner import work_open
from executions.models import BulkAction

from .task import Progress, Result

ACTION_RETENTION = timedelta(days=365)  # after their end
DELETED_AT_ONCE = 10  # with their runs


def plan() -> Result:
    return Result(rows=sum(action.counts()["waiting"] for action in BulkAction.objects.open()))


def apply(progress: Progress) -> Result:
    return Result(rows=work_open(lambda done: progress(done, done)))


def plan_removal() -> Result:
    return Result(rows=_old().count())


def remove(progress: Progress) -> Result:
    """Delete old actions; their runs, as rows of the action, are deleted with them."""
    done = 0
    while pks := list(_old().values_list("pk", flat=True)[:DELETED_AT_ONCE]):
        BulkAction.objects.filter(pk__in=pks).delete()
        done += len(pks)
        progress(done, done)
    return Result(rows=done)


def _old() -> QuerySet[BulkAction]:
    return BulkAction.objects.filter(ended_at__lt=timezone.now() - ACTION_RETENTION).order_by()
