"""A filter for who made a change: `{{ entry|actor }}`."""

from django import template
from django.utils.translation import gettext

from executions.audit import Through
from executions.upkeep.run_retention import ACTOR
from workflows.history import AuditFields

register = template.Library()


@register.filter
def actor(entry: AuditFields) -> str:
    """Return the name of the user. That of the server's upkeep is in the language of the page."""
    is_upkeep = entry.username == ACTOR and entry.through == Through.IN_PROCESS
    return gettext("upkeep") if is_upkeep else entry.username
