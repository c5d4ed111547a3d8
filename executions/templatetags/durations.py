"""Template filters for the duration of a run, a node execution or an attempt."""

from django import template
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.translation import gettext as _

from executions.admin import formatting
from executions.models import WorkflowExecution

register = template.Library()
register.filter("duration", formatting.duration_text)
CLOCK = "admin/executions/_running_time.html"


@register.filter
def ticking_duration(row: WorkflowExecution) -> str:
    """Return the duration as `duration` does; of a running run, the time that relative_time.js counts on."""
    if row.duration_seconds is not None or formatting.elapsed_seconds(row) is None:
        return formatting.duration_text(row)
    clock = render_to_string(CLOCK, {"since": row.started_at, "shown": formatting.elapsed_text(row)})
    return format_html(_("%(duration)s so far").replace("%(duration)s", "{}"), clock)
