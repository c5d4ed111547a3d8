"""For _lines.html, which the page, its windows and the stream of a run render alike."""

from collections.abc import Iterable, Iterator
from typing import Any

from django import template
from django.utils.safestring import SafeString

from executions.admin.logviewer import ansi
from executions.admin.logviewer.dressing import Line, dressed

register = template.Library()


@register.simple_tag
def log_lines(lines: Iterable[Any], run: Any, asked: Any = None, before: Any = None, at: Any = None) -> Iterator[Line]:
    """`{% log_lines lines run asked before at as dressed %}`; only `lines` and `run` are needed."""
    return dressed(lines, run, asked or None, before or None, at or None)


@register.filter
def said(message: str, q: str = "") -> SafeString:
    """A message as it is shown in a line."""
    return ansi.html(message.replace("\r\n", "\n").replace("\r", "\n"), q)
