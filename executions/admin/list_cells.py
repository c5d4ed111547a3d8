"""What a run shows in a list: how long ago it was, and its duration beside what is usual of its workflow."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _

from . import formatting
from .monitor import duration_percentiles
from .monitor.duration_percentiles import WorkflowPercentiles

AHEAD = timedelta(seconds=2)
WIDTH = 100  # of the bar, in units of its viewBox
P95_AT = 70  # what is longer than usual has room beyond


@dataclass(frozen=True)
class Bar:
    """A duration, in seconds, against what is usual."""

    seconds: float
    usual: WorkflowPercentiles

    def _at(self, seconds: float) -> float:
        return round(min(WIDTH, seconds / self.usual.p95 * P95_AT), 1) if self.usual.p95 else WIDTH

    @property
    def length(self) -> float:
        return max(1.5, self._at(self.seconds))

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
    def words(self) -> str:
        known = {"p50": formatting.format_duration(self.usual.p50), "p95": formatting.format_duration(self.usual.p95)}
        return _("Of this workflow’s last 7 days, half took up to %(p50)s, and 95 of 100 up to %(p95)s.") % known


def with_duration_bars(runs: list[Any]) -> list[Any]:
    """The same runs, each with its `bar`, or None where nothing is known of what is usual; by one question."""
    known = duration_percentiles.get_percentiles({run.workflow_id for run in runs})
    for run in runs:
        run.seconds = seconds(run)
        of_workflow = known.get(run.workflow_id)
        run.bar = Bar(run.seconds, of_workflow) if of_workflow and run.seconds is not None else None
        run.shown_duration = "–" if run.seconds is None else formatting.format_duration(run.seconds)
        run.ago = format_ago(run.started_at or run.created_at)
    return runs


def seconds(run: Any) -> Any:
    """Of one that runs, until now; None of one that has not started."""
    if run.duration_seconds is None and run.started_at and run.status == "running":
        return max(0.0, (timezone.now() - run.started_at).total_seconds())
    found: float | None = run.duration_seconds
    return found


def format_ago(moment: datetime) -> str:
    """ "12 s ago", "3 minutes ago", "2 days ago", and "in 2 days"; what one clock may be ahead of another is now."""
    passed = timezone.now() - moment
    if passed < -AHEAD:
        return _("in %(duration)s") % {"duration": _span(-passed, timeuntil(moment, depth=1))}
    return _("%(duration)s ago") % {"duration": _span(max(passed, timedelta()), timesince(moment, depth=1))}


def _span(length: timedelta, words: str) -> str:
    """Django's words begin at a minute."""
    return _("%(seconds)d s") % {"seconds": length.total_seconds()} if length < timedelta(minutes=1) else words


def clock_texts() -> dict[str, str]:
    """The words of texts.human() for clocks.js, and the server's own time, by which they tick."""
    return {
        "now": timezone.now().isoformat(),
        "seconds": _("%(seconds)d s"),
        "minutes": _("%(minutes)d min %(seconds)d s"),
        "hours": _("%(hours)d h %(minutes)d min"),
        "days": _("%(days)d d %(hours)d h"),
    }
