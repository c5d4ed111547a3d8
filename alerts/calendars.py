"""Days on which a workflow is expected: every day, weekdays, or the trading days of an exchange.

The package exchange-calendars knows the exchanges by their codes (ISO 10383), such as XKRX. It needs pandas, so it is
an extra of the app, and imported when an expectation first names an exchange.
"""

from collections.abc import Callable
from datetime import date
from functools import cache
from importlib.util import find_spec

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

EVERY_DAY, WEEKDAYS = "every_day", "weekdays"
FRIDAY = 5  # isoweekday()
PACKAGE = "exchange_calendars"
NOT_INSTALLED = _("Trading days need the Python package exchange-calendars, which is not installed here.")
UNKNOWN = _("Expected every_day, weekdays, or the code of an exchange, such as XKRX.")


def check(days: str) -> None:
    """Raise ValidationError if there is no calendar of this name."""
    if days in {EVERY_DAY, WEEKDAYS}:
        return
    if not (days.isascii() and days.isalnum() and days.isupper()):
        raise ValidationError({"days": UNKNOWN}, code="invalid")
    if find_spec(PACKAGE) is None:
        raise ValidationError({"days": NOT_INSTALLED}, code="invalid")
    if days not in _exchanges():
        raise ValidationError({"days": UNKNOWN}, code="invalid")


def is_due_on(days: str) -> Callable[[date], bool]:
    """Return the question whether a day belongs to the calendar."""
    if days == EVERY_DAY:
        return lambda _day: True
    if days == WEEKDAYS:
        return lambda day: day.isoweekday() <= FRIDAY
    return _trading_days(days).__contains__


def last_day(days: str) -> date | None:
    """Return the last day that the calendar knows; None if it has no end."""
    return None if days in {EVERY_DAY, WEEKDAYS} else max(_trading_days(days))


@cache
def _exchanges() -> frozenset[str]:
    from exchange_calendars import get_calendar_names  # noqa: PLC0415  # takes a second and 80 MB

    return frozenset(get_calendar_names(include_aliases=False))


@cache
def _trading_days(exchange: str) -> frozenset[date]:
    """Return the trading days that the package knows: about twenty years back and one year ahead."""
    from exchange_calendars import get_calendar  # noqa: PLC0415  # takes a second and 80 MB

    return frozenset(session.date() for session in get_calendar(exchange).sessions)
