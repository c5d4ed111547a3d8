"""Durations as dots: places on a page, whatever comes."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from executions.admin.charts import timeline
from executions.admin.duration_percentiles import DurationPercentiles
from executions.admin.workflow import duration_chart

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
seconds = st.one_of(st.just(0.0), st.floats(0.0005, 1e8))
moments = st.integers(0, 300_000_000).map(lambda after: START + timedelta(seconds=after))


def run(took: float | None, after: float = 0, status: str = "completed") -> Any:
    start = START + timedelta(seconds=after)
    if is_running := status == "running":
        start = timezone.now() - timedelta(seconds=took or 0)
    return SimpleNamespace(
        pk=object(),
        duration_seconds=None if is_running else took,
        started_at=None if took is None else start,
        created_at=start,
        status=status,
    )


class TestAxis:
    @given(st.lists(seconds, min_size=1, max_size=50))
    def test_every_duration_has_its_place_and_a_longer_one_is_higher(self, found: list[float]) -> None:
        axis = duration_chart.Axis.from_durations(found)
        places = [axis.at(each) for each in sorted(found)]
        assert all(0 <= place <= 100 for place in places)
        assert places == sorted(places)
        assert places[-1] > 50 or max(found) <= duration_chart.LEAST

    @given(st.lists(seconds, min_size=1, max_size=50))
    def test_its_marks_are_on_it(self, found: list[float]) -> None:
        axis = duration_chart.Axis.from_durations(found)
        marks = axis.marks
        assert all(axis.least <= mark <= axis.most for mark in marks)
        assert all(a < b for a, b in pairwise(axis.at(mark) for mark in marks))

    def test_it_begins_at_nothing_where_all_took_about_as_long(self) -> None:
        axis = duration_chart.Axis.from_durations([20, 40, 60])
        assert not axis.is_log
        assert axis.at(0) == 0
        assert abs(axis.at(40) - 2 * axis.at(20)) < 0.02

    def test_it_is_of_powers_where_few_took_very_much_longer(self) -> None:
        axis = duration_chart.Axis.from_durations([1, 1, 1, 1, 1_000])
        assert axis.is_log
        assert [timeline.label_of(mark) for mark in axis.marks] == ["1 s", "10 s", "1 min", "10 min"]
        assert round(axis.at(100) - axis.at(10), 1) == round(axis.at(1_000) - axis.at(100), 1)

    def test_what_still_runs_does_not_press_the_others_flat(self) -> None:
        axis = duration_chart.build_axis([run(10), run(20), run(90_000, status="running")])
        assert axis is not None
        assert axis.most < 25
        assert axis.at(90_000) == 100
        alone = duration_chart.build_axis([run(90_000, status="running"), run(None, status="pending")])
        assert alone is not None
        assert alone.most > 90_000
        assert duration_chart.build_axis([run(None, status="pending")]) is None


class TestMoments:
    @given(moments, st.integers(30, 3_000_000))
    def test_they_are_few_within_and_even(self, start: datetime, long: int) -> None:
        scale = timeline.Scale(start, start + timedelta(seconds=long))
        found = [moment for moment, _label in duration_chart.axis_times(scale)]
        assert len(found) <= duration_chart.MOMENTS + 1
        assert all(scale.start <= moment <= scale.end for moment in found)
        local = [timezone.localtime(moment).replace(tzinfo=None) for moment in found]
        assert len({b - a for a, b in pairwise(local)}) <= 1

    def test_they_are_at_whole_hours_and_days(self) -> None:
        day = timeline.Scale(START, START + timedelta(hours=20))
        assert [label for _moment, label in duration_chart.axis_times(day)] == ["12:00", "18:00", "03-02", "06:00"]
        month = timeline.Scale(START, START + timedelta(days=30))
        assert [label for _moment, label in duration_chart.axis_times(month)] == ["03-08", "03-15", "03-22", "03-29"]


class TestChart:
    def test_there_is_none_before_a_run_has_started(self) -> None:
        assert duration_chart.build_chart([], [], None) is None
        assert duration_chart.build_chart([run(None)], [], DurationPercentiles(1, 2)) is None

    @given(st.lists(st.tuples(seconds, st.integers(0, 10_000_000)), min_size=1, max_size=50))
    def test_every_dot_is_on_the_page_and_later_runs_stand_further_right(self, found: list[tuple[float, int]]) -> None:
        runs = [run(took, after) for took, after in sorted(found, key=lambda each: -each[1])]
        chart = duration_chart.build_chart([*runs, run(None)], [], DurationPercentiles(1, 5))
        assert chart is not None
        assert chart.waiting == 1
        assert len(chart.dots) == len(found)
        assert all(0 <= dot.x <= 100 and 0 <= dot.y <= 100 for dot in chart.dots)
        assert [dot.x for dot in chart.dots] == sorted(dot.x for dot in chart.dots)

    def test_its_band_is_what_is_usual(self) -> None:
        chart = duration_chart.build_chart([run(10), run(100)], [], DurationPercentiles(50, 90))
        assert chart is not None
        assert chart.band is not None
        assert (chart.band.p50, chart.band.p95) == (chart.top(50), chart.top(90))
        assert chart.band.height > 0
        assert chart.band.p50_label == chart.band.p50

    def test_the_names_of_its_lines_do_not_stand_over_each_other(self) -> None:
        chart = duration_chart.build_chart([run(100)], [], DurationPercentiles(50, 50.1))
        assert chart is not None
        assert chart.band is not None
        assert chart.band.p50_label - chart.band.p95 >= duration_chart.APART
