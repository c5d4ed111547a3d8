"""Columns of the list of workflows about their runs: the last one, the next that is expected, success and trend of the
last 7 days."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from django.contrib import admin
from django.db.models import OuterRef, Subquery
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions import limits
from executions.admin import duration_cells, formatting, statuses
from executions.admin.monitor import workflow_health
from executions.admin.monitor.daily_chart import render_daily_chart
from executions.admin.monitor.workflow_health import Health
from executions.admin.section_queries import query_or_none
from executions.admin.types import User
from executions.models import WorkflowExecution
from ledgerkit import time_zones
from workflows.models import Workflow

from . import expected_runs
from .expected_runs import ExpectedRun

UNKNOWN = "–"
RUN_COLUMNS = (
    "status",
    "failed_nodes",
    "is_queued",
    "workflow",
    "workflow_name",
    "created_at",
    "started_at",
    "ended_at",
)


class RunColumns:
    """The columns about runs, of the workflows of one page, for one user."""

    css = ("executions/admin.css", "executions/monitor.css")

    def __init__(self, user: User) -> None:
        self.user = user
        self.last: Mapping[UUID, WorkflowExecution] = {}
        self.health: Mapping[UUID, Health] = {}
        self.expected: Mapping[UUID, ExpectedRun] = {}

    @property
    def columns(self) -> Sequence[Callable[[Workflow], str]]:
        """Return the columns; that of the next run only where an app knows it."""
        known = (self.next_run,) if expected_runs.has_sources() else ()
        return (self.last_run, *known, self.success, self.trend)

    def load(self, workflows: list[UUID]) -> None:
        """Read the newest and the next run of each workflow, and the counts of their runs. What takes too long is left
        out."""
        newest = query_or_none("last runs", lambda: newest_runs(self.user, workflows), limits.WORKFLOW_PAGE_MS)
        health = query_or_none(
            "health", lambda: workflow_health.health_of_workflows(self.user, workflows), limits.WORKFLOW_PAGE_MS
        )
        expected = query_or_none(
            "next runs", lambda: expected_runs.find_expected_runs(self.user, workflows), limits.WORKFLOW_PAGE_MS
        )
        self.last = {run.workflow_id: run for run in newest or []}
        self.health = {each.workflow_id: each for each in health or []}
        self.expected = expected or {}

    @admin.display(description=_("last run"))
    def last_run(self, row: Workflow) -> str:
        if (run := self.last.get(row.pk)) is None:
            return UNKNOWN
        address = reverse("admin:executions_workflowexecution_change", args=[run.pk])
        ago = duration_cells.format_ago(run.started_at or run.created_at)
        return format_html('{} <a href="{}">{}</a>', statuses.row_badge(run), address, ago)

    @admin.display(description=_("next expected"))
    def next_run(self, row: Workflow) -> str:
        if (expected := self.expected.get(row.pk)) is None:
            return UNKNOWN
        words = gettext("due since %(time)s") if expected.is_missed else gettext("by %(time)s")
        known = {"words": words % {"time": time_zones.clock(expected.due, "minutes")}, "expected": expected}
        return render_to_string("admin/executions/workflow/_next_run.html", known)

    @admin.display(description=_("success in 7 days"))
    def success(self, row: Workflow) -> str:
        health = self.health.get(row.pk)
        if health is None or health.success is None:
            return UNKNOWN
        return format_html('<a href="{}">{}</a>', health.ended.address, formatting.format_percent(health.success))

    @admin.display(description=_("day by day"))
    def trend(self, row: Workflow) -> str:
        if (health := self.health.get(row.pk)) is None:
            return UNKNOWN
        return render_daily_chart(health.chart)


def newest_runs(user: User, workflows: list[UUID]) -> list[WorkflowExecution]:
    """Return the newest run of each workflow that the user may see, by one look into the index for each."""
    newest = WorkflowExecution.objects.filter(workflow=OuterRef("pk")).order_by("-created_at", "-id").values("pk")[:1]
    ids = Workflow.objects.filter(pk__in=workflows).values_list(Subquery(newest), flat=True)
    return list(WorkflowExecution.objects.visible_to(user).filter(pk__in=list(ids)).only(*RUN_COLUMNS))
