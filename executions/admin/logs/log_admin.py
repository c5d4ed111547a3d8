"""Admin of log lines, and the newest lines of a log on other pages."""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.admin import formatting
from executions.admin.base import ReadOnlyAdmin, link_to, link_to_run
from executions.admin.filters.base import LevelFilter, LinesWorkflowFilter, LoggedFilter, NodeExecutionFilter, RunFilter
from executions.models import ExecutionLog
from executions.querysets import can_see, can_see_nodes_and_logs
from executions.states import LogLevel
from ledgerkit.db.models import parse_uuid

from . import ansi

LINES = 100  # of the log on the page of a run or of a node execution
MESSAGE = 4_000
COLUMNS = ("timestamp", "level", "is_cut", "workflow_execution", "node_execution__node_name")


def newest_lines(lines: Any) -> list[ExecutionLog]:
    """Return the newest LINES of `lines`, oldest first, with the attributes that _log_rows.html reads."""
    rows = lines.select_related("node_execution").only(*COLUMNS)
    shown = {"text": formatting.first_characters("message", MESSAGE), "has_data": Q(data__isnull=False)}
    return add_level_labels(rows.annotate(**shown).newest(LINES))


def hide_nodes(user: Any, run: Any, lines: list[Any]) -> list[Any]:
    """Set `node_execution` to None on each line of `run` if the user may not see node executions; return the lines."""
    if not can_see_nodes_and_logs(user, run)[0]:
        for line in lines:
            line.node_execution = None
    return lines


def add_level_labels(lines: list[Any]) -> list[Any]:
    """Set `word`, the label of its level, on each line. Translates each level once instead of once a line."""
    labels = {level: str(label) for level, label in LogLevel.choices}
    for line in lines:
        line.word = labels[line.level]
    return lines


@admin.register(ExecutionLog)
class ExecutionLogAdmin(ReadOnlyAdmin):
    list_display = ("time", "severity", "run", "node", "message_head")
    list_display_links = ("time",)
    list_filter = (LevelFilter, LoggedFilter, LinesWorkflowFilter, RunFilter, NodeExecutionFilter)
    search_help_text = _("The id of a line, of a workflow execution or of a node execution")
    related = ("workflow_execution__workflow", "node_execution")
    keyset = ("timestamp", "id")
    columns = (*COLUMNS, "workflow_execution__workflow_name", "workflow_execution__workflow__owner")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(text=formatting.first_characters("message", formatting.LINE))

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        if not search_term.strip():
            return queryset, False
        pk = parse_uuid(search_term.strip())
        found = Q(pk=pk) | Q(workflow_execution=pk) | Q(node_execution=pk)
        return queryset.filter(found) if pk else queryset.none(), False

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        payloads, others = formatting.payloads(
            row, "data", whole=formatting.first_characters("message", formatting.LIMIT)
        )
        self.annotate_rows(request, [row])
        return others | {"line": row, "payloads": payloads}

    def annotate_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        for row in rows:
            owner = row.workflow_execution.workflow.owner_id
            row.shows_run = can_see(request.user, "workflowexecution", owner)
            if not can_see(request.user, "nodeexecution", owner):
                row.node_execution = None

    @admin.display(description=_("time"))
    def time(self, row: Any) -> str:
        return formatting.format_datetime(row.timestamp)

    @admin.display(description=_("level"))
    def severity(self, row: Any) -> str:
        return format_html('<span class="level level-{}">{}</span>', row.level, row.get_level_display())

    @admin.display(description=_("workflow execution"))
    def run(self, row: Any) -> str:
        return link_to_run(row)

    @admin.display(description=_("node"))
    def node(self, row: Any) -> str:
        return link_to(row.node_execution, row.node_execution.node_name) if row.node_execution else "–"

    @admin.display(description=_("message"))
    def message_head(self, row: Any) -> str:
        cut = format_html(' <span class="quiet">{}</span>', gettext("cut")) if row.is_cut else ""
        return format_html('<span class="message">{}</span>{}', ansi.to_html(row.text), cut)
