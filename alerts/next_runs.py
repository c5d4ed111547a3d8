"""Times at which the next runs of some workflows are expected: one query for all of them."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import DateTimeField, OuterRef, Q, Subquery, Value
from django.db.models.expressions import Combinable
from django.utils import timezone

from alerts import calendars, deadlines
from alerts.missed_expectations import LONGEST_RUN
from alerts.models import Expectation, ExpectationKind
from alerts.models.expectation import ExpectationQuerySet
from executions.admin.workflow.expected_runs import ExpectedRun
from executions.models import ExecutionStatus, WorkflowExecution
from workflows.querysets import User


def find_next_runs(user: User, workflows: Collection[UUID]) -> dict[UUID, ExpectedRun]:
    """Return what is due first of each workflow that has expectations which the user may see."""
    now = timezone.now()
    found: dict[UUID, ExpectedRun] = {}
    for expectation in _with_runs(Expectation.objects.visible_to(user).current().filter(workflow__in=workflows), now):
        if expected := _next_run(expectation, now):
            workflow = expectation.workflow_id
            found[workflow] = min(expected, found.get(workflow, expected), key=lambda each: each.due)
    return found


def _with_runs(expectations: ExpectationQuerySet, now: datetime) -> ExpectationQuerySet:
    """Annotate the last start and success of each workflow. "Ends within" expects no other run."""
    start = _newest("started_at", Q(started_at__isnull=False), Value(now - LONGEST_RUN, DateTimeField()))
    success = _newest("ended_at", Q(status=ExecutionStatus.COMPLETED), OuterRef("updated_at") - Value(LONGEST_RUN))
    rows = expectations.exclude(kind=ExpectationKind.ENDS_WITHIN).select_related("miss")
    return rows.annotate(last_start=start, last_success=success)


def _newest(column: str, where: Q, since: Combinable) -> Subquery:
    """Return a time of the newest run that meets the condition, near in the index of the workflow's runs."""
    runs = WorkflowExecution.objects.filter(where, workflow=OuterRef("workflow"), created_at__gt=since)
    return Subquery(runs.order_by("-created_at", "-id").values(column)[:1])


def _next_run(expectation: Expectation, now: datetime) -> ExpectedRun | None:
    """Return what is due next; None if the calendar knows no later day."""
    if since := expectation.missed_since:
        return ExpectedRun(since, str(expectation), is_missed=True)
    last: dict[str, datetime | None] = vars(expectation)
    if expectation.kind == ExpectationKind.SUCCESS_EVERY:
        last_success = last["last_success"] or expectation.counts_from
        due: datetime | None = max(expectation.counts_from, last_success) + expectation.duration
    else:
        is_due_on = calendars.is_due_on(expectation.days)
        due = deadlines.next_deadline(expectation.at, expectation.zone, is_due_on, now, last["last_start"])
    return None if due is None else ExpectedRun(due, str(expectation), is_missed=due <= now)
