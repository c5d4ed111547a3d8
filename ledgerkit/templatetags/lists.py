"""Template tags for changelists whose cells carry the label of their column, which a phone shows."""

import re
from collections.abc import Iterable
from typing import Any

from django import template
from django.contrib.admin.templatetags import admin_list
from django.contrib.admin.views.main import ChangeList
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst

register = template.Library()

EMPTY_CELL = re.compile(r"<td[^>]*>[\s–—-]*</td>")


@register.inclusion_tag("admin/change_list_results.html")
def labelled_result_list(cl: ChangeList) -> dict[str, Any]:
    """Render Django's table of rows, with a label on each cell."""
    # Not documented: Django renders whole cells, and has no place to add an attribute to them.
    context: dict[str, Any] = admin_list.result_list(cl)
    labels = [capfirst(str(header["text"])) for header in context["result_headers"]]
    for row in context["results"]:
        row[:] = _label_cells(row, labels)
    return context


def _label_cells(cells: Iterable[str], labels: list[str]) -> list[SafeString]:
    return [_label_cell(cell, labels[place] if place < len(labels) else "") for place, cell in enumerate(cells)]


def _label_cell(cell: str, label: str) -> SafeString:
    """Add `data-label` to a cell, and `data-empty` if nothing is in it. The checkbox and the heading have none."""
    if not cell.startswith("<td") or cell.startswith('<td class="action-checkbox"'):
        return mark_safe(cell)  # noqa: S308  # Django's own HTML
    empty = " data-empty" if EMPTY_CELL.fullmatch(cell) else ""
    return mark_safe(f'<td data-label="{escape(label)}"{empty}{cell[3:]}')  # noqa: S308  # Django's own HTML
