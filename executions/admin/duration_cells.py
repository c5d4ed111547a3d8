"""Cells of the lists of runs: the time since start, and the duration as a bar against the workflow's p50 and p95."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _

from executions.models import WorkflowExecution

from . import duration_percentiles, formatting
from .duration_percentiles import DurationPercentiles

CLOCK_SKEW = timedelta(seconds=2)  # clock skew that still counts as now
WIDTH = 100  # of the bar, in units of its viewBox
P95_AT = 70  # leaves space for longer runs
SVG = (
    '<svg class="usual{slow}" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{sentence}">'
    '<title>{sentence}</title><rect class="track" y="3" width="100" height="4"/>'
    '<rect class="took" y="3" width="{length}" height="4"/><path class="median" d="M{median_at} 1.5v7"/>'
    '<path class="p95" d="M{p95_at} 0v10"/></svg>'
)


@dataclass(frozen=True)
class Bar:
    """A duration in seconds, and its workflow's percentiles, in units of the SVG's viewBox."""

    seconds: float
    usual: DurationPercentiles

    def _at(self, seconds: float) -> float:
        return round(min(WIDTH, seconds / self.usual.p95 * P95_AT), 1) if self.usual.p95 else WIDTH

    @property
    def length(self) -> float:
        return max(1.5, self._at(self.seconds))  # visible for the shortest run too

    @property
    def median_at(self) -> float:
        return self._at(self.usual.p50)

    @property
    def p95_at(self) -> float:
        return self._at(self.usual.p95)

    @property
    def is_slow(self) -> bool:
        return self.seconds > self.usual.p95

    @property
    def svg(self) -> SafeString:
        return format_html(
            SVG,
            slow=" usual-slow" if self.is_slow else "",
            sentence=self.usual.sentence,
            length=self.length,
            median_at=self.median_at,
            p95_at=self.p95_at,
        )


@dataclass(frozen=True, slots=True)
class DurationCell:
    """A duration as text; `bar` is None without percentiles."""

    text: str
    bar: Bar | None


def duration_cells(runs: Collection[WorkflowExecution]) -> dict[UUID, DurationCell]:
    """Return the duration of each run by its id, with one query."""
    known = duration_percentiles.get_percentiles({run.workflow_id for run in runs})
    return {run.pk: _duration_cell(run, known.get(run.workflow_id)) for run in runs}


def _duration_cell(run: WorkflowExecution, usual: DurationPercentiles | None) -> DurationCell:
    if (seconds := formatting.elapsed_seconds(run)) is None:
        return DurationCell("–", None)
    return DurationCell(formatting.format_duration(seconds), Bar(seconds, usual) if usual else None)


def format_ago(moment: datetime) -> str:
    """Return "12 s ago", "3 minutes ago" or "in 2 days". A time at most CLOCK_SKEW in the future counts as now."""
    passed = timezone.now() - moment
    if passed < -CLOCK_SKEW:
        return _("in %(duration)s") % {"duration": _span(-passed, timeuntil(moment, depth=1))}
    return _("%(duration)s ago") % {"duration": _span(max(passed, timedelta()), timesince(moment, depth=1))}


def _span(length: timedelta, text: str) -> str:
    """Return seconds below one minute, where Django's timesince() has none; otherwise its text."""
    return _("%(seconds)d s") % {"seconds": length.total_seconds()} if length < timedelta(minutes=1) else text


def clock_texts() -> dict[str, str]:
    """Return formats of durations in whole seconds, and the server's time, for relative_time.js."""
    return {
        "now": timezone.now().isoformat(),
        "seconds": _("%(seconds)d s"),
        "minutes": _("%(minutes)d min %(seconds)d s"),
        "hours": _("%(hours)d h %(minutes)d min"),
        "days": _("%(days)d d %(hours)d h"),
    }
