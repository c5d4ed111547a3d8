"""Template tags for the time zone of a page and times in it."""

from datetime import datetime

from django import template
from django.utils import timezone

from ledgerkit import time_zones

register = template.Library()


@register.simple_tag
def time_zone() -> str:
    return time_zones.zone_label(timezone.get_current_timezone())


@register.filter
def clock(time: datetime | None, precision: str = "seconds") -> str:
    """Format a time with time_zones.clock(); return "" for None."""
    return time_zones.clock(time, precision) if time else ""
