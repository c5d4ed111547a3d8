"""Find what did not happen: the expectations of workflows against their runs.

A scan asks this every few seconds of each expectation that counts (`current()`). Nothing is missed before the moment
from which it counts.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from alerts import calendars, deadlines
from alerts.models import CALENDAR_ENDED, Expectation, ExpectationKind, Miss
from executions.models import ExecutionStatus, WorkflowExecution, WorkflowExecutionAttempt
from executions.querysets import WorkflowExecutionQuerySet
from executions.sort_keys import STARTED

# A run that succeeds later than this after it was created does not count: runs are found by their creation.
LONGEST_RUN = timedelta(days=30)
MOST_RUNS = 100  # maximum of late runs per workflow in one scan


@dataclass(frozen=True)
class Missed:
    """An expectation that was missed at `since`. `occurrence` is the same until it is met or missed again. `is_open`:
    what was expected has not happened yet."""

    expectation: Expectation
    since: datetime
    occurrence: str
    is_open: bool = True
    run: UUID | None = None


def find_missed(expectation: Expectation, before: Miss | None, now: datetime) -> Missed | None:
    """Return what is missed of the expectation now; None if it is met. `before` is what an earlier scan found."""
    if expectation.kind == ExpectationKind.SUCCESS_EVERY:
        return _no_success(expectation, before, now)
    if expectation.kind == ExpectationKind.STARTS_BY:
        return _no_start(expectation, now)
    return next(iter(runs_over_time(expectation, now, most=1)), None)


def _no_success(expectation: Expectation, before: Miss | None, now: datetime) -> Missed | None:
    since = now - expectation.duration
    if expectation.counts_from > since or _successes(expectation, since).exists():
        return None
    if before is not None and before.is_open:
        due = before.since
    else:
        last = _successes(expectation, expectation.counts_from).first()
        ended_at = last.ended_at if last and last.ended_at else expectation.counts_from
        due = max(expectation.counts_from, ended_at) + expectation.duration
    return Missed(expectation, due, f"success {due.isoformat()}")


def _successes(expectation: Expectation, since: datetime) -> WorkflowExecutionQuerySet:
    """Return the runs that succeeded since then, the newest first: the first one is near in their index."""
    runs = _runs(expectation).filter(status=ExecutionStatus.COMPLETED, ended_at__gt=since)
    return runs.filter(created_at__gt=since - LONGEST_RUN).order_by("-created_at", "-id").only("ended_at")


def _no_start(expectation: Expectation, now: datetime) -> Missed | None:
    last = calendars.last_day(expectation.days)
    if last is not None and last < now.astimezone(expectation.zone).date():
        end = deadlines.deadline_of(last, expectation.at, expectation.zone).due
        return Missed(expectation, end, f"{CALENDAR_ENDED}{last}")
    due_on = calendars.is_due_on(expectation.days)
    deadline = deadlines.last_deadline(expectation.at, expectation.zone, due_on, now)
    if deadline is None or deadline.due < expectation.counts_from:
        return None
    if _has_start(expectation, deadline.since, deadline.due):
        return None
    is_open = not _has_start(expectation, deadline.due, now)
    return Missed(expectation, deadline.due, f"start {deadline.due.isoformat()}", is_open)


def _has_start(expectation: Expectation, since: datetime, until: datetime) -> bool:
    """Return whether a run started in this time; with a retry, the start of the attempt that it replaced counts too.

    The runs are found by the index on their starts or by that of their workflow, whichever has fewer in that time. The
    attempts, of which there are few, are read as a whole."""
    started = Q(started_at__range=(since, until))
    near = _runs(expectation).filter(created_at__range=(since - LONGEST_RUN, until + LONGEST_RUN))
    if near.alias(start_key=STARTED).filter(start_key__range=(since, until)).exists():
        return True
    retried = near.filter(attempt__gt=1).values("pk")
    return WorkflowExecutionAttempt.objects.filter(started, workflow_execution__in=retried).exists()


def runs_over_time(expectation: Expectation, now: datetime, most: int = MOST_RUNS) -> list[Missed]:
    """Return the running runs that exceed the time of "ends within", the longest first."""
    running = _runs(expectation).filter(status=ExecutionStatus.RUNNING, started_at__lt=now - expectation.duration)
    runs = running.order_by("started_at", "id").only("started_at", "attempt")[:most]
    return [
        Missed(expectation, run.started_at + expectation.duration, f"end {run.pk} {run.attempt}", run=run.pk)
        for run in runs
        if run.started_at is not None
    ]


def _runs(expectation: Expectation) -> WorkflowExecutionQuerySet:
    return WorkflowExecution.objects.filter(workflow=expectation.workflow_id)
