"""The nodes of a workflow that take longer than in the week before: the medians of two weeks."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from executions.admin import formatting
from executions.admin.duration_percentiles import DURATION, Percentiles
from executions.admin.filters import recent_runs
from executions.admin.filters.recent_runs import ORDER
from executions.admin.types import User
from executions.models import NodeExecution, WorkflowExecution
from executions.states import ExecutionStatus

WEEK = timedelta(days=7)
LEAST = 3  # executions of each week
FACTOR = 1.2
SECONDS = 0.5  # a difference that matters
SHOWN = 10


@dataclass(frozen=True)
class SlowerNode:
    """A node whose median of this week is longer than that of the week before, both in seconds."""

    node: UUID
    name: str
    now: float
    before: float

    @property
    def now_text(self) -> str:
        return formatting.format_duration(self.now)

    @property
    def before_text(self) -> str:
        return formatting.format_duration(self.before)

    @property
    def change(self) -> str:
        return _("%(percent)d %% longer") % {"percent": round(100 * (self.now / self.before - 1))}


@dataclass(frozen=True)
class Weeks:
    """The nodes that became slower, and the numbers of runs that were looked at."""

    slower: list[SlowerNode]
    runs: int
    runs_before: int


def slower_nodes(user: User, workflow: UUID, nodes: int) -> Weeks:
    """Compare the newest completed runs of the last 7 days with those of the 7 days before, as many of each as bound
    the node executions that are read."""
    today, number = timezone.now(), recent_runs.window_size(nodes) // 2
    weeks = [_runs(user, workflow, today - WEEK * back, number) for back in (0, 1)]
    now, before = (_medians(user, runs) for runs in weeks)
    known = {row.node: row for row in before}
    found = [SlowerNode(row.node, row.name, row.seconds, known[row.node].seconds) for row in now if row.node in known]
    slower = sorted(filter(_is_slower, found), key=lambda each: each.now / each.before, reverse=True)
    return Weeks(slower[:SHOWN], *(len(runs) for runs in weeks))


@dataclass(frozen=True)
class _Median:
    node: UUID
    name: str
    seconds: float


def _runs(user: User, workflow: UUID, until: datetime, number: int) -> list[UUID]:
    """Return the newest completed runs that were created in the week until then, from the index on the runs of a
    workflow."""
    within = Q(created_at__gt=until - WEEK, created_at__lte=until, status=ExecutionStatus.COMPLETED)
    found = recent_runs.first_rows(WorkflowExecution.objects.visible_to(user), workflow, within, ORDER, number)
    return [run.pk for run in found]


def _medians(user: User, runs: list[UUID]) -> list[_Median]:
    ended = NodeExecution.objects.visible_to(user).filter(
        workflow_execution__in=runs, status=ExecutionStatus.COMPLETED, started_at__isnull=False
    )
    by_node = ended.order_by().values("node", name=F("node__name"))
    rows = by_node.annotate(number=Count("pk"), percentiles=Percentiles(DURATION)).filter(number__gte=LEAST)
    return [_Median(row["node"], row["name"], row["percentiles"][0].total_seconds()) for row in rows]


def _is_slower(node: SlowerNode) -> bool:
    return node.before > 0 and node.now > FACTOR * node.before and node.now - node.before >= SECONDS
