"""Ended runs by hour and by workflow, from the rollups."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from django.db.models import Count as CountOf
from django.db.models import Q
from django.utils import timezone

from executions import rollups
from executions.admin.counts import Count
from executions.admin.duration_percentiles import MIN_RUNS, DurationPercentiles, PercentileTexts
from executions.admin.filters import presets
from executions.admin.filters.run_filters import format_interval
from executions.admin.types import User
from executions.models import ExecutionStatus
from executions.rollups import Counted, Durations

HOURS = 24
DAYS = 7
WORKFLOWS = 10  # the busiest
COMPLETED, FAILED = ExecutionStatus.COMPLETED, ExecutionStatus.FAILED
OF_STATUS = {
    "completed": CountOf("status", filter=Q(status=COMPLETED)),  # not of the id, which the index does not contain
    "failed": CountOf("status", filter=Q(status=FAILED)),
}


@dataclass(frozen=True)
class Bar:
    """Runs that ended from `since` to before `until`: completed ones above the axis, failed ones below."""

    place: int
    since: datetime
    until: datetime
    completed: int
    failed: int
    most: int  # largest count of the chart
    filters: dict[str, str]  # of the whole chart

    @property
    def completed_address(self) -> str:
        return presets.runs_url(**self._filters, status=COMPLETED)

    @property
    def failed_address(self) -> str:
        return presets.runs_url(**self._filters, status=FAILED)

    @property
    def _filters(self) -> dict[str, str]:
        """Return the filters with the interval of the bar in place of the period of the whole chart."""
        others = {name: value for name, value in self.filters.items() if name != "ended"}
        return others | {"ended_between": format_interval(self.since, self.until)}

    @cached_property
    def clock(self) -> str:
        """Return "01:00 – 02:00" in the user's time zone; with UTC offsets if they differ (daylight saving)."""
        since, until = timezone.localtime(self.since), timezone.localtime(self.until)
        shown = "%H:%M" if since.utcoffset() == until.utcoffset() else "%H:%M (UTC%:z)"
        return f"{since:{shown}} – {until:{shown}}"

    @property
    def completed_height(self) -> float:
        return _height(self.completed, self.most)

    @property
    def completed_top(self) -> float:
        return round(100 - self.completed_height, 1)

    @property
    def failed_height(self) -> float:
        return _height(self.failed, self.most)


@dataclass(frozen=True)
class Chart:
    bars: list[Bar]
    completed: Count
    failed: Count

    @property
    def is_empty(self) -> bool:
        return not (self.completed.number or self.failed.number)

    @property
    def height(self) -> float:
        """Return the height of the viewBox: 100 above the axis, and what the failed runs need below it."""
        return 106 + max(bar.failed_height for bar in self.bars)


@dataclass(frozen=True)
class Health(PercentileTexts):
    """Results of one workflow's recent runs."""

    workflow_id: UUID
    name: str
    chart: Chart
    ended: Count
    usual: DurationPercentiles | None

    @property
    def success(self) -> float | None:
        return success_percent(self.chart.completed.number, self.chart.failed.number)


def success_percent(completed: int, failed: int) -> float | None:
    """Return the share of completed runs in percent, at most 99.9 if any failed; None without runs."""
    if not completed + failed:
        return None
    found = round(100 * completed / (completed + failed), 1)
    return min(found, 99.9) if failed else found


def count_ended_runs(user: User) -> Chart:
    """Return the chart of the last 24 hours."""
    bounds = rollups.hours_until(timezone.now(), HOURS)
    return _chart(rollups.count_by_period(user, bounds), bounds, {"ended": "1"})


def busiest_workflows(user: User) -> list[Health]:
    """Return the results of the last 7 days for the workflows with most ended runs."""
    bounds = rollups.days_until(timezone.now(), DAYS)
    counted = rollups.count_of_busiest(user, bounds, WORKFLOWS)
    return _health(_by_workflow(counted), bounds)


def workflow_health(user: User, workflow: UUID) -> Health | None:
    """Return the workflow's results of the last 7 days; None if none of its runs ended."""
    return next(iter(health_of_workflows(user, [workflow])), None)


def health_of_workflows(user: User, workflows: list[UUID]) -> list[Health]:
    """Return the results of the last 7 days for those of the workflows of which a run ended."""
    bounds = rollups.days_until(timezone.now(), DAYS)
    return _health(_by_workflow(rollups.count_of_workflows(user, bounds, workflows)), bounds)


def _by_workflow(counted: list[Counted]) -> list[list[Counted]]:
    return [list(rows) for _workflow, rows in groupby(counted, key=attrgetter("workflow"))]


def _health(by_workflow: list[list[Counted]], bounds: list[datetime]) -> list[Health]:
    workflows = [counted[0].workflow for counted in by_workflow if counted[0].workflow]
    usual = {each.workflow: each for each in rollups.usual_durations(rollups.usual_since(), MIN_RUNS, workflows)}
    return [
        _health_of(workflow, counted, bounds, usual.get(workflow))
        for workflow, counted in zip(workflows, by_workflow, strict=True)
    ]


def _health_of(workflow: UUID, counted: list[Counted], bounds: list[datetime], usual: Durations | None) -> Health:
    filters = {"workflow": str(workflow), "ended": str(DAYS)}
    ended = Count(sum(each.ended for each in counted), presets.runs_url(**filters))
    percentiles = DurationPercentiles(usual.p50, usual.p95) if usual else None
    return Health(workflow, counted[0].name, _chart(counted, bounds, filters), ended, percentiles)


def _chart(counted: list[Counted], bounds: list[datetime], filters: dict[str, str]) -> Chart:
    """Build the chart of the counts; `filters` lead to the list of the counted runs."""
    by_place = {each.place: (each.completed, each.failed) for each in counted}
    numbers = [by_place.get(place, (0, 0)) for place in range(1, len(bounds))]
    most = max(max(each) for each in numbers)
    bars = [Bar(place, bounds[place], bounds[place + 1], *each, most, filters) for place, each in enumerate(numbers)]
    completed, failed = (sum(each) for each in zip(*numbers, strict=True))
    return Chart(bars, _status_count(completed, COMPLETED, filters), _status_count(failed, FAILED, filters))


def _status_count(number: int, status: ExecutionStatus, filters: dict[str, str]) -> Count:
    return Count(number, presets.runs_url(**filters, status=status))


def _height(number: int, most: int) -> float:
    """Return a bar's height out of 100, at least 4 for any runs, so that it is visible."""
    return max(4.0, round(100 * number / most, 1)) if number else 0.0
