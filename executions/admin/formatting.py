"""Text of durations, times and payloads. Long texts are cut in the database, so that no page loads all of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Func, TextField, Value
from django.db.models.functions import Left, Right
from django.utils import timezone
from django.utils.formats import localize
from django.utils.translation import gettext as _

from ledgerkit import time_zones
from ledgerkit.types import StrOrPromise

LIMIT = 200_000  # characters of one JSON field, or of one text on a page of its own
SHORT = 2_000
TRACEBACK = 20_000
LINE = 300


def duration_text(row: Any) -> str:
    """Return the duration of a run, node execution or attempt as text; of a running one, the time so far."""
    if (known := row.duration_seconds) is None and (running := elapsed_seconds(row)) is not None:
        return _("%(duration)s so far") % {"duration": format_duration(running)}
    return "–" if known is None else format_duration(known)


def elapsed_seconds(row: Any) -> float | None:
    """Return the seconds from start to end, or to now if running; None if it never started."""
    if row.started_at is not None and row.status == "running":
        return max(0.0, float((timezone.now() - row.started_at).total_seconds()))  # clocks may differ
    return row.duration_seconds  # type: ignore[no-any-return]  # of any row that has times


def elapsed_text(row: Any) -> str:
    """Return the time from start to end, or to now, as text."""
    return "–" if (seconds := elapsed_seconds(row)) is None else format_duration(seconds)


def format_duration(seconds: float) -> str:
    """Return "40 ms", "1.2 s", "3 min 4 s", "2 h 5 min" or "3 d 4 h": at most two units."""
    if seconds < 0.9995:  # noqa: PLR2004  # rounds up to a second
        return _("%d ms") % round(seconds * 1000)
    if seconds < 59.95:  # noqa: PLR2004  # rounds up to a minute
        return _("%.1f s") % seconds
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes}
    return _("%(days)d d %(hours)d h") % {"days": hours // 24, "hours": hours % 24}


def format_percent(value: float | None) -> str:
    """Return "98.5 %", or "–" for None."""
    return "–" if value is None else _("%(number)s %%") % {"number": localize(value)}


def format_datetime(time: datetime | None) -> str:
    return time_zones.clock(time) if time else "–"


def first_characters(name: str, size: int) -> Left:
    return Left(F(name), size)


def last_characters(name: str, size: int) -> Right:
    """Return the last `size` characters, as for a traceback, whose end names the exception."""
    return Right(F(name), size)


@dataclass
class Payload:
    """One JSON field as indented text, cut after LIMIT characters."""

    label: StrOrPromise
    text: str | None

    @property
    def too_long(self) -> bool:
        return self.text is not None and len(self.text) > LIMIT

    @property
    def is_short(self) -> bool:
        return self.text is not None and len(self.text) <= SHORT

    @property
    def is_empty(self) -> bool:
        return self.text in {None, "{\n}", "[\n]", "null"}  # as jsonb_pretty() prints them


def payloads(row: Any, *names: str, **others: Any) -> tuple[list[Payload], dict[str, Any]]:
    """Return the JSON fields, formatted by PostgreSQL, and the values of the expressions `others`, in one query."""
    printed = {f"{name}_printed": _format_json(name) for name in names}
    found = type(row)._default_manager.filter(pk=row.pk).values(**printed, **others).first()
    values: dict[str, Any] = found or dict.fromkeys([*printed, *others])
    labels = {name: row._meta.get_field(name).verbose_name for name in names}
    shown = [Payload(labels[name], values[f"{name}_printed"]) for name in names]
    return shown, {name: values[name] for name in others}


def _format_json(name: str) -> Left:
    return Left(Func(F(name), function="jsonb_pretty", output_field=TextField()), Value(LIMIT + 1))
