"""Admin of log lines: the list of all, and the page of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from executions.admin import formatting, log_line_rows
from executions.admin.base import shows_run
from executions.admin.configurable_changelist import ConfigurableChangeList
from executions.admin.filters.choice_filters import LevelFilter
from executions.admin.filters.id_filters import NodeExecutionFilter, RunFilter
from executions.admin.filters.order_and_columns import LineColumnsFilter, LineOrderFilter
from executions.admin.filters.period_filters import LoggedFilter
from executions.admin.filters.text_filters import LineTextFilter
from executions.admin.filters.time_filters import LineFromToFilter
from executions.admin.filters.workflow_filters import (
    LogOwnerFilter,
    LogTagFilter,
    LogTriggerFilter,
    LogWorkflowFilter,
)
from executions.admin.saved_views import SavedViewsMixin
from executions.admin.types import Context
from executions.models import ExecutionLog, NodeExecution
from executions.querysets import can_see
from ledgerkit.types import StrOrPromise


@dataclass(frozen=True, slots=True)
class LogListRow:
    """A line of the list of all logs. Without `shows_run` its run is only an id: the user may not see it."""

    line: ExecutionLog
    shows_run: bool
    node: NodeExecution | None


def visible_node(request: HttpRequest, line: ExecutionLog) -> NodeExecution | None:
    """Return the node execution of the line if the user may see it."""
    owner = line.workflow_execution.workflow.owner_id
    return line.node_execution if can_see(request.user, "nodeexecution", owner) else None


class LineChangeList(ConfigurableChangeList):
    FIXED = ("time",)


@admin.register(ExecutionLog)
class ExecutionLogAdmin(SavedViewsMixin):
    change_list_template = "admin/executions/configurable_list.html"
    headers: ClassVar[dict[str, StrOrPromise]] = {
        "time": _("time"),
        "severity": _("level"),
        "run": _("workflow execution"),
        "node": _("node"),
        "message_head": _("message"),
    }
    list_filter = (
        LevelFilter,
        LineTextFilter,
        LoggedFilter,
        LogWorkflowFilter,
        LogTriggerFilter,
        LogTagFilter,
        LogOwnerFilter,
        LineFromToFilter,
        RunFilter,
        NodeExecutionFilter,
        LineOrderFilter,
        LineColumnsFilter,
    )
    search_help_text = _("The id of a line, of a workflow execution or of a node execution")
    id_columns = ("pk", "workflow_execution", "node_execution")
    exported: ClassVar[dict[str, str]] = {
        "id": "id", "timestamp": "timestamp", "level": "level", "workflow_execution": "workflow_execution_id",
        "node_execution": "node_execution_id", "attempt": "attempt", "source": "source", "message": "message",
    }  # fmt: skip
    related = ("workflow_execution__workflow", "node_execution")
    keyset = ("timestamp", "id")
    columns = (
        *log_line_rows.LINE_COLUMNS,
        "source",
        "workflow_execution__workflow_name",
        "workflow_execution__workflow__owner",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        text = formatting.first_characters("message", formatting.LINE)
        rows: QuerySet[Model] = super().get_queryset(request).annotate(text=text)
        return rows

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ChangeList]:
        return LineChangeList

    def page_context(self, request: HttpRequest, row: ExecutionLog) -> Context:
        payloads, others = formatting.payloads(
            row, "data", whole=formatting.first_characters("message", formatting.LIMIT)
        )
        shown = {"shows_run": shows_run(request, row), "node": visible_node(request, row)}
        return others | shown | {"line": row, "payloads": payloads}

    def present_rows(self, request: HttpRequest, rows: Sequence[ExecutionLog]) -> Sequence[LogListRow]:
        return [LogListRow(row, shows_run(request, row), visible_node(request, row)) for row in rows]
