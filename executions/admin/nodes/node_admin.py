from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import F, Model, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from executions import limits
from executions.admin import attention_marks, formatting, log_line_rows
from executions.admin.attention_marks import Mark
from executions.admin.base import shows_run
from executions.admin.configurable_changelist import ConfigurableChangeList
from executions.admin.curl_command import curl_command
from executions.admin.error_groups import known_errors
from executions.admin.filters.attention_filters import NodeAttentionFilter
from executions.admin.filters.choice_filters import StatusFilter
from executions.admin.filters.error_group_filters import NodeErrorGroupFilter
from executions.admin.filters.id_filters import NodeFilter, RunFilter
from executions.admin.filters.order_and_columns import NodeColumnsFilter, NodeOrderFilter
from executions.admin.filters.period_filters import IdTimeFilter
from executions.admin.filters.recent_runs import NewestRunsFilter
from executions.admin.filters.text_filters import NodeErrorFilter, NodeNameFilter
from executions.admin.filters.time_filters import IdFromToFilter, NodeDurationFilter
from executions.admin.filters.workflow_filters import (
    NodeOwnerFilter,
    NodeTagFilter,
    NodeTriggerFilter,
    NodeWorkflowFilter,
)
from executions.admin.nodes import earlier_attempts
from executions.admin.run_again_links import again_url
from executions.admin.saved_views import SavedViewsMixin
from executions.admin.types import Attempt, Context, User
from executions.models import ExecutionLog, NodeExecution, NodeExecutionAttempt, WorkflowExecution
from ledgerkit.db.models import parse_uuid
from ledgerkit.types import StrOrPromise

from .name_suggestions import node_names_view


@dataclass(frozen=True, slots=True)
class RunNodeRow:
    """A node execution in the table of a run's page, with the newest `earlier` of the attempts that were `replaced`."""

    node: NodeExecution
    replaced: int
    earlier: list[NodeExecutionAttempt]


def nodes_of_run(request: HttpRequest, run: WorkflowExecution) -> list[NodeExecution]:
    """Return the node executions of a run in their order, annotated with `name` and `error`; at most NODES + 1."""
    rows = run.node_executions.visible_to(request.user).only("node", *NODE_COLUMNS[: NODE_COLUMNS.index("node_name")])
    rows = rows.annotate(name=F("node_name"), error=formatting.first_characters("error_message", formatting.LINE))
    return list(rows.order_by("execution_order", "id")[: limits.NODES + 1])


def attempts_of_nodes(nodes: list[NodeExecution]) -> Mapping[UUID, list[Attempt]]:
    """Return the times of the earlier attempts of each node."""
    return _by_node(earlier_attempts.attempt_times(_earlier(nodes)))


def present_nodes(nodes: list[NodeExecution]) -> list[RunNodeRow]:
    earlier = _by_node(earlier_attempts.newest_attempts(_earlier(nodes), formatting.SHORT))
    return [RunNodeRow(node, node.attempt - 1, earlier[node.pk]) for node in nodes]


def failed_nodes_of_run(request: HttpRequest, run: WorkflowExecution) -> list[NodeExecution]:
    """Return the failed node executions, the first failure first, with error and traceback."""
    rows = run.node_executions.visible_to(request.user).failed().select_related("node").only(*NODE_COLUMNS)
    errors = {
        "error": formatting.first_characters("error_message", formatting.SHORT),
        "traceback": formatting.last_characters("error_traceback", formatting.TRACEBACK),
    }
    return list(rows.annotate(**errors).order_by("ended_at", "id")[: limits.FAILED_NODES])


def node_details(user: User, row: NodeExecution) -> Context:
    """Return the details of a node execution for its own page and for a run's page."""
    errors = {
        "error": formatting.first_characters("error_message", formatting.LIMIT),
        "traceback": formatting.last_characters("error_traceback", formatting.LIMIT),
    }
    payloads, others = formatting.payloads(row, "input_data", "output_data", **errors)
    lines = ExecutionLog.objects.filter(workflow_execution=row.workflow_execution_id, node_execution=row)
    return others | {
        "node": row,
        "run": row.workflow_execution,
        "known": known_errors.of_node(user, row, others["error"], others["traceback"]),
        "payloads": payloads,
        "attempts": earlier_attempts.newest_attempts(row.attempts),
        "marks": attention_marks.marks_of_nodes([row]).get(row.pk, []),
        "lease": row.leases.filter(attempt=row.attempt).first(),
        "lines": log_line_rows.newest_rows(lines.visible_to(user)),
        "lines_shown": limits.LINES,
    }


def selected_node(request: HttpRequest, run: WorkflowExecution, requested_id: str) -> Context | None:
    """Return the details of the run's node execution with the id `requested_id`, None if the user can see none."""
    if (pk := parse_uuid(requested_id)) is None:
        return None
    rows = NodeExecution.objects.visible_to(request.user).filter(workflow_execution=run.pk, pk=pk)
    row = rows.select_related("node", "workflow_execution").only(*OF_ONE).first()
    return node_details(request.user, row) if row else None


