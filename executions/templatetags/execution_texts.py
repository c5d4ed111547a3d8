"""Template filters for what a run, a node execution and an attempt have in common."""

from django import template

from executions.admin import formatting

register = template.Library()
register.filter("duration", formatting.duration_text)
register.filter("status_label", formatting.status_label)
