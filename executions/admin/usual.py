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
from pastetrader.postgres.limits import TookTooLong, at_most

DAYS = 7
LIMIT_MS = 500
WORKFLOWS = 200  # the busiest; runs of others are never called slow
DURATION = F("ended_at") - F("started_at")


class Percentiles(Aggregate):
    """The 50th and the 95th of a duration."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY %(expressions)s)%(filter)s"
    output_field = ArrayField(DurationField())


@dataclass(frozen=True)
class Usual:
    """What half of the runs take at most, and 95 of 100; in seconds."""

    p50: float
    p95: float

    @classmethod
    def read(cls, percentiles: list[timedelta]) -> Self:
        return cls(*(each.total_seconds() for each in percentiles))


def since() -> datetime:
    return timezone.now() - timedelta(days=DAYS)


def completed(**which: Any) -> Any:
    """Workflow and percentiles, of the runs that were completed lately; all from one index, no row is read."""
    runs = WorkflowExecution.objects.filter(status=ExecutionStatus.COMPLETED, ended_at__gte=since(), **which)
    return runs.order_by().values("workflow").annotate(percentiles=Percentiles(DURATION))


def of(workflows: Collection[UUID]) -> dict[UUID, Usual]:
    """Of each of `workflows` that completed a run lately; of none where that could not be told in time."""
    try:
        with at_most(LIMIT_MS):
            found = completed(workflow__in=workflows).values_list("workflow", "percentiles")
            return {pk: Usual.read(percentiles) for pk, percentiles in found}
    except TookTooLong:
        return {}


def slow() -> Q:
    """Runs that took, or have taken so far, longer than 95 of 100 of their workflow."""
    busiest = completed().annotate(runs=Count("status")).order_by("-runs")[:WORKFLOWS]
    limits = [When(workflow=each["workflow"], then=Value(each["percentiles"][1], DurationField())) for each in busiest]
    if not limits:
        return Q(pk__in=[])
    limit = Case(*limits, default=None, output_field=DurationField())
    ended = Q(ended_at__gt=F("started_at") + limit)
    return ended | Q(status=ExecutionStatus.RUNNING, started_at__lt=Now() - limit)
