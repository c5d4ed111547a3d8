"""Presenter of log lines, shared by the page, its windows, searches and the live stream."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from executions.admin import duration_cells, formatting
from executions.admin.log_line_rows import LogLine
from executions.admin.logs import ansi
from executions.admin.types import JSON
from executions.models import WorkflowExecution
from ledgerkit import time_zones

from .query_parameters import LogQuery
from .querysets import MESSAGE

SHADES = 10  # classes of colours for nodes, in log_page.css
PLACEHOLDER_ID = UUID(int=0)
PAUSE = timedelta(seconds=60)  # shortest time between two lines that is shown


@dataclass(frozen=True)
class LineRow:
    """A log line ready to render. `moment` is the ISO time; `later` is the pause before the line, `skipped` the number
    of lines left out before it; `is_open` expands a match, which may be below the first line of the message."""

    pk: str
    moment: str
    shown_time: str
    level: str
    label: str
    node: str
    node_link: str
    attempt: int
    begins: bool
    shade: int
    html: SafeString
    more_lines: int
    is_long: bool
    is_open: bool
    is_cut: bool
    has_data: bool
    is_requested: bool
    later: str
    skipped: int
    place: int | None
    link: str


@dataclass(frozen=True)
class _LinePresenter:
    """Values shared by all lines of a response."""

    run: Any
    log_query: LogQuery
    at: UUID | None
    page: str  # of the run

    def line(self, line: LogLine, before: datetime | None, *, begins: bool) -> LineRow:
        return LineRow(
            pk=(pk := str(line.pk)),
            moment=line.timestamp.astimezone(UTC).isoformat(timespec="microseconds"),
            shown_time=format_time(line.timestamp, self.run, self.log_query.time, self._zone),
            level=line.level,
            attempt=line.attempt or 0,
            begins=begins,
            label=line.label,
            is_cut=line.is_cut,
            has_data=line.has_data,
            is_requested=line.pk == self.at,
            later=_format_pause(line.timestamp, before),
            skipped=line.skipped,
            place=line.place,
            link=f"{self._at}{pk}",
            **self._node(line),
            **self._message(line),
        )

    @cached_property
    def _at(self) -> str:
        """Return the start of a line's URL, up to its id."""
        return self.log_query.query(at=PLACEHOLDER_ID).removesuffix(str(PLACEHOLDER_ID))

    @cached_property
    def _zone(self) -> tzinfo:
        return timezone.get_current_timezone()

    def _node(self, line: LogLine) -> dict[str, Any]:
        if (node := line.node_execution) is None:
            return {"node": "", "node_link": "", "shade": 0}
        # The shade follows from the id of the node, so that it is the same in every run.
        link = f"{self.page}?node={node.pk}#node"
        return {"node": node.node_name, "node_link": link, "shade": node.node_id.int % SHADES}

    def _message(self, line: LogLine) -> JSON:
        text = _with_line_ends(line.text)
        shown = text[:MESSAGE].rstrip("\n")
        html = ansi.to_html(shown, self.log_query.q)
        return {
            "html": html,
            "more_lines": shown.count("\n"),
            "is_long": len(text) > MESSAGE,
            "is_open": "<mark>" in html and "\n" in shown,
        }


def present(
    lines: Iterable[LogLine],
    run: WorkflowExecution,
    log_query: LogQuery | None = None,
    before: datetime | None = None,
    at: UUID | None = None,
) -> Iterator[LineRow]:
    """Yield a LineRow for each line. `before` is the time of the preceding line, `at` the id of the requested line.
    A line begins an attempt if the one before it of its node, among these lines, is of another."""
    page = reverse("admin:executions_workflowexecution_change", args=[run.pk])
    presenter = _LinePresenter(run, log_query or LogQuery(), at, page)
    attempts: dict[UUID | None, int | None] = {}
    for line in lines:
        node = line.node_execution_id
        begins = attempts.get(node, line.attempt) != line.attempt
        attempts[node] = line.attempt
        yield presenter.line(line, before, begins=begins)
        before = line.timestamp


def _with_line_ends(text: str) -> str:
    """Replace carriage returns by line ends, so that text which a terminal would overwrite stays visible."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def format_time(time: datetime, run: WorkflowExecution, mode: str, zone: tzinfo) -> str:
    if mode == "relative":
        return duration_cells.format_ago(time)
    if mode == "start":
        return since_start(time, run)
    return time_zones.clock(time, "milliseconds", zone)


def since_start(time: datetime, run: WorkflowExecution) -> str:
    """Return "+0:01:02.345", the time since the start of the run or, if pending, its creation; "−" if earlier."""
    passed = (time - (run.started_at or run.created_at)) // timedelta(milliseconds=1)
    seconds, thousandths = divmod(abs(passed), 1000)
    minutes, seconds = divmod(seconds, 60)
    sign = "−" if passed < 0 else "+"
    return f"{sign}{minutes // 60}:{minutes % 60:02d}:{seconds:02d}.{thousandths:03d}"


def _format_pause(time: datetime, before: datetime | None) -> str:
    passed = time - before if before else timedelta()
    return formatting.format_duration(passed.total_seconds()) if passed >= PAUSE else ""
