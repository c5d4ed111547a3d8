"""Template filter for the duration of a run, a node execution or an attempt."""

from django import template

from executions.admin import formatting

register = template.Library()
register.filter("duration", formatting.duration_text)
