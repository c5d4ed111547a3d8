"""The name of the zone that a page is shown in."""

from django import template
from django.utils import timezone

from pastetrader import zones

register = template.Library()


@register.simple_tag
def time_zone() -> str:
    return zones.label(timezone.get_current_timezone())
