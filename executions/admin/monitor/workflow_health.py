"""Ended runs by hour and by workflow. All counts come from one index on `ended_at`."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db.models import Count as CountOf
from django.db.models import DateTimeField, F, Func, IntegerField, Q, Value
from django.utils import timezone

from executions.admin import filter_presets
from executions.admin.duration_percentiles import DURATION, Percentiles, PercentileTexts, WorkflowPercentiles
from executions.admin.filters.run_filters import format_interval
from executions.admin.types import JSON, User
from executions.models import ExecutionStatus, WorkflowExecution

HOURS = 24
DAYS = 7
WORKFLOWS = 10  # the busiest
COMPLETED, FAILED = ExecutionStatus.COMPLETED, ExecutionStatus.FAILED
OF_STATUS = {
    "completed": CountOf("status", filter=Q(status=COMPLETED)),  # not of the id, which the index does not contain
    "failed": CountOf("status", filter=Q(status=FAILED)),
}


@dataclass(frozen=True)
class Count:
    """Number of runs in the list at the URL `address`. `is_more`: counting stopped at `number`."""

    number: int
    address: str
    is_more: bool = False


@dataclass(frozen=True)
class Bar:
    """Runs that ended from `since` to before `until`: completed ones above the axis, failed ones below."""

    place: int
    since: datetime
    until: datetime
    completed: Count
    failed: Count
    most: int  # largest count of the chart

    @property
    def clock(self) -> str:
        """Return "01:00 – 02:00" in the user's time zone; with UTC offsets if they differ (daylight saving)."""
        since, until = timezone.localtime(self.since), timezone.localtime(self.until)
        shown = "%H:%M" if since.utcoffset() == until.utcoffset() else "%H:%M (UTC%:z)"
        return f"{since:{shown}} – {until:{shown}}"

    @property
    def completed_height(self) -> float:
        return _height(self.completed.number, self.most)

    @property
    def completed_top(self) -> float:
        return round(100 - self.completed_height, 1)

    @property
    def failed_height(self) -> float:
        return _height(self.failed.number, self.most)


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
    usual: WorkflowPercentiles | None

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
    bounds = _bounds(HOURS, timedelta(hours=1))
    counts = {each["place"]: each for each in _count_statuses(user, bounds).values("place").annotate(**OF_STATUS)}
    return _chart(counts, bounds, {"ended": "1"})


def busiest_workflows(user: User) -> list[Health]:
    """Return the results of the last 7 days for the workflows with most ended runs."""
    bounds = _bounds(DAYS, timedelta(days=1))
    by_day: dict[UUID, dict[int, object]] = defaultdict(dict)
    names = {each["workflow"]: each for each in _by_workflow(user, bounds)}
    for each in (
        _count_statuses(user, bounds).filter(workflow__in=names).values("workflow", "place").annotate(**OF_STATUS)
    ):
        by_day[each["workflow"]][each["place"]] = each
    return [_health(each, by_day[pk], bounds) for pk, each in names.items()]


def workflow_health(user: User, workflow: UUID) -> Health | None:
    """Return the workflow's results of the last 7 days; None if none of its runs ended."""
    bounds = _bounds(DAYS, timedelta(days=1))
    if not (found := list(_by_workflow(user, bounds, workflow=workflow))):
        return None
    days = _count_statuses(user, bounds).filter(workflow=workflow).values("place").annotate(**OF_STATUS)
    return _health(found[0], {each["place"]: each for each in days}, bounds)


def _by_workflow(user: User, bounds: list[datetime], **which: object) -> Any:
    runs = WorkflowExecution.objects.visible_to(user).filter(ended_at__gte=bounds[0], **which).order_by()
    took = Percentiles(DURATION, filter=Q(status=COMPLETED))
    found = runs.values("workflow", "workflow__name").annotate(ended=CountOf("status"), percentiles=took)
    return found.order_by("-ended", "workflow")[:WORKFLOWS]


def _count_statuses(user: User, bounds: list[datetime]) -> Any:
    """Annotate runs with `place`, the interval of `bounds` in which they ended, from 1."""
    starts = Value(bounds[:-1], output_field=ArrayField(DateTimeField()))
    place = Func(F("ended_at"), starts, function="WIDTH_BUCKET", output_field=IntegerField())
    runs = WorkflowExecution.objects.visible_to(user).filter(ended_at__gte=bounds[0])
    return runs.order_by().annotate(place=place)


def _bounds(number: int, step: timedelta) -> list[datetime]:
    """Return the starts of `number` steps up to now, and an end that includes runs ending during the request."""
    now = timezone.now()
    return [now - step * (number - index) for index in range(number)] + [now + step]


def _health(row: JSON, days: dict[int, Any], bounds: list[datetime]) -> Health:
    filters = {"workflow": row["workflow"], "ended": str(DAYS)}
    usual = WorkflowPercentiles.read(row["percentiles"], sum(day["completed"] for day in days.values()))
    ended = Count(row["ended"], filter_presets.runs_url(**filters))
    return Health(row["workflow"], row["workflow__name"], _chart(days, bounds, filters), ended, usual)


def _chart(counts: dict[int, Any], bounds: list[datetime], filters: JSON) -> Chart:
    """Build the chart from `counts` by place; `filters` lead to the list of the counted runs."""
    numbers = [{name: counts.get(place, {}).get(name, 0) for name in OF_STATUS} for place in range(1, len(bounds))]
    most = max(max(each.values()) for each in numbers)
    bars = [_bar(place, each, bounds, filters, most) for place, each in enumerate(numbers)]
    totals = {name: sum(each[name] for each in numbers) for name in OF_STATUS}
    return Chart(
        bars, **{name: Count(n, filter_presets.runs_url(**filters, status=name)) for name, n in totals.items()}
    )


def _bar(place: int, numbers: dict[str, int], bounds: list[datetime], filters: JSON, most: int) -> Bar:
    since, until = bounds[place], bounds[place + 1]
    # The interval of the bar replaces the period of the whole chart.
    within = {name: value for name, value in filters.items() if name != "ended"}
    within["ended_between"] = format_interval(since, until)
    counts = {name: Count(number, filter_presets.runs_url(**within, status=name)) for name, number in numbers.items()}
    return Bar(place, since, until, most=most, **counts)


def _height(number: int, most: int) -> float:
    """Return a bar's height out of 100, at least 4 for any runs, so that it is visible."""
    return max(4.0, round(100 * number / most, 1)) if number else 0.0
