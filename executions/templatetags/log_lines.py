"""Template tags that render log lines, for the log page, its windows and the live stream."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django import template
from django.utils.safestring import SafeString

from executions.admin.log_line_rows import LogLine
from executions.admin.logs import ansi
from executions.admin.logs.html import render_rows
from executions.admin.logs.log_line_presenter import present
from executions.admin.logs.query_parameters import LogQuery
from executions.models import WorkflowExecution

register = template.Library()


@register.simple_tag
def log_lines(
    lines: Iterable[LogLine],
    run: WorkflowExecution,
    log_query: LogQuery | None = None,
    before: datetime | None = None,
    at: UUID | None = None,
) -> SafeString:
    """Render `{% log_lines lines run log_query before at %}`; only `lines` and `run` are required."""
    log_query = log_query or LogQuery()
    return render_rows(present(lines, run, log_query, before or None, at or None), log_query)


@register.filter
def strip_ansi(text: str | None) -> str:
    """Remove ANSI sequences from an error or other text shown in a table."""
    return ansi.strip_ansi(text or "")


@register.filter
def ansi_to_html(message: str, q: str = "") -> SafeString:
    """Render a message as HTML, with ANSI colours and matches of `q`."""
    return ansi.to_html(message.replace("\r\n", "\n").replace("\r", "\n"), q)
