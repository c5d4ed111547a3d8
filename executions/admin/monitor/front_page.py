"""Monitor, the admin's front page for users who may view runs: what needs attention, groups of errors, running and
waiting runs, throughput.

Each section has its own queries and timeout, so that one may fail alone. Every number links to the list it counts.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import BooleanField, Case, ExpressionWrapper, OuterRef, Q, Subquery, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from executions import attention, limits
from executions.admin import attention_marks, duration_cells, formatting, page_streams
from executions.admin.attention_marks import Mark
from executions.admin.counts import Count, count_runs
from executions.admin.duration_cells import DurationCell
from executions.admin.filters import presets
from executions.admin.monitor import notices
from executions.admin.section_queries import query_or_none
from executions.admin.types import Context, Runs, User
from executions.models import ExecutionStatus, WorkflowExecution

from . import last_upkeep, recent_errors, waiting_retries, workflow_health
from .recent_errors import FailedRuns
from .waiting_retries import Wait

ALLOWS_CONCURRENCY = Q(metadata__contains={"allow_concurrent": True})
WITH_FAILED_NODES = {"status": "completed", "has_failed_nodes": "true", "ended": "1"}
TIMES = ("created_at", "started_at", "ended_at")
RUN_COLUMNS = ("status", "attempt", "failed_nodes", "trigger_type", *TIMES, "workflow", "workflow_name")


@dataclass(frozen=True)
class Section:
    """A section's result; `found` is None if its queries failed or timed out."""

    found: Any
    address: str  # URL of the list with the same runs


def front_page(request: HttpRequest) -> HttpResponse:
    runs = admin.site.get_model_admin(WorkflowExecution)
    if not runs.has_view_permission(request):
        return admin.site.index(request)
    context = {
        "title": _("Monitor"),
        "clocks": duration_cells.clock_texts(),
        "all_runs_stream": page_streams.all_runs_stream_url(),
        "notices": notices.find_notices(request.user),
    }
    found = {name: build_section(name, request.user) for name in SECTIONS}
    page = admin.site.index(request, context | {"monitor": found})
    page.template_name = "admin/executions/monitor/page.html"
    return page


def build_section(name: str, user: User) -> Section:
    load, filters = SECTIONS[name]
    return Section(query_or_none(name, lambda: load(user), limits.FRONT_PAGE_MS), presets.runs_url(**filters))


# --- the sections -----------------------------------------------------------
@dataclass(frozen=True, slots=True)
class AttentionRow:
    """A run, how long it has been running since `since`, or its turn, and why it needs attention."""

    run: WorkflowExecution
    since: datetime
    marks: list[Mark]

    @property
    def duration(self) -> str:
        return formatting.format_duration(max(0.0, (timezone.now() - self.since).total_seconds()))


def attention_section(user: User) -> Context:
    """Return the runs that are overdue, unstarted, silent or late, in this order."""
    found = attention.find_runs(user, limits.COUNTED_RUNS)
    marks = attention_marks.build_marks({pk: found[pk] for pk in [*found][: limits.FRONT_PAGE_ROWS]})
    runs = WorkflowExecution.objects.only(*RUN_COLUMNS).in_bulk([*marks])
    rows = [AttentionRow(runs[pk], runs[pk].started_at or found[pk][0].since, marks[pk]) for pk in marks if pk in runs]
    is_more = sum(map(len, found.values())) == limits.COUNTED_RUNS
    count = Count(len(found), presets.runs_url(attention="any"), is_more=is_more)
    return {"count": count, "rows": rows}


def failed_section(user: User) -> FailedRuns:
    found = recent_errors.failed_runs(user)
    return found if found.count.number else replace(found, quiet=_why_nothing_failed(user))


def _why_nothing_failed(user: User) -> str:
    """Return "no runs", "retried" (failed runs were put back to pending), "well", or "none ended" in the period."""
    seen = WorkflowExecution.objects.visible_to(user).order_by()
    if not seen.exists():
        return "no runs"
    if seen.filter(status=ExecutionStatus.PENDING, attempt__gt=1).exists():
        return "retried"
    return "well" if seen.filter(ended_at__gte=timezone.now() - recent_errors.PERIOD).exists() else "none ended"


