"""Keyset queries on log lines: a window starts after the key (time, id) of a line, without an OFFSET."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db.models import Q, Window
from django.db.models.functions import RowNumber

from executions.admin import formatting
from executions.admin.log_line_rows import LogLine, present_lines
from executions.admin.types import Lines
from ledgerkit.db import keyset

MESSAGE = 4_000  # characters of a message that are shown at first
ORDER = ("timestamp", "id")
LINE_COLUMNS = (
    "timestamp", "level", "is_cut", "attempt", "workflow_execution", "node_execution__node",
    "node_execution__node_name",
)  # fmt: skip
PLACE = Window(RowNumber(), order_by=list(ORDER))

type Key = tuple[datetime, UUID]
type Range = tuple[int, int]  # positions from 0, both included


def key_of(lines: Lines, pk: UUID) -> Key | None:
    """Return the key of a line; None if `lines` does not contain it."""
    found: Key | None = lines.filter(pk=pk).order_by().values_list(*ORDER).first()
    return found


def lines_after(lines: Lines, key: Key) -> Lines:
    return lines.filter(keyset.after(ORDER, key))


def lines_before(lines: Lines, key: Key) -> Lines:
    return lines.filter(keyset.before(ORDER, key))


def lines_from(lines: Lines, key: Key) -> Lines:
    """Return the line with this key and those after it."""
    return lines.filter(keyset.after(ORDER, key, inclusive=True))


def first_lines(lines: Lines, number: int) -> list[LogLine]:
    return present_lines(_select_columns(lines).order_by(*ORDER)[:number])


def last_lines(lines: Lines, number: int) -> list[LogLine]:
    """Return the last `number` lines, oldest first."""
    return present_lines(_select_columns(lines).order_by("-timestamp", "-id")[:number])[::-1]


def time_before(lines: Lines, line: LogLine) -> datetime | None:
    """Return the time of the line before `line`, from which the page computes the pause."""
    earlier = lines_before(lines, (line.timestamp, line.pk)).order_by("-timestamp", "-id")
    found: datetime | None = earlier.values_list("timestamp", flat=True).first()
    return found


def lines_at(lines: Lines, ranges: list[Range], mark: Key | None = None, base: int = 0) -> list[LogLine]:
    """Return the lines at these positions, each with its `place`. Counts from the line `mark` at position `base`, or
    from the first line, so that only the lines in between are read."""
    counted = (lines_from(lines, mark) if mark else lines).order_by().annotate(number=PLACE)
    wanted = Q()
    for start, end in ranges:
        wanted |= Q(number__range=(start - base + 1, end - base + 1))
    # PostgreSQL stops ROW_NUMBER() early only at a plain upper bound, not at an OR of ranges.
    stop = max(end for _start, end in ranges) - base + 1
    found = {
        pk: base + number - 1 for pk, number in counted.filter(wanted, number__lte=stop).values_list("pk", "number")
    }
    rows = _select_columns(lines.filter(pk__in=found)).order_by(*ORDER)
    return [replace(row, place=found[row.pk]) for row in present_lines(rows)]


def ranges_around(places: Iterable[int], number: int, count: int) -> list[Range]:
    """Return ranges of `number` lines around each of `places`, merged where they touch, within `count` lines."""
    ranges: list[Range] = []
    for place in places:
        start, end = max(0, place - number), min(count - 1, place + number)
        if ranges and start <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((start, end))
    return ranges


def with_skipped(rows: list[LogLine], after: int = -1) -> list[LogLine]:
    """Return rows of lines_at() with the number of lines left out before each, counted from position `after`."""
    places = [row.place or 0 for row in rows]
    return [
        replace(row, skipped=place - before - 1)
        for row, place, before in zip(rows, places, [after, *places[:-1]], strict=True)
    ]


def _select_columns(lines: Lines) -> Lines:
    rows = lines.select_related("node_execution").only(*LINE_COLUMNS)
    return rows.annotate(text=formatting.first_characters("message", MESSAGE + 1), has_data=Q(data__isnull=False))
