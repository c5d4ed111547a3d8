"""Closing of hours that are over, so that pages need not count their runs (sql/rollups.sql)."""

from datetime import timedelta

from django.db.models import Exists, F, OuterRef

from executions import rollups
from executions.models import RollupChange, RollupPeriod

from .task import Progress, Result

HOURS = 8 * 24  # that are kept
CLOSED_AT_ONCE = 24


def plan() -> Result:
    changes = RollupChange.objects.filter(hour__gte=OuterRef("start"), hour__lt=OuterRef("until"))
    closed = RollupPeriod.objects.filter(~Exists(changes), is_closed=True, until=F("start") + timedelta(hours=1))
    return Result(rows=max(0, HOURS - closed.count()))


def apply(progress: Progress) -> Result:
    expected, done = plan().rows, 0
    rollups.close_hours(0)  # finds those that are over
    while closed := rollups.close_hours(CLOSED_AT_ONCE):
        done += closed
        progress(done, max(done, expected))
    return Result(rows=done)
