"""Sorting of failures into groups, by each upkeep; `manage.py serve` does it continuously."""

from executions.error_groups.scan import scan
from executions.models import ErrorScan

from .task import Progress, Result


def plan() -> Result:
    """Return an empty result: new failures are known only after a scan has read them."""
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