def _earlier(nodes: list[NodeExecution]) -> Any:
    return NodeExecutionAttempt.objects.filter(node_execution__in=[node for node in nodes if node.attempt > 1])


def _by_node(found: list[Any]) -> defaultdict[Any, list[Any]]:
    tries = defaultdict(list)
    for each in found:
        tries[each.node_execution_id].append(each)
    return tries


NODE_COLUMNS = (
    "status",
    "attempt",
    "created_at",
    "started_at",
    "ended_at",
    "retry_count",
    "execution_order",
    "settled",
    "workflow_execution",
    "node_name",
    "node__retry_config",
)
OF_ONE = (*NODE_COLUMNS, "version", "workflow_execution__status", "workflow_execution__failed_nodes")


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node execution in the list. Without `shows_run` its run is only an id: the user may not see it."""

    node: NodeExecution
    shows_run: bool
    duration: str
    marks: list[Mark]


class NodeChangeList(ConfigurableChangeList):
    FIXED = ("state", "node_name")

    @property
    def headers(self) -> Mapping[str, StrOrPromise]:
        """Return the columns of the address or the usual ones, of which a list of failures has the error instead of two
        others."""
        columns, given = super().headers, self.filter_params
        is_of_failures = given.get("status") == ["failed"] or "error" in given
        if not is_of_failures or NodeColumnsFilter.parameter_name in given:
            return columns
        return {name: title for name, title in columns.items() if name not in {"trigger", "execution_order"}} | {
            "error": _("error")
        }

    def get_queryset(self, request: HttpRequest, exclude_parameters: list[str | None] | None = None) -> QuerySet[Model]:
        rows = super().get_queryset(request, exclude_parameters)
        if "error" not in self.headers:
            return rows
        with_errors: QuerySet[Model] = rows.annotate(
            error=formatting.first_characters("error_message", formatting.LINE)
        )
        return with_errors


@admin.register(NodeExecution)
class NodeExecutionAdmin(SavedViewsMixin):
    change_list_template = "admin/executions/configurable_list.html"
    headers: ClassVar[dict[str, StrOrPromise]] = {
        "state": _("status"),
        "node_name": _("node"),
        "run": _("workflow execution"),
        "trigger": _("trigger"),
        "execution_order": _("order"),
        "started": _("started"),
        "duration": _("duration"),
        "retry_count": _("retries"),
    }
    list_filter = (
        StatusFilter,
        NodeErrorFilter,
        NodeNameFilter,
        IdTimeFilter,
        NodeWorkflowFilter,
        NodeTriggerFilter,
        NodeTagFilter,
        NodeOwnerFilter,
        NodeAttentionFilter,
        IdFromToFilter,
        NodeDurationFilter,
        RunFilter,
        NodeFilter,
        NewestRunsFilter,
        NodeErrorGroupFilter,
        NodeOrderFilter,
        NodeColumnsFilter,
    )
    search_help_text = _("The id of a node execution or of its workflow execution")
    id_columns = ("pk", "workflow_execution")
    actions = ("retry", "override_max_retries", "cancel", "skip")
    exported: ClassVar[dict[str, str]] = {
        "id": "id", "node": "node_name", "workflow_execution": "workflow_execution_id", "status": "status",
        "attempt": "attempt", "retry_count": "retry_count", "execution_order": "execution_order",
        "created_at": "created_at", "started_at": "started_at", "ended_at": "ended_at", "error": "error_message",
    }  # fmt: skip
    related = ("node", "workflow_execution__workflow")
    keyset = ("id",)
    columns = (
        *NODE_COLUMNS,
        "version",
        "workflow_execution__workflow_name",
        "workflow_execution__workflow__owner",
        "workflow_execution__status",
        "workflow_execution__failed_nodes",
        "workflow_execution__trigger_type",
    )

    def get_urls(self) -> list[URLPattern]:
        names = path("names/", self.admin_site.admin_view(partial(node_names_view, self)), name="executions_node_names")
        return [names, *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ChangeList]:
        return NodeChangeList

    def present_rows(self, request: HttpRequest, rows: Sequence[NodeExecution]) -> Sequence[NodeRow]:
        marks = attention_marks.marks_of_nodes(rows)
        return [
            NodeRow(row, shows_run(request, row), formatting.duration_text(row), marks.get(row.pk, [])) for row in rows
        ]

    def page_context(self, request: HttpRequest, row: NodeExecution) -> Context:
        is_shown = shows_run(request, row)
        again = again_url(request.user, row.workflow_execution_id, row.node_id) if is_shown else ""
        curl = curl_command(request, "node-execution-detail", row.pk)
        return node_details(request.user, row) | {"shows_run": is_shown, "again_url": again, "curl": curl}
