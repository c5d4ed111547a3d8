from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import F, Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from executions.admin import formatting
from executions.admin.base import ReadOnlyAdmin, shows_run
from executions.admin.filters.base import (
    IdTimeFilter,
    NodeFilter,
    NodesTriggerFilter,
    NodesWorkflowFilter,
    RunFilter,
    StatusFilter,
)
from executions.admin.filters.recent_runs import NewestRunsFilter
from executions.admin.logs import log_admin
from executions.admin.runs import earlier_attempts
from executions.admin.types import Context, User
from executions.models import ExecutionLog, ExecutionStatus, NodeExecution, NodeExecutionAttempt, WorkflowExecution
from ledgerkit.db.models import parse_uuid
from ledgerkit.types import StrOrPromise

SHOWN = 1_000  # node executions on a run's page
FAILED = 20


def nodes_of_run(request: HttpRequest, run: WorkflowExecution) -> list[NodeExecution]:
    """Return the node executions of a run in their order, each with the `name` of its node and the times of its earlier
    attempts; at most SHOWN + 1."""
    rows = run.node_executions.visible_to(request.user).only("node", *COLUMNS[: COLUMNS.index("node_name")])
    rows = rows.annotate(name=F("node_name"), error=formatting.first_characters("error_message", formatting.LINE))
    nodes = [earlier_attempts.with_duration(node) for node in rows.order_by("execution_order", "id")[: SHOWN + 1]]
    tries = _by_node(earlier_attempts.attempt_times(_earlier(nodes)))
    words = {status: str(word) for status, word in ExecutionStatus.choices}  # translated once, not for each row
    for node in nodes:
        node.tries, node.word = tries[node.pk], words[node.status]
        node.replaced = node.attempt - 1  # the number of earlier attempts, of which `tries` may hold only the newest
    return nodes


def with_attempts(nodes: list[Any]) -> list[NodeExecution]:
    """Set the earlier attempts on each node execution, as _node_row.html shows them; return the list."""
    earlier = _by_node(earlier_attempts.newest_attempts(_earlier(nodes), formatting.SHORT))
    for node in nodes:
        node.earlier = earlier[node.pk]
    return nodes


def failed_nodes_of_run(request: HttpRequest, run: WorkflowExecution) -> list[NodeExecution]:
    """Return the failed node executions, the first failure first, with error and traceback."""
    rows = run.node_executions.visible_to(request.user).failed().select_related("node").only(*COLUMNS)
    errors = {
        "error": formatting.first_characters("error_message", formatting.SHORT),
        "traceback": formatting.last_characters("error_traceback", formatting.TRACEBACK),
    }
    return [earlier_attempts.with_duration(row) for row in rows.annotate(**errors).order_by("ended_at", "id")[:FAILED]]


def node_details(user: User, row: NodeExecution) -> Context:
    """Return the details of a node execution for its own page and for a run's page."""
    errors = {
        "error": formatting.first_characters("error_message", formatting.LIMIT),
        "traceback": formatting.last_characters("error_traceback", formatting.LIMIT),
    }
    payloads, others = formatting.payloads(row, "input_data", "output_data", **errors)
    lines = ExecutionLog.objects.filter(workflow_execution=row.workflow_execution_id, node_execution=row)
    return others | {
        "node": earlier_attempts.with_duration(row),
        "run": row.workflow_execution,
        "payloads": payloads,
        "attempts": earlier_attempts.newest_attempts(row.attempts),
        "lines": log_admin.newest_lines(lines.visible_to(user)),
        "lines_shown": log_admin.LINES,
    }


def selected_node(request: HttpRequest, run: WorkflowExecution, asked: str) -> Context | None:
    """Return the details of the run's node execution with the id `asked`, None if the user can see none."""
    if (pk := parse_uuid(asked)) is None:
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


COLUMNS = (
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
OF_ONE = (*COLUMNS, "version", "workflow_execution__status", "workflow_execution__failed_nodes")


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node execution in the list. Without `shows_run` its run is only an id: the user may not see it."""

    node: NodeExecution
    shows_run: bool
    duration: str


@admin.register(NodeExecution)
class NodeExecutionAdmin(ReadOnlyAdmin):
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
        IdTimeFilter,
        NodesTriggerFilter,
        NodesWorkflowFilter,
        RunFilter,
        NodeFilter,
        NewestRunsFilter,
    )
    search_help_text = _("The id of a node execution or of its workflow execution")
    actions = ("retry", "cancel", "skip")
    related = ("node", "workflow_execution__workflow")
    keyset = ("id",)
    columns = (
        *COLUMNS,
        "version",
        "workflow_execution__workflow_name",
        "workflow_execution__workflow__owner",
        "workflow_execution__status",
        "workflow_execution__failed_nodes",
        "workflow_execution__trigger_type",
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        if not search_term.strip():
            return queryset, False
        pk = parse_uuid(search_term.strip())
        return queryset.filter(Q(pk=pk) | Q(workflow_execution=pk)) if pk else queryset.none(), False

    def present_rows(self, request: HttpRequest, rows: Sequence[NodeExecution]) -> Sequence[NodeRow]:
        return [NodeRow(row, shows_run(request, row), formatting.duration_text(row)) for row in rows]

    def page_context(self, request: HttpRequest, row: NodeExecution) -> Context:
        return node_details(request.user, row) | {"shows_run": shows_run(request, row)}
