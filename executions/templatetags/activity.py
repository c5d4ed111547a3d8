"""A filter for links to the activity: `{% if user|may_view_activity %}`."""

from django import template

from executions.models.activity import may_view_activity

register = template.Library()
register.filter("may_view_activity", may_view_activity)
