"""Deadlines by the clock of a place, on the days of a calendar, across changes to and from daylight saving time.

A time that the clocks skip is due as much later as they are put forward. One that comes twice is due the second time:
by the clock of that place, a run that starts before it is in time. 00:00 is the end of the day, not its beginning:
no run could start on a day before that begins.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

LOOKED_BACK = LOOKED_AHEAD = 15  # days: the longest holidays of an exchange are shorter


@dataclass(frozen=True)
class Deadline:
    """A day's deadline: what has to happen from `since`, the beginning of the day, to `due`."""

    since: datetime
    due: datetime


def last_deadline(at: time, zone: ZoneInfo, is_due_on: Callable[[date], bool], now: datetime) -> Deadline | None:
    """Return the deadline that passed last; None if none did in the last days."""
    passed = (deadline_of(day, at, zone) for day in _days_back(now.astimezone(zone).date()) if is_due_on(day))
    return next((deadline for deadline in passed if deadline.due <= now), None)


def next_deadline(
    at: time, zone: ZoneInfo, is_due_on: Callable[[date], bool], now: datetime, last_start: datetime | None
) -> datetime | None:
    """Return until when the next start is due, after `last_start`; None if none is in the next days."""
    days = (now.astimezone(zone).date() + timedelta(days=ahead) for ahead in range(LOOKED_AHEAD + 1))
    coming = (deadline_of(day, at, zone) for day in days if is_due_on(day))
    return next((each.due for each in coming if each.due > now and not _is_met(each, last_start)), None)


def _is_met(deadline: Deadline, start: datetime | None) -> bool:
    return start is not None and deadline.since <= start


def deadline_of(day: date, at: time, zone: ZoneInfo) -> Deadline:
    due_on = day + timedelta(days=1) if at == time.min else day
    return Deadline(_moments(day, time.min, zone)[0], max(_moments(due_on, at, zone)))


def _moments(day: date, at: time, zone: ZoneInfo) -> list[datetime]:
    """Return the moments that the clocks may mean: the same one twice, unless they are put forward or back then."""
    utc = ZoneInfo("UTC")
    return [datetime.combine(day, at.replace(fold=fold), zone).astimezone(utc) for fold in (0, 1)]


def _days_back(day: date) -> Iterator[date]:
    for days in range(LOOKED_BACK + 1):
        yield day - timedelta(days=days)
