"""Timeline of a run: a lane for each node execution with its attempts and the waits before them, in percent."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from math import ceil
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from executions.admin import formatting
from executions.admin.statuses import PRIORITY
from executions.admin.types import Attempt
from executions.models import NodeExecution, WorkflowExecution
from executions.states import ExecutionStatus
from workflows.drawing import shorten

LETTERS = 24  # characters of a node's name
LANES = 100  # maximum of lanes: first those that failed, run or are selected, then others
TICKS = 4  # maximum of steps of the axis
THINNEST = 0.25  # smallest width of a bar in percent, so that every attempt is visible
MINUTE, HOUR, DAY = 60, 3_600, 86_400
STEPS = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30,
    MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY,
)  # fmt: skip
WAITING = "waiting"


@dataclass(frozen=True)
class Span:
    """An attempt, whose `kind` is its status, or the wait before it. `number` is the number of the attempt."""

    kind: str
    start: datetime
    end: datetime
    number: int


@dataclass(frozen=True)
class Scale:
    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()

    def at(self, moment: datetime) -> float:
        """Return a percentage from 0 to 100; a moment outside the scale is at its edge."""
        part = (moment - self.start).total_seconds() / self.seconds if self.seconds else 0.0
        return min(max(part, 0.0), 1.0) * 100


@dataclass
class Bar:
    kind: str
    left: float
    width: float
    label: str
    number: int


@dataclass
class Lane:
    row: Any
    found: list[Span]
    scale: Scale

    @cached_property
    def bars(self) -> list[Bar]:
        """Return the bars. A wait that ended before the beginning of the timeline is left out."""
        return [_bar(each, self.scale) for each in self.found if each.end > self.scale.start or each.kind != WAITING]

    @cached_property
    def label(self) -> str:
        return shorten(self.row.name, LETTERS)


@dataclass
class Tick:
    left: float
    label: str


@dataclass
class Timeline:
    scale: Scale
    run: Lane
    lanes: list[Lane]
    undrawn: int  # number of earlier attempts that were not passed

    @property
    def ticks(self) -> list[Tick]:
        return [Tick(100 * each / self.scale.seconds, label_of(each)) for each in build_ticks(self.scale.seconds)]

    def choose_lanes(self, *chosen: UUID) -> list[Lane]:
        """Return at most LANES lanes in their order, with priority for those that are `chosen`, failed or running."""
        if len(self.lanes) <= LANES:
            return self.lanes
        ranked = sorted(range(len(self.lanes)), key=lambda place: not _has_priority(self.lanes[place].row, chosen))
        return [self.lanes[place] for place in sorted(ranked[:LANES])]


def build_timeline(
    run: WorkflowExecution,
    tries_of_run: Iterable[Attempt],
    nodes: list[Any],
    tries: Mapping[UUID, list[Attempt]],
    now: datetime,
) -> Timeline | None:
    """Build the timeline of a run and its nodes, with their earlier `tries`. Return None where nothing has started."""
    tries_of_run = list(tries_of_run)
    whole = list(spans_of(run, tries_of_run, now))
    each = [(row, list(spans_of(row, tries[row.pk], now))) for row in nodes]
    scale = scale_spans([*whole, *(span for _row, found in each for span in found)])
    if scale is None:
        return None
    each.sort(key=lambda lane: _first_start(lane[1], scale.end))
    undrawn = _count_hidden(run, tries_of_run) + sum(_count_hidden(row, tries[row.pk]) for row in nodes)
    return Timeline(scale, Lane(run, whole, scale), [Lane(row, found, scale) for row, found in each], undrawn)


def _count_hidden(row: Any, tries: list[Attempt]) -> int:
    earlier: int = row.attempt - 1
    return max(0, earlier - len(tries))


def spans_of(row: Any, tries: Iterable[Attempt], now: datetime) -> Iterator[Span]:
    """Yield the waits and attempts of a row, the current one last. An open one ends now; a skipped node has no wait."""
    since: datetime | None = row.created_at
    for number, each in enumerate([*tries, row], start=1):
        start, end = each.started_at, each.ended_at or now
        is_skipped = each.status == ExecutionStatus.SKIPPED
        if not is_skipped and since is not None and since < (until := start or end):
            yield Span(WAITING, since, until, number)
        if start is not None:
            yield Span(each.status, start, max(start, end), number)
        since = each.ended_at


def scale_spans(found: list[Span]) -> Scale | None:
    """Return the scale from the first start to the last end. It begins with the first wait if that is shorter than the
    rest."""
    starts = [span.start for span in found if span.kind != WAITING]
    if not starts:
        return None
    first, end = min(starts), max(span.end for span in found)
    earliest = min(span.start for span in found)
    return Scale(earliest if first - earliest <= end - first else first, max(end, first + timedelta(milliseconds=1)))


def build_ticks(seconds: float, most: int = TICKS) -> list[float]:
    """Return at most `most` + 1 evenly spaced marks from 0 to at most `seconds`."""
    step = next((step for step in STEPS if seconds / step <= most), None)
    if step is None:
        step = DAY * ceil(seconds / DAY / most)
    return [step * count for count in range(int(seconds / step + 1e-9) + 1)]


def label_of(seconds: float) -> str:
    """Return the label of a mark: "0", "20 ms", "1.5 s", "5 min", "1 h 30 min", "2 d 12 h"."""
    if seconds < 1:
        return _("%d ms") % round(seconds * 1_000) if seconds else "0"
    if seconds < MINUTE:
        return _("%g s") % seconds
    units = (
        (DAY, HOUR, _("%d d"), _("%d h")),
        (HOUR, MINUTE, _("%d h"), _("%d min")),
        (MINUTE, 1, _("%d min"), _("%d s")),
    )
    large, small, one, other = next(unit for unit in units if seconds >= unit[0])
    count, rest = divmod(round(seconds), large)
    return " ".join([one % count, *([other % (rest // small)] if rest // small else [])])


def _first_start(found: list[Span], otherwise: datetime) -> datetime:
    return min((span.start for span in found if span.kind != WAITING), default=otherwise + timedelta(days=1))


def _has_priority(row: NodeExecution, chosen: tuple[UUID, ...]) -> bool:
    return row.status in PRIORITY[:2] or row.pk in chosen


def _bar(span: Span, scale: Scale) -> Bar:
    left = min(scale.at(span.start), 100 - THINNEST)
    width = max(scale.at(span.end) - left, THINNEST)
    took = formatting.format_duration((span.end - span.start).total_seconds())
    return Bar(span.kind, round(left, 2), round(width, 2), took, span.number)
