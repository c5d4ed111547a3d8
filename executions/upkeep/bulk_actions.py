"""Bulk actions: their work, and the removal of old ones."""

import logging
from datetime import timedelta

import django.db
import psycopg
from django.db.models import QuerySet
from django.utils import timezone

from executions.bulk.runner import work_open
from executions.models import BulkAction

from .task import Progress, Result

ACTION_RETENTION = timedelta(days=365)  # after their end
DELETED_AT_ONCE = 10  # with their runs

logger = logging.getLogger(__name__)


def look_for_work() -> None:
    """Work until nothing is left. An error that is not the database's is logged: the next look may not meet it."""
    try:
        work_open()
    except (django.db.Error, psycopg.Error):
        raise
    except Exception:
        logger.exception("The work at bulk actions failed.")


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
