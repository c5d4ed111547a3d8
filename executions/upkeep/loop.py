"""The loop of the upkeep process: the first server that finds upkeep due runs it, and the others see that.

Attempts that are over time are ended by every server, each ten seconds, in a thread beside upkeep, which may take long.
"""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from threading import current_thread

import django.db
import psycopg
from django.db import connection

from executions.bulk.runner import work_open
from executions.conf import executions_settings
from executions.error_groups.scan import scan
from ledgerkit.db.timeouts import no_limit
from ledgerkit.rate_limited_logging import RateLimitedLogger

from . import overdue_attempts, runner
from .interruption import was_interrupted
from .last_upkeep import age
from .runner import AnotherUpkeep

SCAN_EVERY = 5  # seconds between two looks for failures
LOOK_EVERY = 10  # seconds between two looks whether it is due
LOOK_FOR_WORK_EVERY = 1  # seconds between two looks for bulk actions
# Without a table: not migrated yet.
IS_OURS = "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('execution_logs')"

logger = logging.getLogger(__name__)
log_postponed_upkeep = RateLimitedLogger(logger, "Upkeep is put off (%s), as the database fails: %s")


def repeat_upkeep() -> None:
    """Do upkeep every UPKEEP_EVERY_SECONDS, until the process ends. The database may go and come back."""
    every = executions_settings.UPKEEP_EVERY_SECONDS
    was_refused = False

    def look() -> None:
        nonlocal was_refused
        was_refused = not _owns_the_tables(was_refused=was_refused)
        if not was_refused:
            do_if_due(timedelta(seconds=every))

    repeat(look, min(every, LOOK_EVERY))


def repeat_overdue() -> None:
    """End attempts that are over time, every ten seconds, until the process ends."""
    repeat(overdue_attempts.end_overdue, LOOK_EVERY)


def repeat_bulk_actions() -> None:
    """Work at the bulk actions that are confirmed, within a second, until the process ends."""
    repeat(work_open, LOOK_FOR_WORK_EVERY)


def repeat_error_groups() -> None:
    """Sort failures into groups, every few seconds, until the process ends."""
    repeat(scan, SCAN_EVERY)


def repeat(look: Callable[[], object], seconds: int) -> None:
    """Call `look` again and again, until the process is interrupted. What fails is logged: the next look may not meet
    it, and nobody would notice a thread that has ended."""
    while True:
        try:
            look()
        except Exception as error:
            if was_interrupted(error):
                raise KeyboardInterrupt from error
            _log(error)
        finally:
            connection.close()
        time.sleep(seconds)


def _log(error: Exception) -> None:
    if isinstance(error, (django.db.Error, psycopg.Error)):
        log_postponed_upkeep.for_kind(thread := current_thread().name, type(error).__name__)(
            thread, " ".join(str(error).split())
        )
    else:
        logger.error("A look of upkeep failed (%s). The next one is made.", current_thread().name, exc_info=error)


def do_if_due(every: timedelta) -> bool:
    """Do the upkeep, unless one ended lately or is at work. Return whether it was done."""
    if age() < every:
        return False
    try:
        with no_limit():
            for _outcome in runner.run_all():  # each is in the record; the runner logs what fails
                pass
    except AnotherUpkeep:
        return False
    return True


def _owns_the_tables(*, was_refused: bool) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(IS_OURS)
        (is_ours,) = cursor.fetchone() or (False,)
    if not is_ours and not was_refused:
        logger.warning("This server does no upkeep: its role does not own the tables. Schedule `manage.py upkeep`.")
    return bool(is_ours)
