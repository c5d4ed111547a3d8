"""For _lines.html, which the page, its windows and the stream of a run render alike."""

from collections.abc import Iterable
from typing import Any

from django import template
from django.utils.safestring import SafeString

from executions.admin.logs import ansi
from executions.admin.logs.html import render_rows
from executions.admin.logs.presenter import present
from executions.admin.logs.query import LogQuery

register = template.Library()


@register.simple_tag
def log_lines(lines: Iterable[Any], run: Any, asked: Any = None, before: Any = None, at: Any = None) -> SafeString:
    """`{% log_lines lines run asked before at %}`; only `lines` and `run` are needed."""
    asked = asked or LogQuery()
    return render_rows(present(lines, run, asked, before or None, at or None), asked)


@register.filter
def uncoloured(text: str | None) -> str:
    """A text of an engine in a cell of a table: without the colours that terminals know."""
    return ansi.strip_ansi(text or "")


@register.filter
def said(message: str, q: str = "") -> SafeString:
    """A message as it is shown in a line."""
    return ansi.to_html(message.replace("\r\n", "\n").replace("\r", "\n"), q)
