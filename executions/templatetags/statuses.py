"""Tags to draw a status: `{% status row %}`, `{% status_badge status word %}`, `{% status_icon status %}`."""

from django import template

from executions.admin import statuses

register = template.Library()
register.simple_tag(statuses.row_badge, name="status")
register.simple_tag(statuses.badge, name="status_badge")
register.simple_tag(statuses.icon, name="status_icon")
register.simple_tag(statuses.icon_symbols, name="status_icon_symbols")
register.filter("status_text", statuses.row_label)
register.filter("failed_nodes_text", statuses.failed_nodes_text)
