"""Drawing of a status, everywhere in the admin: its label, sign, icon and badge, and its dot in a chart.

Pages draw it by the tags of `{% load statuses %}`; colours, and the signs once more, are in `admin.css`.
"""

from collections.abc import Mapping
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

from executions.states import ExecutionStatus

# Which of several executions of a node is shown: the most important status first.
PRIORITY = ("failed", "running", "pending", "cancelled", "completed", "skipped")
ICONS = {  # inside of an <svg> of 16 x 16
    "pending": SafeString('<circle cx="8" cy="8" r="6.2"/><path d="M8 4.6V8l2.4 1.6"/>'),
    "running": SafeString('<path class="solid" d="M4 2.2v11.6L14 8z"/>'),
    "completed": SafeString(
        '<circle class="solid" cx="8" cy="8" r="7"/><path class="cut" d="m4.7 8.3 2.3 2.3 4.4-4.8"/>'
    ),
    "failed": SafeString(
        '<path class="solid" d="M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z"/>'
        '<path class="cut" d="m5.3 5.3 5.4 5.4m0-5.4-5.4 5.4"/>'
    ),
    "skipped": SafeString('<path d="m2.5 3.5 4.5 4.5-4.5 4.5m6.5-9L13.5 8 9 12.5"/>'),
    "cancelled": SafeString('<circle cx="8" cy="8" r="6.2"/><path d="m3.6 12.4 8.8-8.8"/>'),
}
ICON = '<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">{}</svg>'
WHOLE_ICONS = {status: format_html(ICON, shape) for status, shape in ICONS.items()}
# The same shapes as characters, for a title and small cells.
SIGNS = {"pending": "◷", "running": "▶", "completed": "✓", "failed": "✕", "skipped": "»", "cancelled": "⊘"}
DOTS = {  # in the chart of durations, around its origin; a skipped run has no duration
    "completed": SafeString('<circle id="dot-completed" r="3.6"/>'),
    "failed": SafeString('<path id="dot-failed" d="M-4-4 4 4M-4 4 4-4"/>'),
    "cancelled": SafeString(
        '<path id="dot-cancelled" d="M3.8 0a3.8 3.8 0 1 1-7.6 0 3.8 3.8 0 1 1 7.6 0M-2.6 2.6 2.6-2.6"/>'
    ),
    "running": SafeString('<path id="dot-running" d="M-3.6-4.6v9.2L4.6 0z"/>'),
    "pending": SafeString('<path id="dot-pending" d="M3.8 0a3.8 3.8 0 1 1-7.6 0 3.8 3.8 0 1 1 7.6 0M0-2.2V0l1.5 1"/>'),
}


def labels() -> Mapping[str, str]:
    """Return the label of each status, translated once for many rows."""
    return {status: str(word) for status, word in ExecutionStatus.choices}


def label(status: str) -> str:
    return str(ExecutionStatus(status).label)


def row_label(row: Any) -> str:
    """Return the label of a row's status; for a completed run with failed nodes, also their number."""
    failed = failed_nodes_text(row)
    return f"{label(row.status)}, {failed}" if failed else label(row.status)


def failed_nodes_text(row: Any) -> str:
    """Return the number of failed nodes of a completed run as text, "" if there are none."""
    number = getattr(row, "failed_nodes", 0) if row.status == ExecutionStatus.COMPLETED else 0
    return ngettext("%(number)d node failed", "%(number)d nodes failed", number) % {"number": number} if number else ""


def icon(status: str) -> SafeString:
    return WHOLE_ICONS[status]


def icon_symbols() -> SafeString:
    """Render the icons once for all rows of a page, for icon_by_reference()."""
    symbols = format_html_join("", '<symbol id="icon-{}" viewBox="0 0 16 16">{}</symbol>', ICONS.items())
    return format_html('<svg class="defs" width="0" height="0" aria-hidden="true">{}</svg>', symbols)


def icon_by_reference(status: str) -> SafeString:
    return format_html('<svg class="icon" aria-hidden="true"><use href="#icon-{}"/></svg>', status)


def badge(status: str, text: str = "", *, by_reference: bool = False) -> SafeString:
    """Render the icon and the label, or another `text`."""
    drawn = icon_by_reference(status) if by_reference else icon(status)
    return format_html('<span class="status status-{}">{}{}</span>', status, drawn, text or label(status))


def row_badge(row: Any) -> SafeString:
    """Render the badge of a run, node execution, attempt or deletion, with the number of failed nodes."""
    drawn = badge(row.status)
    if not (failed := failed_nodes_text(row)):
        return drawn
    return drawn + format_html('<span class="failed-nodes"><span class="comma">, </span>{}</span>', failed)
