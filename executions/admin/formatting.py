"""What rows say on a page: durations for people, and texts cut in the database, whatever their size there."""

from dataclasses import dataclass
from typing import Any

from django.db.models import F, Func, TextField, Value
from django.db.models.functions import Left, Right
from django.utils import timezone
from django.utils.formats import localize
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from executions.states import ExecutionStatus
from ledgerkit import time_zones

LIMIT = 200_000  # characters of one JSON field, or of one text on a page of its own
SHORT = 2_000
TRACEBACK = 20_000
LINE = 300


def duration(row: Any) -> str:
    """Of a run, a node execution or an attempt; of one that runs, the time until now."""
    if (known := row.duration_seconds) is None and (running := seconds(row)) is not None:
        return _("%(duration)s so far") % {"duration": format_duration(running)}
    return "–" if known is None else format_duration(known)


def seconds(row: Any) -> float | None:
    """As duration(); None of what has not started, and of what has been given an end only."""
    if row.started_at is not None and row.status == "running":
        return float((timezone.now() - row.started_at).total_seconds())
    return row.duration_seconds  # type: ignore[no-any-return]  # of any row that has times


def format_duration(seconds: float) -> str:
    """ "40 ms", "1.2 s", "3 min 4 s", "2 h 5 min", "3 d 4 h": two units at most."""
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


def status(run: Any) -> str:
    """Return the word for a run's status; of one that was completed all the same, also how many of its nodes failed."""
    word = str(run.get_status_display())
    if run.status != ExecutionStatus.COMPLETED or not run.failed_nodes:
        return word
    failed = ngettext("%(number)d node failed", "%(number)d nodes failed", run.failed_nodes)
    return f"{word}, {failed % {'number': run.failed_nodes}}"


def percent(value: float | None) -> str:
    """ "98.5 %"; of nothing "–"."""
    return "–" if value is None else _("%(number)s %%") % {"number": localize(value)}


def format_datetime(time: Any) -> str:
    return time_zones.clock(time) if time else "–"


def first_characters(name: str, size: int) -> Left:
    return Left(F(name), size)


def last_characters(name: str, size: int) -> Right:
    """The end of a traceback says what went wrong."""
    return Right(F(name), size)


@dataclass
class Payload:
    """One JSON field, ready to be read."""

    label: Any
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
    """The row's JSON fields, printed by the database; and `others`, expressions, from the same query."""
    printed = {f"{name}_printed": _format_json(name) for name in names}
    found = type(row)._default_manager.filter(pk=row.pk).values(**printed, **others).first()
    values: dict[str, Any] = found or dict.fromkeys([*printed, *others])
    labels = {name: row._meta.get_field(name).verbose_name for name in names}
    shown = [Payload(labels[name], values[f"{name}_printed"]) for name in names]
    return shown, {name: values[name] for name in others}


def _format_json(name: str) -> Left:
    return Left(Func(F(name), function="jsonb_pretty", output_field=TextField()), Value(LIMIT + 1))
