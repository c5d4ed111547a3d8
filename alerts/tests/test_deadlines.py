"""Deadlines by the clocks of a place, whatever these do."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError

from alerts import calendars
from alerts.deadlines import deadline_of, last_deadline

SEOUL, NEW_YORK, SAO_PAULO = (ZoneInfo(name) for name in ("Asia/Seoul", "America/New_York", "America/Sao_Paulo"))
EVERY_DAY = calendars.is_due_on(calendars.EVERY_DAY)
WEEKDAYS = calendars.is_due_on(calendars.WEEKDAYS)


def utc(*numbers: int) -> datetime:
    return datetime(*numbers, tzinfo=UTC)  # type: ignore[arg-type, misc]  # year, month and so on


@pytest.mark.parametrize(
    ("zone", "day", "at", "due"),
    [
        (SEOUL, date(2026, 11, 30), time(9, 10), utc(2026, 11, 30, 0, 10)),
        (NEW_YORK, date(2026, 3, 7), time(9, 10), utc(2026, 3, 7, 14, 10)),  # winter
        (NEW_YORK, date(2026, 3, 9), time(9, 10), utc(2026, 3, 9, 13, 10)),  # summer
        (NEW_YORK, date(2026, 3, 8), time(2, 30), utc(2026, 3, 8, 7, 30)),  # skipped: an hour later, 03:30
        (NEW_YORK, date(2026, 11, 1), time(1, 30), utc(2026, 11, 1, 6, 30)),  # twice: the second time
        (NEW_YORK, date(2026, 11, 1), time(3, 0), utc(2026, 11, 1, 8, 0)),
    ],
)
def test_a_deadline_is_by_the_clock_of_its_zone(zone: ZoneInfo, day: date, at: time, due: datetime) -> None:
    assert deadline_of(day, at, zone).due == due


def test_a_day_begins_at_its_midnight_even_if_the_clocks_skip_it() -> None:
    assert deadline_of(date(2026, 11, 30), time(9), SEOUL).since == utc(2026, 11, 29, 15)
    assert deadline_of(date(2018, 11, 4), time(9), SAO_PAULO).since == utc(2018, 11, 4, 3)


def test_the_last_deadline_is_of_the_last_day_of_the_calendar() -> None:
    monday_early, monday = utc(2026, 11, 29, 23), utc(2026, 11, 30, 1)  # in Seoul 08:00 and 10:00 on Monday
    at = time(9, 10)
    assert getattr(last_deadline(at, SEOUL, WEEKDAYS, monday_early), "due", None) == utc(2026, 11, 27, 0, 10)
    assert getattr(last_deadline(at, SEOUL, WEEKDAYS, monday), "due", None) == utc(2026, 11, 30, 0, 10)
    assert getattr(last_deadline(at, SEOUL, EVERY_DAY, monday_early), "due", None) == utc(2026, 11, 29, 0, 10)


@pytest.mark.slow
def test_trading_days_are_those_of_the_exchange() -> None:
    """Days without trading: in Korea 2026-02-16 to 18 is Seollal, and 2026-05-05 is Children's Day."""
    is_trading = calendars.is_due_on("XKRX")
    holidays = [date(2026, 2, 16), date(2026, 2, 17), date(2026, 2, 18), date(2026, 5, 5), date(2026, 11, 28)]
    assert [day for day in holidays if is_trading(day)] == []
    assert is_trading(date(2026, 11, 27))
    due = last_deadline(time(9, 10), SEOUL, is_trading, utc(2026, 2, 18, 12))
    assert due is not None
    assert due.due == utc(2026, 2, 13, 0, 10)


@pytest.mark.slow
@pytest.mark.parametrize("days", ["", "XXXX", "xkrx", "on sundays", "__class__"])
def test_an_unknown_calendar_is_refused(days: str) -> None:
    with pytest.raises(ValidationError):
        calendars.check(days)


def test_without_the_package_an_exchange_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendars, "PACKAGE", "exchange_calendars_of_nobody")
    with pytest.raises(ValidationError, match="exchange-calendars"):
        calendars.check("XKRX")
    calendars.check("weekdays")
