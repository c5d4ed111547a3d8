"""Select the lines of a page or window: around, before or after a line, or around the matches of a search."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.http import QueryDict

from executions import limits
from executions.admin.log_line_rows import LogLine
from executions.admin.types import Lines
from executions.states import LogLevel
from ledgerkit.db.models import parse_uuid

from . import querysets
from .query_parameters import InvalidLogQuery, LogQuery
from .querysets import Range
from .scrollbar_index import Index

LINES_BEFORE = 20  # lines shown before the requested one
MAX_RANGES, MAX_RANGE_LINES = 100, 2_000  # limits of one window of a search: ranges, and lines in total
FIRST_ERROR, END = "error", "end"


@dataclass
class LogPage:
    """Lines of one page. `older` and `newer` are the ids that the links to the neighbouring pages carry; `at` is the
    requested line, and `is_missing` says that the view does not contain it."""

    lines: list[LogLine] = field(default_factory=list)
    older: UUID | None = None
    newer: UUID | None = None
    at: UUID | None = None
    is_missing: bool = False

    def __bool__(self) -> bool:
        return bool(self.lines)


def requested_line(query: QueryDict, lines: Lines) -> tuple[UUID | None, bool]:
    """Return the id in `at`, or that of the first error, and whether the first error was requested but none exists."""
    value = query.get("at", "")
    if value == FIRST_ERROR:
        errors = lines.filter(level=LogLevel.ERROR).order_by(*querysets.ORDER)
        found = errors.values_list("pk", flat=True).first()
        return found, found is None
    return id_of(query, "at", END), False


def first_page(query: QueryDict, lines: Lines, every_line: Lines, at: UUID | None) -> LogPage:
    """Return the page that the query names. Looks up its line in `every_line`, as the filters may exclude it."""
    if query.get("at") == END:
        return _page_before(lines, None)
    for name, found in (("after", _page_after), ("before", _page_before)):
        if pk := id_of(query, name):
            return found(lines, _key(every_line, pk, name))
    return _page_around(lines, every_line, at) if at else _page_after(lines, None)


def search_page(query: QueryDict, lines: Lines, index: Index) -> LogPage:
    """Return the matches starting at the line in `at`, `after` or `before`, with the lines around them."""
    matches = (index.matches or [])[: index.count]
    place = index.place or 0
    # `after` excludes the match at the place itself, `at` includes it.
    start = bisect_right(matches, place) if "after" in query else bisect_left(matches, place)
    if "before" in query:
        start = max(0, start - limits.LOG_PAGE_MATCHES)
    shown = matches[start : start + limits.LOG_PAGE_MATCHES]
    if not shown:
        return LogPage()
    log_query = LogQuery.read(query)
    ranges = querysets.ranges_around(shown, log_query.context_lines, index.count)
    rows = querysets.with_skipped(querysets.lines_at(lines, ranges))
    ids = {row.place: row.pk for row in rows}
    more = len(matches) > start + limits.LOG_PAGE_MATCHES
    return LogPage(rows, ids.get(shown[0]) if start else None, ids.get(shown[-1]) if more else None)


def window(query: QueryDict, lines: Lines) -> list[LogLine]:
    """Return the lines that the script requests: those between two marks, those after a line, or those at the
    positions `places`, counted from the line `mark` at position `base`. `skip` is the number of lines before them that
    are already shown."""
    if "places" in query:
        mark, base = id_of(query, "mark"), _number(query, "base")
        rows = querysets.lines_at(lines, _ranges(query), _key(lines, mark, "mark") if mark else None, base)
        return querysets.with_skipped(rows, _number(query, "skip") - 1)
    if after := id_of(query, "after"):
        return querysets.first_lines(
            querysets.lines_after(lines, _key(lines, after, "after")), 2 * limits.LOG_PAGE_LINES
        )
    if mark := id_of(query, "mark"):
        lines = querysets.lines_from(lines, _key(lines, mark, "mark"))
    if until := id_of(query, "until"):
        lines = querysets.lines_before(lines, _key(lines, until, "until"))
    return querysets.first_lines(lines, 2 * limits.LOG_PAGE_LINES)


def _page_after(lines: Any, key: Any) -> LogPage:
    # One line more than the page has, to see whether another page follows.
    found = querysets.first_lines(querysets.lines_after(lines, key) if key else lines, limits.LOG_PAGE_LINES + 1)
    rows = found[: limits.LOG_PAGE_LINES]
    return LogPage(
        rows, rows[0].pk if key and rows else None, rows[-1].pk if len(found) > limits.LOG_PAGE_LINES else None
    )


def _page_before(lines: Any, key: Any) -> LogPage:
    found = querysets.last_lines(querysets.lines_before(lines, key) if key else lines, limits.LOG_PAGE_LINES + 1)
    rows = found[-limits.LOG_PAGE_LINES :]
    return LogPage(
        rows, rows[0].pk if len(found) > limits.LOG_PAGE_LINES else None, rows[-1].pk if key and rows else None
    )


def _page_around(lines: Lines, every_line: Lines, at: UUID) -> LogPage:
    if (key := querysets.key_of(every_line, at)) is None:
        return LogPage(at=at, is_missing=True)
    ahead = querysets.last_lines(querysets.lines_before(lines, key), LINES_BEFORE + 1)
    behind = querysets.first_lines(querysets.lines_from(lines, key), limits.LOG_PAGE_LINES - LINES_BEFORE + 1)
    rows = [*ahead[-LINES_BEFORE:], *behind[: limits.LOG_PAGE_LINES - LINES_BEFORE]]
    older = rows[0].pk if len(ahead) > LINES_BEFORE else None
    newer = rows[-1].pk if len(behind) > limits.LOG_PAGE_LINES - LINES_BEFORE else None
    return LogPage(rows, older, newer, at, is_missing=not (behind and behind[0].pk == at))


def _ranges(query: QueryDict) -> list[Range]:
    text = query.get("places", "")
    try:
        ranges = [(int(start), int(end)) for start, end in (each.split("-") for each in text.split(","))]
    except ValueError:
        raise InvalidLogQuery("places", text) from None
    ends = [place for each in ranges for place in each]
    if (
        len(ranges) > MAX_RANGES
        or ends != sorted(ends)
        or ends[-1] >= 2**31
        or sum(b - a + 1 for a, b in ranges) > MAX_RANGE_LINES
    ):
        raise InvalidLogQuery("places", text)
    return ranges


def _number(query: QueryDict, name: str) -> int:
    text = query.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidLogQuery(name, text)
    return int(text)


def id_of(query: QueryDict, name: str, *keywords: str) -> UUID | None:
    """Return the id in a parameter; None if it is absent or a keyword. Raises InvalidLogQuery."""
    value = query.get(name, "")
    if value and value not in keywords and parse_uuid(value) is None:
        raise InvalidLogQuery(name, value)
    return parse_uuid(value)


def _key(lines: Lines, pk: UUID, name: str) -> querysets.Key:
    if (key := querysets.key_of(lines, pk)) is None:
        raise InvalidLogQuery(name, str(pk))
    return key
