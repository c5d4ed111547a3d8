"""Percentiles of the durations of a workflow's recent runs, and the runs that exceed them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db.models import Aggregate, Case, Count, DurationField, F, Q, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from executions import limits
from executions.admin import formatting
from executions.models import ExecutionStatus, WorkflowExecution
from ledgerkit.db.timeouts import StatementTimeout, statement_timeout

DAYS = 7
MIN_RUNS = 20  # completed runs or node executions needed: p95 separates one of 20
DURATION = F("ended_at") - F("started_at")


class Percentiles(Aggregate):
    """Aggregate of the 50th and 95th percentile of a duration."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY %(expressions)s)%(filter)s"
    output_field = ArrayField(DurationField())


@dataclass(frozen=True)
class WorkflowPercentiles:
    """Median and 95th percentile of durations, in seconds."""

    p50: float
    p95: float

    @classmethod
    def read(cls, percentiles: list[timedelta] | None, number: int) -> Self | None:
        """Convert the result of Percentiles over `number` durations; None if they are fewer than MIN_RUNS."""
        if not percentiles or number < MIN_RUNS:
            return None
        return cls(*(each.total_seconds() for each in percentiles))


class PercentileTexts:
    """Mixin with the percentiles of `usual` as text."""

    usual: WorkflowPercentiles | None

    @property
    def p50(self) -> str:
        return formatting.format_duration(self.usual.p50) if self.usual else "–"

    @property
    def p95(self) -> str:
        return formatting.format_duration(self.usual.p95) if self.usual else "–"


def since() -> datetime:
    return timezone.now() - timedelta(days=DAYS)


def completed_runs(**which: object) -> Any:
    """Return workflow, number and percentiles of the runs completed in the last DAYS, for workflows with at least
    MIN_RUNS of them. An index-only scan serves it."""
    runs = WorkflowExecution.objects.filter(status=ExecutionStatus.COMPLETED, ended_at__gte=since(), **which)
    found = runs.order_by().values("workflow").annotate(runs=Count("status"), percentiles=Percentiles(DURATION))
    return found.filter(runs__gte=MIN_RUNS)


def get_percentiles(workflows: Collection[UUID]) -> dict[UUID, WorkflowPercentiles]:
    """Return the percentiles of each workflow with enough completed runs; an empty dict if the query times out."""
    try:
        with statement_timeout(limits.PERCENTILES_MS):
            found = [
                (each, WorkflowPercentiles.read(each["percentiles"], each["runs"]))
                for each in completed_runs(workflow__in=workflows)
            ]
            return {each["workflow"]: known for each, known in found if known}
    except StatementTimeout:
        return {}


def is_slow() -> Q:
    """Return the condition of runs whose duration, or duration so far, exceeds the p95 of their workflow."""
    busiest = completed_runs().order_by("-runs")[: limits.SLOW_WORKFLOWS]
    cases = [When(workflow=each["workflow"], then=Value(each["percentiles"][1], DurationField())) for each in busiest]
    if not cases:
        return Q(pk__in=[])
    # For other workflows the limit is NULL, so that both comparisons are false.
    limit = Case(*cases, default=None, output_field=DurationField())
    ended = Q(ended_at__gt=F("started_at") + limit)
    return ended | Q(status=ExecutionStatus.RUNNING, started_at__lt=Now() - limit)
