"""The scan for failures, every few seconds, by one process at a time. Nothing of it is on the path of a write.

The history of runs is read between two snapshots, as the streams do (executions/live/reader.py): none is missed and
none comes twice, in whatever order transactions commit. Each step is one transaction under an advisory lock, with the
place that it reached. The first scan begins at its own time; the failed runs from before are read afterwards, newest
first.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from executions import audit
from executions.conf import executions_settings
from executions.live.cursor import Cursor
from executions.live.reader import AllRunsReader
from executions.models import ErrorGroup, ErrorScan, ErrorState, WorkflowExecution
from ledgerkit.db.audit import audit_writes
from ledgerkit.db.locks import try_lock

from .failures import read_attempts, read_failures
from .recording import record

LOCK = "executions.error_groups"
STEP = 500  # attempts in one transaction
BACKFILL = timedelta(days=30)
# Entries that are older than the scan before by more than this were not written since, but restored.
RESTORED = timedelta(hours=1)
ACTOR = "upkeep"


class StepResult(NamedTuple):
    """The number that a transaction stored, and whether there is more to be read."""

    number: int
    is_more: bool


def scan() -> int | None:
    """Look once: read what failed since the last scan, then some of what failed before the first one. Return the number
    of new occurrences, None if another process looks at this moment."""
    number, is_more = 0, True
    while is_more:
        if (read := _in_transaction(_step)) is None:
            return None
        number, is_more = number + read.number, read.is_more
    older = _in_transaction(_backfill)
    return number + (older.number if older else 0)


def _in_transaction(step: Callable[[ErrorScan], StepResult]) -> StepResult | None:
    with audit.act_as(name=ACTOR), transaction.atomic():
        if not try_lock(LOCK):
            return None
        with audit_writes():
            return step(ErrorScan.read())


def _step(scan: ErrorScan) -> StepResult:
    if not scan.until:
        _begin(scan)
    if not scan.until:  # the first scan
        scan.save()
        return StepResult(0, is_more=False)
    attempts = read_attempts(scan, scan.scanned_at - RESTORED, STEP)
    number = record(read_failures([(each.run, each.attempt) for each in attempts]))
    if len(attempts) == STEP:
        scan.place = attempts[-1].place
        scan.save(update_fields=["since", "until", "place"])
        return StepResult(number, is_more=True)
    _end_mutes()
    ErrorScan.objects.update(since=scan.until, until="", place=None, scanned_at=Now())
    return StepResult(number, is_more=False)


def _begin(scan: ErrorScan) -> None:
    """Set the snapshot up to which is read. After a restore of the database to an earlier time it begins anew."""
    until = AllRunsReader().snapshot()
    if not scan.since:
        scan.backfill_from = timezone.now()
    if not scan.since or not Cursor.at(scan.since).is_older_than(until):
        scan.since = until
        return
    scan.until, scan.place = until, None


def _end_mutes() -> None:
    over = ErrorGroup.objects.filter(state=ErrorState.MUTED, muted_until__lte=timezone.now())
    over.update(state=ErrorState.OPEN, muted_until=None)


def _backfill(scan: ErrorScan) -> StepResult:
    """Read some runs of the last 30 days that failed before the first scan, latest end first. Runs of the same end are
    read in one step."""
    if scan.backfill_from is None:
        return StepResult(0, is_more=False)
    failed = WorkflowExecution.objects.failed().filter(
        ended_at__lt=scan.backfill_from, ended_at__gte=timezone.now() - BACKFILL
    )
    times = list(failed.order_by("-ended_at").values_list("ended_at", flat=True)[:STEP])
    oldest = times[-1] if len(times) == STEP else None
    among = failed.filter(ended_at__gte=oldest) if oldest else failed
    number = record(read_failures(list(among.order_by().values_list("pk", "attempt")[: 10 * STEP])))
    ErrorScan.objects.update(backfill_from=oldest)
    return StepResult(number, is_more=oldest is not None)


def is_late() -> bool:
    """Return whether no scan has ended for a while: groups lack what failed since."""
    late = timedelta(seconds=executions_settings.UPKEEP_LATE_SECONDS)
    return not ErrorScan.objects.filter(scanned_at__gte=timezone.now() - late).exists()
