"""Failures are sorted into groups: again and again by `manage.py serve`, and by each upkeep."""

from executions.error_groups.scan import scan
from executions.models import ErrorScan

from .task import Progress, Result


def plan() -> Result:
    """Return nothing: what has failed since the last scan is known only when it is read."""
    return Result()


def apply(progress: Progress) -> Result:
    """Scan, with all older failures that are still to be read."""
    number = 0
    while (found := scan()) is not None:
        number += found
        progress(number, number)
        if not ErrorScan.objects.exclude(backfill_from=None).exists():
            break
    return Result(rows=number)
