"""How long the runs of a workflow usually take, and how a run compares with that."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db.models import Aggregate, Case, Count, DurationField, F, Q, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from executions.models import ExecutionStatus, WorkflowExecution
from ledgerkit.db.timeouts import StatementTimeout, statement_timeout

DAYS = 7
LEAST = 20  # completed runs, or executions of a node: of fewer, none is the one in 20 that takes longer than p95
LIMIT_MS = 500
WORKFLOWS = 200  # the busiest; runs of others are never called slow
DURATION = F("ended_at") - F("started_at")


class Percentiles(Aggregate):
    """The 50th and the 95th of a duration."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY %(expressions)s)%(filter)s"
    output_field = ArrayField(DurationField())


@dataclass(frozen=True)
class WorkflowPercentiles:
    """What half of the runs take at most, and 95 of 100; in seconds."""

    p50: float
    p95: float

    @classmethod
    def read(cls, percentiles: list[timedelta] | None, number: int) -> Self | None:
        """Return what Percentiles found of `number` durations; None of fewer than LEAST."""
        if not percentiles or number < LEAST:
            return None
        return cls(*(each.total_seconds() for each in percentiles))


def since() -> datetime:
    return timezone.now() - timedelta(days=DAYS)


def completed_runs(**which: Any) -> Any:
    """Workflow, number and percentiles of the runs that were completed lately, where they are enough to tell what is
    usual; all from one index, no row is read."""
    runs = WorkflowExecution.objects.filter(status=ExecutionStatus.COMPLETED, ended_at__gte=since(), **which)
    found = runs.order_by().values("workflow").annotate(runs=Count("status"), percentiles=Percentiles(DURATION))
    return found.filter(runs__gte=LEAST)


def get_percentiles(workflows: Collection[UUID]) -> dict[UUID, WorkflowPercentiles]:
    """Of each of `workflows` that completed enough runs lately; of none where that could not be told in time."""
    try:
        with statement_timeout(LIMIT_MS):
            found = [
                (each, WorkflowPercentiles.read(each["percentiles"], each["runs"]))
                for each in completed_runs(workflow__in=workflows)
            ]
            return {each["workflow"]: known for each, known in found if known}
    except StatementTimeout:
        return {}


def is_slow() -> Q:
    """Runs that took, or have taken so far, longer than 95 of 100 of their workflow."""
    busiest = completed_runs().order_by("-runs")[:WORKFLOWS]
    limits = [When(workflow=each["workflow"], then=Value(each["percentiles"][1], DurationField())) for each in busiest]
    if not limits:
        return Q(pk__in=[])
    limit = Case(*limits, default=None, output_field=DurationField())
    ended = Q(ended_at__gt=F("started_at") + limit)
    return ended | Q(status=ExecutionStatus.RUNNING, started_at__lt=Now() - limit)
