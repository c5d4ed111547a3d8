"""Failures are sorted into groups: again and again by `manage.py serve`, and by each upkeep."""

import logging

import django.db
import psycopg

from executions.error_groups.scan import scan
from executions.models import ErrorScan

from .task import Progress, Result

logger = logging.getLogger(__name__)


def scan_or_log() -> None:
    """Look once. An error that is not the database's is logged: the next look may not meet it."""
    try:
        scan()
    except (django.db.Error, psycopg.Error):
        raise
    except Exception:
        logger.exception("The scan for groups of errors failed.")


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
