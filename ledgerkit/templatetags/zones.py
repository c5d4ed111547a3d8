"""The name of the zone that a page is shown in, and times in it."""

from typing import Any

from django import template
from django.utils import timezone

from ledgerkit import time_zones

register = template.Library()


@register.simple_tag
def time_zone() -> str:
    return time_zones.zone_label(timezone.get_current_timezone())


@register.filter
def clock(time: Any, precision: str = "seconds") -> str:
    """Return the time as zones.clock() has it; nothing of none."""
    return time_zones.clock(time, precision) if time else ""
