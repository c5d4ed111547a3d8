"""Intervals as people write them."""

from django.utils.translation import gettext, ngettext

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def format_interval(seconds: int) -> str:
    """Return "90 s", "30 min", "24 h" or "7 days": the largest unit that is exact, days from two on."""
    if seconds % DAY == 0 and seconds >= 2 * DAY:
        return ngettext("%(n)d day", "%(n)d days", seconds // DAY) % {"n": seconds // DAY}
    if seconds % HOUR == 0:
        return gettext("%(n)d h") % {"n": seconds // HOUR}
    if seconds % MINUTE == 0:
        return gettext("%(n)d min") % {"n": seconds // MINUTE}
    return gettext("%(n)d s") % {"n": seconds}