def completed_with_failed_nodes(user: User) -> Count:
    """Count the recently completed runs with failed nodes."""
    lately = timezone.now() - recent_errors.PERIOD
    runs = WorkflowExecution.objects.visible_to(user).filter(
        status=ExecutionStatus.COMPLETED, failed_nodes__gt=0, ended_at__gte=lately
    )
    return count_runs(runs, presets.runs_url(**WITH_FAILED_NODES))


@dataclass(frozen=True, slots=True)
class RunningRow:
    run: WorkflowExecution
    duration: DurationCell


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """`reason` is "trash", "inactive", "another" or "queue" (its id is in `behind`), "turn" or "engine"."""

    run: WorkflowExecution
    wait: Wait
    reason: str
    behind: UUID | None


def running_section(user: User) -> Context:
    runs = list(_active(user, ExecutionStatus.RUNNING).order_by("started_at", "id")[: limits.FRONT_PAGE_ROWS])
    durations = duration_cells.duration_cells(runs)
    rows = [RunningRow(run, durations[run.pk]) for run in runs]
    return {"count": _count_in(user, ExecutionStatus.RUNNING), "rows": rows}


def waiting_section(user: Any) -> dict[str, Any]:
    """Return the number of waiting runs and those that wait longest, longest first."""
    # A run that allows concurrency neither blocks others nor waits for them.
    running = (
        WorkflowExecution.objects.running()
        .exclude(ALLOWS_CONCURRENCY)
        .filter(workflow=OuterRef("workflow"))
        .values("pk")
    )
    # The order of the queue: by the time of creation, then by the id.
    queued = WorkflowExecution.objects.filter(
        Q(created_at__lt=OuterRef("created_at")) | Q(pk__lt=OuterRef("pk")),
        created_at__lte=OuterRef("created_at"),
        workflow=OuterRef("workflow"),
        status=ExecutionStatus.PENDING,
        is_queued=True,
    )
    ahead = Case(When(is_queued=True, then=Subquery(queued.order_by("created_at", "id").values("pk")[:1])))
    concurrent = ExpressionWrapper(ALLOWS_CONCURRENCY, BooleanField())
    runs = _active(user, ExecutionStatus.PENDING, "is_queued", "workflow__is_active", "workflow__deleted_at")
    found = waiting_retries.longest_waiting(
        runs.annotate(behind=Coalesce(Subquery(running[:1]), ahead), is_concurrent=concurrent), limits.FRONT_PAGE_ROWS
    )
    waits = waiting_retries.get_waits(user, found)
    rows = [WaitingRow(run, waits[run.pk], _reason(run), run.behind) for run in found]
    longest_first = sorted(rows, key=lambda row: row.wait.since)[: limits.FRONT_PAGE_ROWS]
    return {"count": _count_in(user, ExecutionStatus.PENDING), "rows": longest_first}


def _reason(run: Any) -> str:
    if run.workflow.deleted_at is not None:
        return "trash"
    if not run.workflow.is_active:
        return "inactive"
    if run.is_queued:
        return "queue" if run.behind else "turn"
    return "another" if run.behind and not run.is_concurrent else "engine"


def _active(user: User, status: ExecutionStatus, *columns: str) -> Runs:
    runs = WorkflowExecution.objects.visible_to(user).filter(status=status)
    return (runs.select_related("workflow") if columns else runs).only(*RUN_COLUMNS, *columns)


def _count_in(user: User, status: ExecutionStatus) -> Count:
    runs = WorkflowExecution.objects.visible_to(user).filter(status=status)
    return count_runs(runs, presets.runs_url(status=status))


SECTIONS: dict[str, tuple[Callable[[Any], Any], dict[str, str]]] = {
    "attention": (attention_section, {"attention": "any"}),
    "error_groups": (recent_errors.error_groups_section, recent_errors.FAILED_RUNS),
    "failed": (failed_section, recent_errors.FAILED_RUNS),
    "completed_with_failed_nodes": (completed_with_failed_nodes, WITH_FAILED_NODES),
    "running": (running_section, {"status": "running"}),
    "waiting": (waiting_section, {"status": "pending"}),
    "throughput": (workflow_health.count_ended_runs, {"ended": "1"}),
    "workflows": (workflow_health.busiest_workflows, {"ended": "7"}),
    "upkeep": (last_upkeep.find_last_upkeep, {}),
}
