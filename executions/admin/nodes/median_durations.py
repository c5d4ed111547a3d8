"""Median durations of a workflow's nodes in two weeks: the one source of "slower than the week before" on the page of a
workflow, and of what is usual in a comparison of runs."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, F, Q

from executions.admin.duration_percentiles import DURATION, Percentiles
from executions.admin.filters import recent_runs
from executions.admin.filters.recent_runs import ORDER
from executions.admin.types import User
from executions.models import NodeExecution, WorkflowExecution
from executions.states import ExecutionStatus

WEEK = timedelta(days=7)
LEAST = 3  # executions of a node in a week
FACTOR = 1.2
SECONDS = 0.5  # a difference that matters


@dataclass(frozen=True)
class NodeMedian:
    node: UUID
    name: str
    seconds: float


@dataclass(frozen=True)
class WeekMedians:
    """The medians of the nodes, and the number of runs that were looked at."""

    runs: int
    nodes: dict[UUID, NodeMedian]

    def seconds(self, node: UUID) -> float | None:
        return found.seconds if (found := self.nodes.get(node)) else None


def medians_of_two_weeks(user: User, workflow: UUID, until: datetime, nodes: int) -> tuple[WeekMedians, WeekMedians]:
    """Return the medians of the 7 days before `until`, and of the 7 days before these. Of each week the newest
    completed runs are read, as many as bound the node executions: `nodes` is their number in one run."""
    number = recent_runs.window_size(nodes) // 2
    return _medians_of_week(user, workflow, until, number), _medians_of_week(user, workflow, until - WEEK, number)


def is_slower(now: float, before: float) -> bool:
    """Return whether it takes longer by a difference that matters."""
    return before > 0 and now > FACTOR * before and now - before >= SECONDS


def _medians_of_week(user: User, workflow: UUID, until: datetime, number: int) -> WeekMedians:
    """Return the medians of the runs that were created in the week before `until`, with two queries."""
    within = Q(created_at__gte=until - WEEK, created_at__lt=until, status=ExecutionStatus.COMPLETED)
    seen = WorkflowExecution.objects.visible_to(user)
    runs = [run.pk for run in recent_runs.first_rows(seen, workflow, within, ORDER, number)]
    return WeekMedians(len(runs), {row.node: row for row in _medians(user, runs)})


def _medians(user: User, runs: list[UUID]) -> list[NodeMedian]:
    ended = NodeExecution.objects.visible_to(user).filter(
        workflow_execution__in=runs, status=ExecutionStatus.COMPLETED, started_at__isnull=False
    )
    by_node = ended.order_by().values("node", name=F("node__name"))
    rows = by_node.annotate(number=Count("pk"), percentiles=Percentiles(DURATION)).filter(number__gte=LEAST)
    return [NodeMedian(row["node"], row["name"], row["percentiles"][0].total_seconds()) for row in rows]
