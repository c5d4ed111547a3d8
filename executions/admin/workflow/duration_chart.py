"""Chart of the durations of runs over time: a dot per run, by start (x) and duration (y), in percent."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import log
from statistics import median
from typing import Any, Self

from django.utils import timezone

from executions.admin import formatting
from executions.admin.charts import timeline
from executions.admin.duration_percentiles import DurationPercentiles
from executions.admin.workflow.graph_changes import Change
from executions.states import ExecutionStatus

SKEWED = 50  # if the longest duration exceeds the median by this factor, the scale is logarithmic
LEAST = 0.001  # seconds; shorter durations are drawn there on a logarithmic scale
POWERS = (0.001, 0.01, 0.1, 1, 10, 60, 600, 3_600, 6 * 3_600, 86_400, 10 * 86_400, 100 * 86_400, 1_000 * 86_400)
HEADROOM = 1.06  # space above the longest duration
SIDES = 0.02  # space on the left and the right, as a fraction of the span
APART = 6  # smallest distance of two labels, in percent
MOMENTS = 6  # maximum of steps of the time axis
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STEPS = (
    MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
    DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY,
)  # fmt: skip


@dataclass(frozen=True)
class Axis:
    """Axis of seconds, upwards; it begins at 0, or at `least` on a logarithmic scale."""

    least: float
    most: float
    is_log: bool

    @classmethod
    def from_durations(cls, seconds: Iterable[float]) -> Self:
        """Build the axis for at least one duration."""
        found = sorted(max(each, LEAST) for each in seconds)
        is_log = found[-1] > SKEWED * median(found)
        return cls(found[0] / HEADROOM if is_log else 0.0, found[-1] * HEADROOM, is_log)

    def at(self, seconds: float) -> float:
        """Return a percentage from 0 to 100."""
        if not self.is_log:
            return round(min(100 * seconds / self.most, 100.0), 2)
        above = log(max(seconds, self.least) / self.least) / log(self.most / self.least)
        return round(min(100 * above, 100.0), 2)

    @property
    def marks(self) -> list[float]:
        """Return the marks in seconds, from the bottom."""
        if not self.is_log:
            return timeline.build_ticks(self.most)
        return [power for power in POWERS if self.least <= power <= self.most]


@dataclass(frozen=True)
class Mark:
    """Mark of an axis: its distance from the left, or from the top, and its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Dot:
    x: float
    y: float  # in percent, from the top
    run: Any


@dataclass(frozen=True)
class Line:
    """Line at a change of the definition."""

    x: float
    change: Change


@dataclass(frozen=True)
class Band:
    """The band of durations between the 95th and the 50th percentile, in percent from the top."""

    p95: float
    p50: float

    @property
    def height(self) -> float:
        return round(self.p50 - self.p95, 2)

    @property
    def p50_label(self) -> float:
        """Return the position of the label, moved if it would cover the other one."""
        return max(self.p50, self.p95 + APART)


@dataclass(frozen=True)
class Chart:
    """The chart. `waiting` is the number of runs without a duration, which have no dot."""

    axis: Axis
    scale: timeline.Scale
    dots: list[Dot]
    lines: list[Line]
    usual: DurationPercentiles | None
    waiting: int

    @property
    def heights(self) -> list[Mark]:
        return [Mark(self.top(each), timeline.label_of(each)) for each in self.axis.marks]

    @property
    def moments(self) -> list[Mark]:
        return [Mark(round(self.scale.at(moment), 2), label) for moment, label in axis_times(self.scale)]

    @property
    def band(self) -> Band | None:
        return Band(self.top(self.usual.p95), self.top(self.usual.p50)) if self.usual else None

    def top(self, seconds: float) -> float:
        return round(100 - self.axis.at(seconds), 2)


def build_chart(runs: list[Any], found: list[Change], usual: DurationPercentiles | None) -> Chart | None:
    """Build the chart of `runs`, newest first, and of the changes among them. Return None if no run has started."""
    measured = [(run, formatting.elapsed_seconds(run)) for run in reversed(runs) if run.started_at is not None]
    seconds = {run.pk: elapsed for run, elapsed in measured if elapsed is not None}
    started = [run for run, _elapsed in measured if run.pk in seconds]
    axis = build_axis(started)
    if axis is None:
        return None
    scale = scale_chart([run.started_at for run in started])
    dots = [Dot(round(scale.at(run.started_at), 2), round(100 - axis.at(seconds[run.pk]), 2), run) for run in started]
    lines = [Line(round(scale.at(each.run.started_at or each.run.created_at), 2), each) for each in found]
    return Chart(axis, scale, dots, lines, usual, len(runs) - len(started))


def build_axis(runs: Iterable[Any]) -> Axis | None:
    """Build the axis from the runs that have ended, so that one that has been running for days does not flatten the
    others."""
    measured = [(run, formatting.elapsed_seconds(run)) for run in runs]
    known = [(run, seconds) for run, seconds in measured if seconds is not None]
    ended = [seconds for run, seconds in known if run.status != ExecutionStatus.RUNNING]
    found = ended or [seconds for _run, seconds in known]
    return Axis.from_durations(found) if found else None


def scale_chart(found: list[datetime]) -> timeline.Scale:
    first, last = min(found), max(found)
    aside = max((last - first) * SIDES, MINUTE / 2)
    return timeline.Scale(first - aside, last + aside)


def axis_times(scale: timeline.Scale) -> list[tuple[datetime, str]]:
    """Return the marks of the time axis, at full hours and days in the reader's time zone."""
    span = scale.end - scale.start
    step = next((step for step in STEPS if span / step <= MOMENTS), (span / MOMENTS // DAY + 1) * DAY)
    midnight = timezone.localtime(scale.start).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    found, number = [], 0
    while (moment := timezone.make_aware(midnight + number * step)) <= scale.end:
        if moment >= scale.start and _exists(moment):
            is_day = step >= DAY or not (moment.hour or moment.minute)
            found.append((moment, f"{moment:%m-%d}" if is_day else f"{moment:%H:%M}"))
        number += 1
    return found


def _exists(moment: datetime) -> bool:
    """Return whether this local time exists; it does not in the hour that is skipped when clocks are put forward."""
    return moment.astimezone(UTC).astimezone(moment.tzinfo).replace(tzinfo=None) == moment.replace(tzinfo=None)
